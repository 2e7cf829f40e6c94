"""Compiling models for the Edge TPU, and predicting what it would run."""

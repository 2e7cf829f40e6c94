"""Scoring models on annotated photos: ``python -m train.evaluate``."""

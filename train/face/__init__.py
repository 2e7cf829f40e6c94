"""Training the face detector: ``python -m train face``."""

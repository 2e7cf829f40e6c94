"""Training the mask classifier: ``python -m train mask``."""

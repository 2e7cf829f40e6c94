"""Training the confirmation model, which takes a second, closer look at doubtful faces: ``python -m train confirm``."""

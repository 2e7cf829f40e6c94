"""The confirmation model: what the face model doubts is looked at again, one by one and larger."""

"""Running models on an Edge TPU while one works, and on the processor while none does."""

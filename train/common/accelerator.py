"""What Keras computes on, and ``--mixed-precision``, which takes a GPU."""

from __future__ import annotations

from typing import Any

from edge.errors import ConfigError

REMEDIES = {
    "tensorflow": "pip install 'tensorflow[and-cuda]'",
    "torch": "a build of PyTorch for CUDA or ROCm",
    "jax": "pip install 'jax[cuda12]'",
}


def use(mixed_precision: bool) -> str:
    """Set the precision of the layers that are made from now on.

    Args:
        mixed_precision: Compute in 16 bits, on a GPU, with weights of 32.

    Returns:
        What is computed on, in words.

    Raises:
        ConfigError: Keras sees no GPU to compute in 16 bits on.
    """
    import keras

    backend, found = keras.backend.backend(), gpus()
    if mixed_precision and not found:
        raise ConfigError(
            f"--mixed-precision needs a GPU, and Keras on {backend} sees none: leave the option out, "
            f"or check the driver and install {REMEDIES.get(backend, 'a backend for the GPU')}."
        )
    keras.config.set_dtype_policy("mixed_float16" if mixed_precision else "float32")
    where = f"{len(found)} GPU{'s' * (len(found) != 1)}" if found else "the CPU"
    return f"Computing on {where} with {backend}, in {'16 bits where that is safe' if mixed_precision else '32 bits'}"


def gpus() -> list[str]:
    """The GPUs that Keras's backend sees."""
    import keras

    if keras.backend.backend() == "torch":
        import torch

        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    found: list[str] = keras.distribution.list_devices("gpu")
    return found


def in_32_bits(model: Any) -> Any:
    """A copy of a keras.Model that computes in 32 bits, with the same weights and layer names, and no optimiser."""
    import keras

    def plain(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        clone = keras.models.clone_model(model, clone_function=plain, recursive=True)
    finally:
        keras.config.set_dtype_policy(policy)
    clone.set_weights(model.get_weights())
    return clone

"""What Keras computes on, and ``--mixed-precision``, which takes a GPU."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from edge.errors import ConfigError

STANDARD_ERROR = 2

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"

REMEDIES = {
    "tensorflow": f"run pip install 'tensorflow[and-cuda]' ({LOG_LEVEL}=0 shows what is missing)",
    "torch": "install a build of PyTorch for CUDA or ROCm",
    "jax": "run pip install 'jax[cuda12]'",
}


def import_keras() -> None:
    """Import Keras, look for GPUs and compute something.

    TensorFlow writes lines about its build and about drivers that it does not find to standard error, whatever its log
    level. They are kept back, unless the operator set the level or the import fails.
    """
    told = LOG_LEVEL in os.environ
    os.environ.setdefault(LOG_LEVEL, "2")
    with nullcontext() if told else hushed():
        import keras

        gpus()
        keras.ops.zeros(1)


@contextmanager
def hushed() -> Iterator[None]:
    """Keep back what is written to standard error, also by libraries; after an error it is written after all."""
    sys.stderr.flush()
    original = os.dup(STANDARD_ERROR)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), STANDARD_ERROR)
        try:
            yield
        except Exception:
            kept.seek(0)
            os.write(original, kept.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(original, STANDARD_ERROR)
            os.close(original)


def use(mixed_precision: bool) -> str:
    """Set the precision of the layers that are made from now on.

    Args:
        mixed_precision: Compute in 16 bits, on a GPU, with weights of 32.

    Returns:
        What is computed on, in words.

    Raises:
        ConfigError: Keras sees no GPU to compute in 16 bits on.
    """
    import_keras()
    import keras

    backend, found = keras.backend.backend(), gpus()
    if mixed_precision and not found:
        raise ConfigError(
            f"--mixed-precision needs a GPU, and Keras on {backend} sees none: leave the option out, or check the "
            f"driver (nvidia-smi) and {REMEDIES.get(backend, 'install a backend for the GPU')}."
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

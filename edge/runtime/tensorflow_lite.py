"""TensorFlow's own interpreter: the last resort, for a workstation that trains."""

from __future__ import annotations

from edge.runtime import Model
from edge.runtime.interpreter import InterpreterModel, runtime_name


def open_model(content: bytes, threads: int) -> Model:
    """Load a model into TensorFlow's interpreter; see ``edge.runtime.open_model``."""
    import tensorflow  # noqa: PLC0415

    interpreter = tensorflow.lite.Interpreter(model_content=content, num_threads=threads)
    return InterpreterModel(interpreter, runtime_name("tensorflow", threads))

"""TensorFlow's own interpreter: the last resort, for a workstation that trains."""

from __future__ import annotations

from collections.abc import Mapping

from edge.runtime import Model
from edge.runtime.interpreter import InterpreterModel, runtime_name


def open_model(content: bytes, threads: int) -> Model:
    """Load a model into TensorFlow's interpreter; see ``edge.runtime.open_model``."""
    import tensorflow

    interpreter = tensorflow.lite.Interpreter(model_content=content, num_threads=threads)
    return InterpreterModel(interpreter, runtime_name("tensorflow", threads))


def open_delegated(content: bytes, library: str, options: Mapping[str, str]) -> Model:
    """Load a model into TensorFlow's interpreter with a delegate; see ``edge.runtime.open_delegated``."""
    import tensorflow

    delegate = tensorflow.lite.experimental.load_delegate(library, dict(options))
    interpreter = tensorflow.lite.Interpreter(model_content=content, experimental_delegates=[delegate])
    return InterpreterModel(interpreter, "tensorflow")

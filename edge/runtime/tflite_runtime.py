"""tflite-runtime: LiteRT's predecessor, last released for Python 3.11; what a 32-bit Raspberry Pi OS can have."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edge.runtime import Model
from edge.runtime.interpreter import InterpreterModel, runtime_name


def open_model(content: bytes, threads: int) -> Model:
    """Load a model into tflite-runtime; see ``edge.runtime.open_model``.

    Raises:
        ImportError: It is not installed, or numpy 2 is.
    """
    from tflite_runtime.interpreter import Interpreter

    _require_numpy_1()
    name = runtime_name("tflite-runtime", threads)
    return InterpreterModel(Interpreter(model_content=content, num_threads=threads), name)


def open_delegated(content: bytes, library: str, options: Mapping[str, str]) -> Model:
    """Load a model into tflite-runtime with a delegate; see ``edge.runtime.open_delegated``.

    Raises:
        ImportError: It is not installed, or numpy 2 is.
    """
    from tflite_runtime.interpreter import Interpreter, load_delegate

    _require_numpy_1()
    delegate = load_delegate(library, dict(options))
    return InterpreterModel(Interpreter(model_content=content, experimental_delegates=[delegate]), "tflite-runtime")


def _require_numpy_1() -> None:
    if int(np.__version__.partition(".")[0]) >= 2:  # noqa: PLR2004
        # Built against numpy 1: it imports, and then crashes the process at the first tensor.
        raise ImportError(f"it needs numpy 1, and numpy {np.__version__} is installed")

"""Google's pycoral, where it is installed: not the package of that name on PyPI, which is about coral reefs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from edge.runtime import Model
from edge.runtime.interpreter import InterpreterModel


def is_googles() -> bool:
    """Whether the installed pycoral is Google's, without importing it."""
    spec = importlib.util.find_spec("pycoral")
    folders = () if spec is None else spec.submodule_search_locations or ()
    return any((Path(folder) / "utils" / "edgetpu.py").is_file() for folder in folders)


def open_with_pycoral(content: bytes, device: str) -> Model | None:
    """Load a compiled model through pycoral; None if Google's is not installed.

    Args:
        content: Of a compiled .tflite file.
        device: ``usb:0``, ``pci:0``, or empty for the first.

    Raises:
        ImportError: It is installed without what it needs.
        ValueError: There is no such device, or its library refused.
        RuntimeError: The runtime cannot prepare the model.
    """
    if not is_googles():
        return None
    from pycoral.utils.edgetpu import make_interpreter

    return InterpreterModel(make_interpreter(content, device=device or None), "pycoral")

"""LiteRT (ai-edge-litert), Google's TFLite runtime since 2024: the first choice if it has a wheel."""

from __future__ import annotations

from collections.abc import Mapping

from edge.runtime import Model
from edge.runtime.interpreter import InterpreterModel, runtime_name


def open_model(content: bytes, threads: int) -> Model:
    """Load a model into LiteRT; see ``edge.runtime.open_model``."""
    from ai_edge_litert.interpreter import Interpreter

    return InterpreterModel(Interpreter(model_content=content, num_threads=threads), runtime_name("litert", threads))


def open_delegated(content: bytes, library: str, options: Mapping[str, str]) -> Model:
    """Load a model into LiteRT with a delegate; see ``edge.runtime.open_delegated``."""
    from ai_edge_litert.interpreter import Interpreter, load_delegate

    delegate = load_delegate(library, dict(options))
    return InterpreterModel(Interpreter(model_content=content, experimental_delegates=[delegate]), "litert")

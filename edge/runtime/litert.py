"""LiteRT (ai-edge-litert), Google's TFLite runtime since 2024: the first choice wherever it has wheels."""

from __future__ import annotations

from edge.runtime import Model
from edge.runtime.interpreter import InterpreterModel, runtime_name


def open_model(content: bytes, threads: int) -> Model:
    """Load a model into LiteRT; see ``edge.runtime.open_model``."""
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    return InterpreterModel(Interpreter(model_content=content, num_threads=threads), runtime_name("litert", threads))

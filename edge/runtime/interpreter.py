"""A TFLite interpreter as a ``Model``: LiteRT, tflite-runtime and TensorFlow all offer the same one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.runtime import UNQUANTIZED, Quantization, Tensor, TensorSpec
from edge.runtime.chatter import without_notes
from edge.text import plural


class InterpreterModel:
    """Runs a model on a TFLite interpreter.

    Args:
        interpreter: Of any of the runtimes, its model loaded.
        runtime: What to call it, for people.

    Raises:
        ValueError: The model has not one input, or a tensor of it is quantized by channel.
        RuntimeError: The runtime cannot prepare it: it lacks an operation, or the file is damaged.
    """

    def __init__(self, interpreter: Any, runtime: str) -> None:
        with without_notes():
            interpreter.allocate_tensors()
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        if len(inputs) != 1:
            raise ValueError(f"it has {len(inputs)} inputs instead of one")
        self.runtime = runtime
        self.input = _spec(inputs[0])
        self.outputs = tuple(_spec(output) for output in outputs)
        self._interpreter = interpreter
        self._input_index = inputs[0]["index"]
        self._output_indices = [output["index"] for output in outputs]

    def invoke(self, values: NDArray[Any]) -> list[Tensor]:
        """Run the model once; see ``edge.runtime.Model``."""
        self._interpreter.set_tensor(self._input_index, values)
        self._interpreter.invoke()
        return [
            Tensor(self._interpreter.get_tensor(index), spec.quantization)
            for index, spec in zip(self._output_indices, self.outputs, strict=True)
        ]


def runtime_name(name: str, threads: int) -> str:
    """``litert, 2 threads``."""
    return f"{name}, {plural(threads, 'thread')}"


def _spec(details: Mapping[str, Any]) -> TensorSpec:
    scales = details["quantization_parameters"]["scales"]
    zero_points = details["quantization_parameters"]["zero_points"]
    if len(scales) > 1:
        raise ValueError(f"its tensor {details['name']} is quantized by channel")
    quantization = Quantization(float(scales[0]), int(zero_points[0])) if len(scales) else UNQUANTIZED
    shape = tuple(int(side) for side in details["shape"])
    return TensorSpec(str(details["name"]), shape, np.dtype(details["dtype"]), quantization)

"""The layers of an int8 .tflite file that have weights, as float arrays in Keras's order of axes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError


class Layer(NamedTuple):
    """``kernel`` (H, W, in, out), depthwise (H, W, channels, 1), or of a dense layer (in, out); ``bias`` (out,)."""

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]


def read_layers(path: Path) -> list[Layer]:
    """Read the convolutions and dense layers of a .tflite file, in the order in which they run.

    Raises:
        ConfigError: The file is absent or not an int8 TFLite model.
    """
    if not path.is_file():
        raise ConfigError(f"No model at {path}: give --start-from a .keras or .tflite file.")
    from ai_edge_litert import schema_py_generated as schema

    content = path.read_bytes()
    kinds = {
        schema.BuiltinOperator.CONV_2D: (1, 2, 3, 0),
        schema.BuiltinOperator.DEPTHWISE_CONV_2D: (1, 2, 3, 0),
        schema.BuiltinOperator.FULLY_CONNECTED: (1, 0),
    }
    try:
        model = schema.Model.GetRootAs(content, 0)
        graph = model.Subgraphs(0)
        layers = []
        for index in range(graph.OperatorsLength()):
            operator = graph.Operators(index)
            code = model.OperatorCodes(operator.OpcodeIndex())
            axes = kinds.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
            if axes is not None:
                kernel, bias = (_real(model, graph.Tensors(operator.Inputs(place))) for place in (1, 2))
                layers.append(Layer(np.ascontiguousarray(kernel.transpose(axes)), bias))
    except (struct.error, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path} cannot be read as an int8 TFLite model ({error}): convert it again.") from error
    return layers


def _real(model: Any, tensor: Any) -> NDArray[np.float32]:
    """A constant tensor, with its scales applied along the axis of its channels."""
    dtype = np.int32 if tensor.Type() == 2 else np.int8
    values = np.frombuffer(model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes(), dtype)
    quantization = tensor.Quantization()
    shape = tuple(tensor.ShapeAsNumpy())
    scales = quantization.ScaleAsNumpy().astype(np.float32)
    along = [1] * len(shape)
    along[quantization.QuantizedDimension()] = len(scales)
    real: NDArray[np.float32] = (values.reshape(shape) * scales.reshape(along)).astype(np.float32)
    return real

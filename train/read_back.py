"""Reads a quantized classifier back into Keras: what ships is enough to train it further."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge.errors import ConfigError

Floats = NDArray[np.float32]

AXES = {"CONV_2D": (1, 2, 3, 0), "DEPTHWISE_CONV_2D": (1, 2, 3, 0), "FULLY_CONNECTED": (1, 0)}
"""Of each operation's weights, as Keras orders them."""


def adopt_quantized(model: Any, path: Path) -> None:
    """Give a model from ``train.mask_model.classifier`` the weights of an int8 .tflite of the same shape.

    Batch norms, which quantization has folded into the convolutions, are left with nothing to do but to add the bias.
    Rounding to int8 stays: no weight is further from the trained one than half a step of its channel.

    Raises:
        ConfigError: The file is no quantized model, or one of another shape.
    """
    layers = list(_pairs(model))
    weights = read_weights(path)
    if len(layers) != len(weights):
        raise ConfigError(f"{path} has {len(weights)} layers with weights and this model {len(layers)}.")
    for (layer, norm), (kernel, bias) in zip(layers, weights, strict=True):
        shape = tuple(layer.kernel.shape)
        if kernel.size != np.prod(shape) or bias.size != shape[-1] * (shape[-2] if norm and shape[-1] == 1 else 1):
            raise ConfigError(f"{path} has another shape: repeat the --width it was trained with.")
        layer.kernel.assign(kernel.reshape(shape))
        if norm is None:
            layer.bias.assign(bias)
        else:
            still = 1 - norm.epsilon
            norm.set_weights([np.ones_like(bias), bias, np.zeros_like(bias), np.full_like(bias, still)])


def read_weights(path: Path) -> list[tuple[Floats, Floats]]:
    """Kernel and bias of each layer of a quantized model, in the order they run, with Keras's order of axes.

    Raises:
        ConfigError: The file is absent, broken or not quantized.
    """
    try:
        return list(_layers(schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)))
    except (OSError, ValueError, TypeError, AttributeError, IndexError, KeyError, struct.error) as error:
        raise ConfigError(f"{path} is no quantized .tflite that can be read back ({error}).") from error


def _layers(model: Any) -> Iterator[tuple[Floats, Floats]]:
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    graph = model.subgraphs[0]
    for operation in graph.operators:
        code = model.operatorCodes[operation.opcodeIndex]
        name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if name in AXES:
            _, kernel, bias = (graph.tensors[index] for index in operation.inputs)
            yield _floats(model, kernel, np.int8).transpose(AXES[name]), _floats(model, bias, np.int32)


def _floats(model: Any, tensor: Any, kind: type[np.integer[Any]]) -> Floats:
    """A constant tensor times its scales: one, or one a channel."""
    integers = np.frombuffer(bytes(model.buffers[tensor.buffer].data), kind).reshape(tensor.shape)
    scales = np.asarray(tensor.quantization.scale, np.float32)
    sides = np.ones(integers.ndim, int)
    sides[tensor.quantization.quantizedDimension] = len(scales)
    return (integers * scales.reshape(sides)).astype(np.float32)


def _pairs(model: Any) -> Iterator[tuple[Any, Any]]:
    """Layers with a kernel, in the order they run, each with the batch norm behind it, if any."""
    import keras  # noqa: PLC0415

    flat = [inner for layer in model.layers for inner in getattr(layer, "layers", [layer])]
    held = None
    for layer in flat:
        if isinstance(layer, keras.layers.BatchNormalization):
            yield held, layer
            held = None
        elif hasattr(layer, "kernel"):
            if held is not None:
                yield held, None
            held = layer
    if held is not None:
        yield held, None

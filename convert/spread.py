"""Makes convolutions that give a single channel quicker in float.

Processors compute eight or sixteen channels at once, so that one alone wastes most of the work. A 3x3 convolution with
one output is the same as a 1x1 convolution with nine, each of which is moved by a pixel or none, and their sum. In int8
each of these steps would round, so it keeps the one convolution.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def spread(model: Any) -> Any:
    """A copy of a model that gives the same, but for the order of sums.

    Args:
        model: Its convolutions of stride 1 with ``same`` padding, one output and no activation are replaced.
    """
    return keras.models.clone_model(model, clone_function=_spread)


def _spread(layer: keras.Layer) -> keras.Layer:
    if isinstance(layer, keras.layers.Conv2D) and layer.filters == 1 and layer.kernel_size != (1, 1):
        kernel, bias = layer.get_weights()
        return _Moved(kernel, bias, layer.name)
    return layer


class _Moved(keras.layers.Layer):  # type: ignore[misc]
    """A convolution with the kernel (rows, columns, channels, 1) and the bias (1,)."""

    def __init__(self, kernel: NDArray[np.float32], bias: NDArray[np.float32], name: str) -> None:
        super().__init__(name=name)
        rows, columns, channels, _ = kernel.shape
        places = rows * columns
        self._points = kernel.reshape(1, 1, places, channels).swapaxes(2, 3)
        self._moves = np.eye(places, dtype=np.float32).reshape(rows, columns, places, 1)
        self._sum = np.ones((1, 1, places, 1), np.float32)
        self._bias = bias

    def call(self, inputs: Any) -> Any:
        products = tf.nn.conv2d(inputs, self._points, 1, "SAME")
        moved = tf.nn.depthwise_conv2d(products, self._moves, (1, 1, 1, 1), "SAME")
        return tf.nn.bias_add(tf.nn.conv2d(moved, self._sum, 1, "SAME"), self._bias)

    def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:3], 1)

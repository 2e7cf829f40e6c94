"""Keras to full int8 TFLite, by post-training quantization.

    function = freeze(model)
    content = to_int8(function, pictures)

Source of the method: https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_integer_quant
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from edge.errors import ModelError
from edge.runtime import Tensor, TensorSpec
from edge.values import Image
from edge.vision.preprocess import normalise
from train.common.accelerator import hushed

INPUT_NAME = "image"
ONLY_OUTPUT_NAME = "probabilities"


def load(path: Path) -> Any:
    """Read a .keras file.

    Raises:
        ModelError: It is not a Keras model.
    """
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ModelError(
            f"{path} cannot be read as a Keras model ({reason}): name the .keras file of a training."
        ) from error


def freeze(model: Any) -> Any:
    """Turn a Keras model into a function of one picture, its variables made constants.

    Without this step TensorFlow 2.21 fails on the variables of Keras 3 (``READ_VARIABLE``) or calls the outputs
    ``StatefulPartitionedCall``; here each output keeps the name that the model gives it.

    Args:
        model: From (N, H, W, 3) float32 to one tensor or a dict of tensors, each with N first.

    Returns:
        A tf.ConcreteFunction from (1, H, W, 3) float32 to a list of tensors, sorted by name.
    """
    shape = (1, *model.input_shape[1:])

    def call(image: Any) -> dict[str, Any]:
        return {name: tf.identity(value, name=name) for name, value in _named(model(image, training=False)).items()}

    traced = tf.function(call).get_concrete_function(tf.TensorSpec(shape, tf.float32, name=INPUT_NAME))
    graph = convert_variables_to_constants_v2(traced).graph.as_graph_def()
    imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    return imported.prune([f"{INPUT_NAME}:0"], [f"{name}:0" for name in sorted(traced.structured_outputs)])


def to_int8(function: Any, pictures: Sequence[Image]) -> bytes:
    """Quantize a frozen function to int8 inside, at its input and at its outputs.

    Args:
        function: From ``freeze``.
        pictures: What the device will see, from which the ranges are taken: (H, W, 3) uint8 RGB each.

    Returns:
        The content of a .tflite file.

    Raises:
        ModelError: The converter cannot express the model in int8.
    """
    with _quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _as_inputs(pictures)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    try:
        with _quiet():
            return bytes(converter.convert())
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ModelError(f"The model cannot be made int8 ({reason}): build it from the layers of train/.") from error


def to_float16(function: Any) -> bytes:
    """A frozen function with its weights in float16, computed in float32.

    Args:
        function: From ``freeze``.

    Returns:
        The content of a .tflite file.
    """
    with _quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        return bytes(converter.convert())


def versions() -> dict[str, str]:
    """Of the packages that shape the result."""
    return {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}


class FloatModel:
    """A frozen function as an ``edge.runtime.Model``, so that the device's own code can run it for comparison."""

    def __init__(self, function: Any) -> None:
        self.runtime = "tensorflow, float32"
        self.input = _spec(function.inputs[0])
        self.outputs = tuple(_spec(output) for output in function.outputs)
        self._function = function

    def invoke(self, values: NDArray[Any]) -> list[Tensor]:
        """Run the model once; see ``edge.runtime.Model``."""
        return [Tensor(output.numpy()) for output in self._function(tf.constant(values))]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep TensorFlow from advising a way that loses the names of the outputs, and statistics that are given."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with hushed(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Statistics for quantized inputs")
            yield
    finally:
        logger.setLevel(level)


def _named(outputs: Any) -> Mapping[str, Any]:
    return outputs if isinstance(outputs, Mapping) else {ONLY_OUTPUT_NAME: outputs}


def _as_inputs(pictures: Sequence[Image]) -> Iterator[list[NDArray[np.float32]]]:
    for picture in pictures:
        yield [normalise(picture)[None]]


def _spec(tensor: Any) -> TensorSpec:
    return TensorSpec(tensor.name.partition(":")[0], tuple(tensor.shape.as_list()), np.dtype(np.float32))

"""What a .tflite file holds, and whether the device can run all of it in int8.

Read from the file itself, by its schema: https://github.com/google-ai-edge/LiteRT/blob/main/tflite/schema/schema.fbs
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from ai_edge_litert import schema_py_generated as schema

from edge.errors import ModelError

ALLOWED_OPERATIONS = frozenset(
    {
        "ADD",
        "AVERAGE_POOL_2D",
        "CONCATENATION",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "LOGISTIC",
        "MAX_POOL_2D",
        "MEAN",
        "PAD",
        "QUANTIZE",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "SOFTMAX",
    }
)
"""All are documented as supported by the Edge TPU: https://coral.ai/docs/edgetpu/models-intro/#supported-operations"""

CHANNEL_AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
"""The axis of the weights along which each channel has its own scale."""

INPUT_SCALE = 1 / 127.5
SCALE_TOLERANCE = 0.02
PROBABILITY_SCALE = 1 / 256
PROBABILITY_ZERO = -128

MOST_INTEGERS = 16
"""Of a constant that may be axes, sizes or paddings."""

MOST_BYTES = 4 * 2**20
"""Half of the Edge TPU's on-chip memory, so that both models fit in it together."""


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """What the file says of a tensor.

    Attributes:
        name: Of the tensor.
        type: ``INT8``, ``INT32``, ``FLOAT32``, ...
        shape: With the batch.
        dynamic: Whether a side is open until the model runs.
        constant: Whether its values are in the file.
        scales: One, or one per channel; empty where it is not quantized.
        zero_points: As many.
        axis: Of the channels.
        integers: The values, where they are a few constant int32 that are not quantized: axes, sizes, paddings.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    dynamic: bool
    constant: bool
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    integers: tuple[int, ...] = ()


class Operation(NamedTuple):
    """One step.

    Attributes:
        name: In the schema; of a custom one ``CUSTOM`` and its own name.
        inputs: The tensors that it reads, absent ones left out.
        outputs: The tensors that it writes.
        options: Its numbers and switches, by their names in the schema's Python: ``dilationHFactor``.
        version: Of the operation: higher where it does what older runtimes cannot.
    """

    name: str
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    options: Mapping[str, int] = MappingProxyType({})
    version: int = 1


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a .tflite file holds."""

    size: int
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    operations: tuple[Operation, ...]

    @property
    def operation_counts(self) -> dict[str, int]:
        """How often each operation occurs, by name."""
        return dict(sorted(Counter(operation.name for operation in self.operations).items()))


class Expected(NamedTuple):
    """What a model is to take and give.

    Attributes:
        input: (1, H, W, 3).
        outputs: The shape of each output by its name.
        probabilities: Names of the outputs in [0, 1].
    """

    input: tuple[int, ...]
    outputs: Mapping[str, tuple[int, ...]]
    probabilities: frozenset[str]


def read(content: bytes) -> ModelFacts:
    """Read a .tflite file.

    Raises:
        ModelError: It is damaged, or no TFLite model with one subgraph.
    """
    try:
        model = schema.Model.GetRootAs(content, 0)
        if not schema.Model.ModelBufferHasIdentifier(content, 0) or model.SubgraphsLength() != 1:
            raise ModelError("The file is no TFLite model with a single graph: convert the trained model again.")
        return _facts(model, len(content))
    except (struct.error, IndexError, TypeError) as error:
        raise ModelError(f"The TFLite file is damaged ({error}): convert the trained model again.") from error


def check(facts: ModelFacts, expected: Expected) -> None:
    """Refuse a model that is not int8 throughout, or not what the pipeline expects.

    Raises:
        ModelError: The first fault, and what to do about it.
    """
    _check_interface(facts, expected)
    _check_operations(facts.operations)
    for operation in facts.operations:
        _check_types(operation)
        _check_channels(operation)
    if facts.size > MOST_BYTES:
        raise ModelError(
            f"The model has {facts.size:,} bytes, more than {MOST_BYTES:,}: train a narrower one, "
            "so that both models fit into the Edge TPU's memory."
        )


def _check_interface(facts: ModelFacts, expected: Expected) -> None:
    found = [tensor.shape for tensor in facts.inputs]
    if found != [expected.input]:
        raise ModelError(f"The model takes {found} instead of {[expected.input]}: convert it with the right --size.")
    outputs = {tensor.name: tensor.shape for tensor in facts.outputs}
    if outputs != dict(expected.outputs):
        raise ModelError(f"The model gives {outputs} instead of {dict(expected.outputs)}: train it with this train/.")
    for tensor in (*facts.inputs, *facts.outputs):
        if tensor.dynamic:
            raise ModelError(f"The tensor {tensor.name} has an open side: freeze the model with a batch of 1.")
        if tensor.type != "INT8":
            raise ModelError(f"The tensor {tensor.name} is {tensor.type}, not INT8: quantize inputs and outputs too.")
        if not (len(tensor.scales) == 1 and math.isfinite(tensor.scales[0]) and tensor.scales[0] > 0):
            raise ModelError(f"The tensor {tensor.name} has the scales {tensor.scales}: quantize it with one above 0.")
        if tensor.name in expected.probabilities:
            _check_probabilities(tensor)
    _check_input_range(facts.inputs[0])


def _check_input_range(tensor: TensorFacts) -> None:
    (scale,), (zero_point,) = tensor.scales, tensor.zero_points
    if abs(scale / INPUT_SCALE - 1) > SCALE_TOLERANCE or zero_point not in (-1, 0):
        raise ModelError(
            f"The input is quantized with scale {scale:.6f} and zero point {zero_point} instead of about "
            f"{INPUT_SCALE:.6f} and 0: calibrate with more pictures, so that black and white both occur."
        )


def _check_probabilities(tensor: TensorFacts) -> None:
    (scale,), (zero_point,) = tensor.scales, tensor.zero_points
    if not math.isclose(scale, PROBABILITY_SCALE) or zero_point != PROBABILITY_ZERO:
        raise ModelError(
            f"The output {tensor.name} is quantized with scale {scale:.6f} and zero point {zero_point}, "
            "which does not cover 0 to 1: end it with a sigmoid or a softmax."
        )


def _check_operations(operations: Iterable[Operation]) -> None:
    foreign = sorted({operation.name for operation in operations} - ALLOWED_OPERATIONS)
    if foreign:
        raise ModelError(
            f"The model uses {', '.join(foreign)}, which the device is not promised to run in int8: "
            f"build it from {', '.join(sorted(ALLOWED_OPERATIONS))} only."
        )


def _check_types(operation: Operation) -> None:
    for tensor in (*operation.inputs, *operation.outputs):
        allowed = ("INT8", "INT32") if tensor.constant else ("INT8",)
        if tensor.type not in allowed:
            raise ModelError(
                f"{operation.name} works on {tensor.name} in {tensor.type}, not int8: "
                "calibrate with pictures that reach this part of the model, or replace the layer."
            )
        if tensor.dynamic:
            raise ModelError(f"{operation.name} has the open shape {tensor.shape}: freeze the model with a batch of 1.")


def _check_channels(operation: Operation) -> None:
    axis = CHANNEL_AXES.get(operation.name)
    if axis is None:
        return
    weights = operation.inputs[1]
    if weights.axis != axis or len(weights.scales) != weights.shape[axis] or any(weights.zero_points):
        raise ModelError(
            f"The weights {weights.name} of {operation.name} have {len(weights.scales)} scales for "
            f"{weights.shape[axis]} channels: convert without disabling per-channel quantization."
        )


def _facts(model: Any, size: int) -> ModelFacts:
    graph = model.Subgraphs(0)
    tensors = [_tensor(model, graph.Tensors(index)) for index in range(graph.TensorsLength())]

    def pick(indices: Iterable[int]) -> tuple[TensorFacts, ...]:
        return tuple(tensors[index] for index in indices if index >= 0)

    operations = tuple(
        Operation(
            _operation_name(model, operation),
            pick(operation.Inputs(index) for index in range(operation.InputsLength())),
            pick(operation.Outputs(index) for index in range(operation.OutputsLength())),
            _options(operation),
            model.OperatorCodes(operation.OpcodeIndex()).Version(),
        )
        for operation in (graph.Operators(index) for index in range(graph.OperatorsLength()))
    )
    inputs = pick(graph.Inputs(index) for index in range(graph.InputsLength()))
    outputs = pick(graph.Outputs(index) for index in range(graph.OutputsLength()))
    return ModelFacts(size, inputs, outputs, operations)


def _tensor(model: Any, tensor: Any) -> TensorFacts:
    shape = tuple(tensor.Shape(index) for index in range(tensor.ShapeLength()))
    signature = [tensor.ShapeSignature(index) for index in range(tensor.ShapeSignatureLength())]
    quantization = tensor.Quantization()
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    if quantization is not None:
        scales = tuple(float(quantization.Scale(index)) for index in range(quantization.ScaleLength()))
        zero_points = tuple(quantization.ZeroPoint(index) for index in range(quantization.ZeroPointLength()))
    return TensorFacts(
        name=(tensor.Name() or b"").decode(),
        type=_TYPES[tensor.Type()],
        shape=shape,
        dynamic=any(side < 1 for side in (*shape, *signature)),
        constant=model.Buffers(tensor.Buffer()).DataLength() > 0,
        scales=scales,
        zero_points=zero_points,
        axis=0 if quantization is None else quantization.QuantizedDimension(),
        integers=() if scales else _integers(model.Buffers(tensor.Buffer()), _TYPES[tensor.Type()]),
    )


def _integers(buffer: Any, type_name: str) -> tuple[int, ...]:
    size = buffer.DataLength()
    if type_name != "INT32" or not 0 < size <= 4 * MOST_INTEGERS or size % 4:
        return ()
    return struct.unpack(f"<{size // 4}i", buffer.DataAsNumpy().tobytes())


def _options(operation: Any) -> dict[str, int]:
    table = operation.BuiltinOptions()
    if table is None:
        return {}
    options = schema.BuiltinOptionsCreator(operation.BuiltinOptionsType(), table)
    return {name: int(value) for name, value in vars(options).items() if isinstance(value, int)}


def _operation_name(model: Any, operation: Any) -> str:
    code = model.OperatorCodes(operation.OpcodeIndex())
    name = _OPERATIONS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
    return name if name != "CUSTOM" else f"CUSTOM {(code.CustomCode() or b'').decode()}"


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


_TYPES = _names(schema.TensorType)
_OPERATIONS = _names(schema.BuiltinOperator)

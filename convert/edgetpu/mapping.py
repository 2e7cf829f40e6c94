"""A prediction of which operations of a model the Edge TPU Compiler maps, made without the compiler.

    for one in predict(check.read(content).operations):
        print(one.operation.name, one.where, one.why)

It follows what Google documents for compiler 16 and runtime 13 or later and, where that leaves it open, what is seen in
compiled models that are public. Only the compiler decides.

Sources: https://coral.ai/docs/edgetpu/models-intro/#supported-operations (operations and their limits),
https://coral.ai/docs/edgetpu/models-intro/#compiling (one part of the graph is mapped) and
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/graph_info.cc (how a graph falls into parts).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from convert.tflite_file import Operation, TensorFacts
from edge.errors import ModelError

EIGHT_BIT = frozenset({"INT8", "UINT8"})
BATCH = 0
"""The axis of pictures that are judged together."""
MAPPED_AXES = 3
"""Innermost axes that may be longer than 1."""
MEAN_MULTIPLE = 4
"""Of the channels of a mean over channels."""
MOST_SOFTMAX = 16_000
"""Elements of a softmax, as documented."""
MOST_RESHAPED = 16_384
"""Elements of the largest reshape seen mapped; the documents only say that large ones might not be."""
SEEN_ENLARGEMENT = 2.0
"""Times a side at which resizes were seen mapped: 6 to 12, 12 to 24 and 24 to 48, in MoveNet."""
REFUSED_ENLARGEMENT = 15.0
"""Times a side from which resizes were seen left on the CPU: 1 to 33 and 33 to 513, in DeepLab."""
BASES = dict.fromkeys(
    ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), "documented; seen mapped where it enlarges as little"
)
"""Why an operation counts as mapped though its limits are not documented in figures."""
SEEN_MAPPED = frozenset({"TILE"})
"""Not documented, but mapped in a public model."""
NEWEST_SEEN = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RESIZE_BILINEAR": 3}
"""The newest version of an operation that was seen mapped; the compiler of 2021 refuses FULLY_CONNECTED 12."""
NEWEST_OTHERWISE = 2
"""The version with which most operations took to int8, in 2019."""


class Where(str, Enum):
    """Where an operation is predicted to run."""

    EDGE_TPU = "edge tpu"
    CPU = "cpu"
    UNVERIFIED = "unverified"

    def __str__(self) -> str:
        return self.value


class Predicted(NamedTuple):
    """An operation, where it is predicted to run, and why."""

    operation: Operation
    where: Where
    why: str


class Doubt(NamedTuple):
    """What speaks against mapping an operation: ``CPU`` where it is sure, ``UNVERIFIED`` where it is not."""

    where: Where
    why: str


Rule = Callable[[Operation], Doubt | None]


def predict(operations: Sequence[Operation]) -> list[Predicted]:
    """Where each operation is predicted to run, in the same order.

    Raises:
        ModelError: They depend on one another in a circle.
    """
    doubts = [doubt_of(operation) for operation in operations]
    sure = _largest_part(operations, [doubt is None for doubt in doubts])
    hoped = _largest_part(operations, [doubt is None or doubt.where is Where.UNVERIFIED for doubt in doubts])
    return [
        _conclude(operation, doubt, number in sure, number in hoped)
        for number, (operation, doubt) in enumerate(zip(operations, doubts, strict=True))
    ]


def doubt_of(operation: Operation) -> Doubt | None:
    """What speaks against mapping an operation, looked at by itself."""
    if operation.name.startswith("CUSTOM"):
        return Doubt(Where.CPU, "a custom operation")
    if operation.name in SEEN_MAPPED:
        return Doubt(Where.UNVERIFIED, "not documented, but seen mapped")
    if operation.name not in RULES:
        return Doubt(Where.CPU, "not among the operations that are documented")
    return _types(operation) or _axes(operation) or RULES[operation.name](operation) or _version(operation)


def report(name: str, predicted: Iterable[Predicted]) -> str:
    """The prediction for people: how many operations of each kind run where, and why."""
    counts = Counter((one.operation.name, one.where, one.why) for one in predicted)
    total = sum(counts.values())
    mapped = sum(count for (_, where, _), count in counts.items() if where is Where.EDGE_TPU)
    lines = [f"{name}: predicted to run on the Edge TPU: {mapped} of {total} operations; only the compiler decides"]
    lines += [
        f"  {count:4} {operation:28} {where.value:10} {why}"
        for (operation, where, why), count in sorted(counts.items())
    ]
    return "\n".join(lines)


def _conclude(operation: Operation, doubt: Doubt | None, sure: bool, hoped: bool) -> Predicted:
    if sure and hoped:
        return Predicted(operation, Where.EDGE_TPU, BASES.get(operation.name, "documented, within its limits"))
    if doubt is not None and doubt.where is Where.CPU:
        return Predicted(operation, *doubt)
    if not sure and not hoped:
        return Predicted(operation, Where.CPU, "outside the one part of the graph that is mapped")
    return Predicted(operation, *(doubt or Doubt(Where.UNVERIFIED, "depends on an operation that is unverified")))


def _largest_part(operations: Sequence[Operation], mappable: Sequence[bool]) -> frozenset[int]:
    """The largest of the parts into which TFLite cuts a graph whose operations run in two places."""
    parts = [part for part in _parts(operations, mappable) if mappable[part[0]]]
    return frozenset(max(parts, key=len, default=()))


def _parts(operations: Sequence[Operation], mappable: Sequence[bool]) -> Iterator[list[int]]:
    """Numbers of the operations of each part: as many as can run, of one kind, then of the other, and so on."""
    made = {tensor.name for operation in operations for tensor in operation.outputs}
    waiting = list(range(len(operations)))
    kind = mappable[0] if waiting else False
    stuck = False
    while waiting:
        part = []
        for number in waiting:
            operation = operations[number]
            if mappable[number] == kind and not any(tensor.name in made for tensor in operation.inputs):
                part.append(number)
                made.difference_update(tensor.name for tensor in operation.outputs)
        if part:
            yield part
        elif stuck:
            raise ModelError(
                "The model's operations wait for one another in a circle: convert the trained model again."
            )
        stuck = not part
        waiting = [number for number in waiting if number not in part]
        kind = not kind


def _types(operation: Operation) -> Doubt | None:
    allowed = EIGHT_BIT | {"INT16"} if "LSTM" in operation.name else EIGHT_BIT
    for tensor in _activations(operation):
        if tensor.type not in allowed:
            return Doubt(Where.CPU, f"works on {tensor.type.lower()}")
    return None


def _axes(operation: Operation) -> Doubt | None:
    for tensor in _activations(operation):
        if any(side < 1 for side in tensor.shape):
            return Doubt(Where.CPU, "has an open shape")
        if any(side > 1 for side in tensor.shape[:-MAPPED_AXES]):
            return Doubt(Where.CPU, f"has more than {MAPPED_AXES} axes")
    return None


def _version(operation: Operation) -> Doubt | None:
    newest = NEWEST_SEEN.get(operation.name, NEWEST_OTHERWISE)
    if operation.version > newest:
        return Doubt(
            Where.UNVERIFIED, f"its version {operation.version} is newer than {newest}, which the compiler knows"
        )
    return None


def _activations(operation: Operation) -> Iterator[TensorFacts]:
    return (tensor for tensor in (*operation.inputs, *operation.outputs) if not tensor.constant)


def _always(_: Operation) -> Doubt | None:
    return None


def _not_fused(operation: Operation) -> Doubt | None:
    return Doubt(Where.CPU, "has an activation fused into it") if operation.options["fusedActivationFunction"] else None


def _concatenation(operation: Operation) -> Doubt | None:
    if any(tensor.constant for tensor in operation.inputs):
        return Doubt(Where.UNVERIFIED, "a constant among its inputs must be all zeros, and one of two")
    return _not_fused(operation)


def _same_dilation(operation: Operation) -> Doubt | None:
    across, down = operation.options["dilationWFactor"], operation.options["dilationHFactor"]
    return None if across == down else Doubt(Where.CPU, f"its dilation is {across} across and {down} down")


def _fully_connected(operation: Operation) -> Doubt | None:
    if operation.options["weightsFormat"]:
        return Doubt(Where.CPU, "its weights are not in the default format")
    return _one_axis(operation.outputs[0], "its output")


def _one_axis(tensor: TensorFacts, what: str) -> Doubt | None:
    return Doubt(Where.CPU, f"{what} has more than one axis") if any(side > 1 for side in tensor.shape[:-1]) else None


def _softmax(operation: Operation) -> Doubt | None:
    tensor = operation.inputs[0]
    if math.prod(tensor.shape) > MOST_SOFTMAX:
        return Doubt(Where.UNVERIFIED, f"has more than {MOST_SOFTMAX:,} elements")
    return _one_axis(tensor, "its input")


def _reshape(operation: Operation) -> Doubt | None:
    if math.prod(operation.inputs[0].shape) > MOST_RESHAPED:
        return Doubt(Where.UNVERIFIED, "large reshapes might not be mapped")
    return None


def _resize(operation: Operation) -> Doubt | None:
    before, after = operation.inputs[0].shape[1:3], operation.outputs[0].shape[1:3]
    factor = max(new / old for old, new in zip(before, after, strict=True))
    if factor >= REFUSED_ENLARGEMENT:
        return Doubt(Where.CPU, f"enlarges {factor:.3g} times, too much for its precision")
    if factor > SEEN_ENLARGEMENT:
        return Doubt(Where.UNVERIFIED, f"enlarges {factor:.3g} times, which may be too much for its precision")
    return None


def _axis_constant(position: int, along: int) -> Rule:
    """A rule against touching the batch, for operations whose axes are the constant input at ``position``."""

    def rule(operation: Operation) -> Doubt | None:
        rank = len(operation.inputs[along].shape)
        return _batch({axis % rank for axis in operation.inputs[position].integers})

    return rule


def _batch(axes: set[int]) -> Doubt | None:
    return Doubt(Where.CPU, "works along the batch") if BATCH in axes else None


def _mean(operation: Operation) -> Doubt | None:
    shape = operation.inputs[0].shape
    axes = {axis % len(shape) for axis in operation.inputs[1].integers}
    if len(shape) - 1 in axes and shape[-1] % MEAN_MULTIPLE:
        return Doubt(Where.CPU, f"a mean over {shape[-1]} channels, no multiple of {MEAN_MULTIPLE}")
    return _batch(axes)


def _pack(operation: Operation) -> Doubt | None:
    return _batch({operation.options["axis"] % len(operation.outputs[0].shape)})


def _pad(operation: Operation) -> Doubt | None:
    paddings = operation.inputs[1].integers
    rank = len(operation.inputs[0].shape)
    return _batch({BATCH} if any(paddings[: 2 * (rank > MAPPED_AXES)]) else set())


def _prelu(operation: Operation) -> Doubt | None:
    return _one_axis(operation.inputs[1], "its alpha")


def _strided_slice(operation: Operation) -> Doubt | None:
    if any(stride != 1 for stride in operation.inputs[3].integers):
        return Doubt(Where.CPU, "its strides are not all 1")
    if operation.options["ellipsisMask"] or operation.options["newAxisMask"]:
        return Doubt(Where.CPU, "has an ellipsis or a new axis")
    return None


RULES: dict[str, Rule] = {
    "ADD": _always,
    "AVERAGE_POOL_2D": _not_fused,
    "CONCATENATION": _concatenation,
    "CONV_2D": _same_dilation,
    "DEPTHWISE_CONV_2D": _same_dilation,
    "EXPAND_DIMS": _always,
    "FULLY_CONNECTED": _fully_connected,
    "L2_NORMALIZATION": _always,
    "LOGISTIC": _always,
    "MAXIMUM": _always,
    "MAX_POOL_2D": _not_fused,
    "MEAN": _mean,
    "MINIMUM": _always,
    "MUL": _always,
    "PACK": _pack,
    "PAD": _pad,
    "PRELU": _prelu,
    "QUANTIZE": _always,
    "REDUCE_MAX": _axis_constant(1, along=0),
    "REDUCE_MIN": _axis_constant(1, along=0),
    "RELU": _always,
    "RELU6": _always,
    "RELU_N1_TO_1": _always,
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "RSQRT": _always,
    "SLICE": _always,
    "SOFTMAX": _softmax,
    "SPACE_TO_DEPTH": _always,
    "SPLIT": _axis_constant(0, along=1),
    "SQUARED_DIFFERENCE": _always,
    "SQUEEZE": _always,
    "STRIDED_SLICE": _strided_slice,
    "SUB": _always,
    "SUM": _axis_constant(1, along=0),
    "TANH": _always,
    "TRANSPOSE": _always,
    "TRANSPOSE_CONV": _always,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _always,
}
"""What is documented as supported, and the limits of each, for runtime 13 and later (some from 14)."""

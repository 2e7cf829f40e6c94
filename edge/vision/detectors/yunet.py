"""The head of YuNet: for each stride the probabilities of a class and of an object, offsets of the box, landmarks.

Decoded as OpenCV's FaceDetectorYN does it (modules/objdetect/src/face_detect.cpp); landmarks are left alone.
https://github.com/ShiqiYu/libfacedetection.train, https://doi.org/10.1007/s11633-023-1423-y
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.runtime import Tensor, TensorSpec
from edge.vision.detectors import Decoded
from edge.vision.detectors.maskgate import MAX_LOG_SIDE
from edge.vision.models import FaceEntry
from edge.vision.preprocess import Levels


class Level(NamedTuple):
    """Where the outputs of one stride are.

    Attributes:
        stride: Input pixels between cells.
        probabilities: Indices of the two outputs whose product is the score squared; which is which does not matter.
        offsets: Index of the output with the boxes.
        corners: (cells, 2) x and y of each cell's left top corner, in strides.
    """

    stride: int
    probabilities: tuple[int, int]
    offsets: int
    corners: NDArray[np.float32]


class YuNetHead:
    """See ``edge.vision.detectors.Head``."""

    levels = Levels(1.0, 0.0, bgr=True)

    def __init__(self, levels: Sequence[Level]) -> None:
        self._levels = levels

    def decode(self, outputs: Sequence[Tensor], threshold: float) -> Decoded:
        """All boxes whose score reaches the threshold."""
        found = [_decode_level(level, outputs, threshold) for level in self._levels]
        return Decoded(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _decode_level(level: Level, outputs: Sequence[Tensor], threshold: float) -> Decoded:
    one, other = (np.clip(outputs[index].real().reshape(-1), 0, 1) for index in level.probabilities)
    scores = np.sqrt(one * other)
    sure = np.flatnonzero(scores >= threshold)
    offsets = outputs[level.offsets].real().reshape(-1, 4)[sure]
    centres = (level.corners[sure] + offsets[:, :2]) * np.float32(level.stride)
    halves = np.exp(np.minimum(offsets[:, 2:], MAX_LOG_SIDE)) * np.float32(level.stride / 2)
    return Decoded(np.concatenate([centres - halves, centres + halves], axis=1), scores[sure])


def open_head(entry: FaceEntry, outputs: Sequence[TensorSpec]) -> YuNetHead:
    """See ``edge.vision.detectors.open_head``. Outputs may be (1, cells, n) or (1, rows, columns, n)."""
    return YuNetHead([_level(stride, entry, outputs) for stride in entry.strides])


def _level(stride: int, entry: FaceEntry, outputs: Sequence[TensorSpec]) -> Level:
    columns, rows = entry.input.width // stride, entry.input.height // stride
    probabilities, offsets = (_outputs_of(outputs, rows, columns, depth) for depth in (1, 4))
    if (len(probabilities), len(offsets)) != (2, 1):
        raise ModelError(
            f"The face model {entry.file} has not the two scores and the box of each of {columns}x{rows} cells that "
            f"its head 'yunet' needs for stride {stride}; it has {sorted(output.shape for output in outputs)}: "
            "convert it again, or correct the manifest."
        )
    y, x = np.indices((rows, columns), np.float32).reshape(2, -1)
    first, second = probabilities
    return Level(stride, (first, second), offsets[0], np.stack([x, y], axis=1))


def _outputs_of(outputs: Sequence[TensorSpec], rows: int, columns: int, depth: int) -> list[int]:
    shapes = ((1, rows * columns, depth), (1, rows, columns, depth))
    return [index for index, output in enumerate(outputs) if output.shape in shapes]

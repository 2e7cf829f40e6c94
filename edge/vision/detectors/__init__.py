"""Heads of face models: how a model's outputs become boxes. One file a head; the manifest's ``head`` names one.

    head = open_head(entry, model.outputs)
    boxes, scores = head.decode(model.invoke(picture), threshold=0.5)

A model with another head needs one more file here, with a function ``open_head``, and a line in ``DETECTORS``.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.runtime import Tensor, TensorSpec
from edge.vision.models import FaceEntry
from edge.vision.preprocess import Levels

DETECTORS: dict[str, str] = {
    "maskgate": "edge.vision.detectors.maskgate",
    "yunet": "edge.vision.detectors.yunet",
    "ssd": "edge.vision.detectors.ssd",
    "blazeface": "edge.vision.detectors.blazeface",
}
"""Head name to module, imported when it is used."""

NMS_IOU = 0.3
INSIDE = 0.7
"""When two boxes are one face; see ``best``. Chosen on photos used in training."""


class Decoded(NamedTuple):
    """``boxes`` (N, 4) float32, x0, y0, x1, y1 in pixels of the model's input; ``scores`` (N,) float32."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]


class Head(Protocol):
    """Decodes one model's outputs.

    Attributes:
        levels: What the model wants to be shown.
    """

    levels: Levels

    def decode(self, outputs: Sequence[Tensor], threshold: float) -> Decoded:
        """All boxes whose score reaches the threshold, in any order; they may overlap.

        Args:
            outputs: In the order of the model's, int8 or float32.
            threshold: Minimum score, in (0, 1).
        """
        ...


def open_head(entry: FaceEntry, outputs: Sequence[TensorSpec]) -> Head:
    """The head that a model's manifest entry names.

    Raises:
        ModelError: There is no such head, or the model's outputs are not those of it.
    """
    if entry.head not in DETECTORS:
        raise ModelError(
            f"The face model {entry.file} has the head {entry.head!r}, which this version does not know; "
            f"it knows: {', '.join(DETECTORS)}. Correct the manifest, or update maskgate."
        )
    module = importlib.import_module(DETECTORS[entry.head])
    return cast("Head", module.open_head(entry, outputs))


def best(found: Decoded, nms_iou: float, max_faces: int) -> Decoded:
    """Each face once, best first, by greedy non-maximum suppression.

    Two boxes are the same face if their IoU exceeds ``nms_iou``, or if they share more than ``INSIDE`` of the smaller
    one: a box round a mouth or a cheek overlaps the whole face too little for the IoU.

    Args:
        found: May overlap.
        nms_iou: IoU in (0, 1).
        max_faces: Maximum number of boxes returned.
    """
    if not len(found.scores):
        return found
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    left_top_size = np.concatenate([found.boxes[:, :2], sides], axis=1)
    kept = cv2.dnn.NMSBoxes(left_top_size.tolist(), found.scores.tolist(), 0.0, nms_iou)
    chosen: NDArray[np.intp] = np.asarray(kept, np.intp).reshape(-1)
    if len(chosen) > 1:
        chosen = chosen[_not_parts(found.boxes[chosen])]
    return Decoded(found.boxes[chosen[:max_faces]], found.scores[chosen[:max_faces]])


def _not_parts(boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Of (N, 4) boxes, best first, those that share at most ``INSIDE`` of the smaller one with a better one."""
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    sides = np.maximum(np.minimum(high, boxes[:, 2:]) - np.maximum(low, boxes[:, :2]), 0)
    common = sides[..., 0] * sides[..., 1]
    area = common.diagonal()
    shared = common > INSIDE * np.minimum(area[:, None], area)
    if np.count_nonzero(shared) == np.count_nonzero(area):  # as nearly always: each only with itself
        return np.ones(len(boxes), np.bool_)
    parts: NDArray[np.bool_] = np.logical_or.reduce(np.triu(shared, 1), axis=0)
    return ~parts


def output_with(outputs: Sequence[TensorSpec], shape: tuple[int, ...], entry: FaceEntry) -> int:
    """Which output has that shape: the converter may have reordered them.

    Raises:
        ModelError: None has.
    """
    shapes = [output.shape for output in outputs]
    if shape not in shapes:
        raise ModelError(
            f"The face model {entry.file} has no output of shape {shape}, which its head {entry.head!r} needs; "
            f"it has {sorted(shapes)}: convert it again, or correct the manifest."
        )
    return shapes.index(shape)

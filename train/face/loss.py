"""The face detector's loss: SimOTA assignment, quality focal loss for scores, CIoU loss for boxes.

Everything is written in ``keras.ops`` and vectorised over the batch, so that it runs on every backend.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from train.face.model import STRIDES

FACE, PADDING, IGNORE = 1.0, 0.0, -1.0
"""The last column of a target: a face to find, an unused row, a region that counts neither way."""

REACH = 4
"""Side, in cells, of the square around a face's centre whose cells may find it, on each stride."""

LARGEST_IN_STRIDES = 10
"""The longest side of a face that a stride below the last may find, in strides."""

MAX_MATCHES = 10
IOU_COST = 3.0
OUTSIDE_COST = 1e2
"""Of a cell whose centre is outside the face: taken only where none is inside."""

IMPOSSIBLE_COST = 1e6
BBOX_WEIGHT = 2.0
LOG_SIDE_LIMIT = 6.0
LEAST_TAUGHT = 0.05
"""Where both detectors score less, there is nothing to learn from one another: nearly all cells of a picture."""

EPSILON = 1e-6


class Cells(NamedTuple):
    """The cells of all output maps, flattened one stride after the other, in pixels of the input.

    Attributes:
        centres: (A, 2) float32, x and y.
        strides: (A,) float32.
        candidates: Where to look for cells near a face.
    """

    centres: NDArray[np.float32]
    strides: NDArray[np.float32]
    candidates: Candidates


class Candidates(NamedTuple):
    """The C cells around a face's centre that may find it, over all strides.

    Attributes:
        steps: (C, 2) float32, columns and rows from the top left one.
        strides: (C,) float32.
        shapes: (C, 2) float32, columns and rows of the map.
        starts: (C,) int32, index of the map's first cell.
    """

    steps: NDArray[np.float32]
    strides: NDArray[np.float32]
    shapes: NDArray[np.float32]
    starts: NDArray[np.int32]


class Predictions(NamedTuple):
    """The model's outputs, flattened: ``scores`` (N, A) in [0, 1], ``boxes`` (N, A, 4) as x0, y0, x1, y1 in pixels."""

    scores: Any
    boxes: Any


class Assignment(NamedTuple):
    """What each cell is to say.

    Attributes:
        positive: (N, A) bool, whether the cell is to find a face.
        boxes: (N, A, 4), the face's box in pixels; meaningless where not positive.
        iou: (N, A) of the cell's present prediction with that face, 0 where not positive.
        ignored: (N, A) bool, neither positive nor to be pushed down.
    """

    positive: Any
    boxes: Any
    iou: Any
    ignored: Any


def cells(width: int, height: int) -> Cells:
    """Lay out the cells of an input of ``width`` x ``height`` pixels."""
    maps = [(s, width // s, height // s) for s in STRIDES]
    steps = np.stack(np.meshgrid(np.arange(REACH), np.arange(REACH)), -1).reshape(-1, 2)
    starts = np.cumsum([0, *(columns * rows for _, columns, rows in maps)])[:-1]
    candidates = Candidates(
        np.tile(steps, (len(maps), 1)).astype(np.float32),
        np.repeat([s for s, _, _ in maps], len(steps)).astype(np.float32),
        np.repeat([shape for _, *shape in maps], len(steps), axis=0).astype(np.float32),
        np.repeat(starts, len(steps)).astype(np.int32),
    )
    centres, strides = [], []
    for stride, columns, rows in maps:
        x, y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
        centres.append(np.stack([x, y], -1).reshape(-1, 2) * stride)
        strides.append(np.full(x.size, stride))
    return Cells(np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32), candidates)


def flatten(outputs: Mapping[str, Any], grid: Cells) -> Predictions:
    """Decode the six output maps (see ``build_face_model``) and join them in the order of ``cells``."""
    scores = [ops.reshape(outputs[f"score_{s}"], (-1, math.prod(outputs[f"score_{s}"].shape[1:]))) for s in STRIDES]
    raw = [ops.reshape(outputs[f"bbox_{s}"], (-1, math.prod(outputs[f"bbox_{s}"].shape[1:3]), 4)) for s in STRIDES]
    offsets = ops.concatenate(raw, axis=1)
    strides = grid.strides[:, None]
    centres = grid.centres + offsets[..., :2] * strides
    half = ops.exp(ops.clip(offsets[..., 2:], -LOG_SIDE_LIMIT, LOG_SIDE_LIMIT)) * strides / 2
    return Predictions(ops.concatenate(scores, axis=1), ops.concatenate([centres - half, centres + half], axis=-1))


def assign(targets: Any, predictions: Predictions, grid: Cells) -> Assignment:
    """Choose for each face the cells that find it at the least cost, and how many, from the present predictions.

    SimOTA (YOLOX, https://arxiv.org/abs/2107.08430, section 2.1), with two additions: a stride only takes faces of
    a size that it can see, and ignore regions.

    Args:
        targets: (N, G, 5) float32: x0, y0, x1, y1 in pixels of the input and one of ``FACE``, ``PADDING``, ``IGNORE``.
        predictions: Of the same N pictures.
        grid: The A cells.
    """
    faces = targets[..., :4]
    index, possible = _candidates(faces, grid.candidates)
    possible = ops.logical_and(possible, targets[..., 4:] == FACE)
    flat = ops.reshape(index, (-1, math.prod(index.shape[1:])))
    shape = (-1, *index.shape[1:])
    scores = ops.reshape(ops.take_along_axis(predictions.scores, flat, axis=1), shape)
    boxes = ops.reshape(ops.take_along_axis(predictions.boxes, flat[..., None], axis=1), (*shape, 4))
    iou = ops.where(possible, _iou(faces[:, :, None], boxes), 0.0)
    centres = ops.take(grid.centres, index, axis=0)
    outside = ops.any(centres < faces[:, :, None, :2], axis=-1) | ops.any(centres > faces[:, :, None, 2:], axis=-1)
    cost = -ops.log(ops.maximum(scores, EPSILON)) - IOU_COST * ops.log(iou + EPSILON)
    cost = ops.where(possible, cost + OUTSIDE_COST * ops.cast(outside, cost.dtype), IMPOSSIBLE_COST)

    matches = ops.cast(ops.sum(ops.top_k(iou, MAX_MATCHES)[0], axis=-1, keepdims=True), "int32")
    rank = ops.argsort(ops.argsort(cost, axis=-1), axis=-1)
    chosen = rank < ops.clip(matches, 1, MAX_MATCHES)
    cost = ops.where(ops.logical_and(chosen, possible), cost, IMPOSSIBLE_COST)

    face = _cheapest_face(cost, index, len(grid.strides))
    positive = face >= 0
    matched = ops.take_along_axis(faces, ops.maximum(face, 0)[..., None], axis=1)
    return Assignment(
        positive,
        matched,
        ops.where(positive, _iou(predictions.boxes, matched), 0.0),
        ops.logical_and(_ignored(targets, grid), ops.logical_not(positive)),
    )


def detection_loss(targets: Any, outputs: Mapping[str, Any], grid: Cells, taught: Any = None) -> tuple[Any, Any]:
    """The score loss and the weighted box loss of a batch, each a scalar per positive cell.

    Scores: quality focal loss (https://arxiv.org/abs/2006.04388, equation 2 with beta = 2), whose target is the square
    root of the IoU of the cell's own box, because boxes of small faces fit less well and are faces as surely. Boxes:
    CIoU loss (https://arxiv.org/abs/1911.08287).

    Args:
        targets: As in ``assign``.
        outputs: The model's six maps.
        grid: The cells of the model's input.
        taught: (N, A), scores of another detector to learn where no annotated face is, see ``train.face.distil``.
    """
    predictions = flatten(outputs, grid)
    found = assign(targets, Predictions(*(ops.stop_gradient(part) for part in predictions)), grid)
    positive = ops.cast(found.positive, "float32")
    count = ops.maximum(ops.sum(positive), 1.0)

    scores = ops.clip(predictions.scores, EPSILON, 1 - EPSILON)
    quality = ops.sqrt(ops.maximum(found.iou, EPSILON**2))
    entropy = -(quality * ops.log(scores) + (1 - quality) * ops.log(1 - scores))
    focal = ops.square(scores - quality) * entropy * (1 - ops.cast(found.ignored, "float32"))
    if taught is not None:
        focal = focal + _divergence(taught, scores) * (1 - positive)
    bbox = (1 - _ciou(predictions.boxes, found.boxes)) * positive
    return ops.sum(focal) / count, BBOX_WEIGHT * ops.sum(bbox) / count


def _divergence(taught: Any, scores: Any) -> Any:
    """Kullback-Leibler, per cell, where either of the two takes something for a face."""
    wanted = ops.clip(taught, EPSILON, 1 - EPSILON)
    lost = wanted * ops.log(wanted / scores) + (1 - wanted) * ops.log((1 - wanted) / (1 - scores))
    doubtful = ops.maximum(wanted, ops.stop_gradient(scores)) > LEAST_TAUGHT
    return lost * ops.cast(doubtful, "float32")


class FaceTrainer(keras.Model):  # type: ignore[misc]
    """Trains a detector by ``detection_loss``.

    Args:
        detector: From ``build_face_model``.
    """

    def __init__(self, detector: keras.Model) -> None:
        super().__init__(name="face_trainer")
        self.detector = detector
        _, height, width, _ = detector.input_shape
        self.grid = cells(width, height)
        self.score_loss = keras.metrics.Mean(name="score_loss")
        self.bbox_loss = keras.metrics.Mean(name="bbox_loss")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """(N, H, W, 3) float32 RGB in [-1, 1] to the six output maps."""
        return self.detector(inputs, training=training)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:  # noqa: ARG002
        """The sum of both losses, each also kept as a metric."""
        targets, taught = y if isinstance(y, (tuple, list)) else (y, None)
        score_loss, bbox_loss = detection_loss(targets, y_pred, self.grid, taught)
        self.score_loss.update_state(score_loss)
        self.bbox_loss.update_state(bbox_loss)
        return score_loss + bbox_loss


def _candidates(faces: Any, near: Candidates) -> tuple[Any, Any]:
    """For each face (N, G, 4) the indices of the C cells around its centre, and whether they may find it."""
    centre = (faces[..., None, :2] + faces[..., None, 2:]) / 2 / near.strides[:, None]
    place = ops.floor(centre - (REACH - 1) / 2) + near.steps
    exists = ops.all(ops.logical_and(place >= 0, place < near.shapes), axis=-1)
    place = ops.clip(place, 0, near.shapes - 1)
    index = near.starts + ops.cast(place[..., 1] * near.shapes[:, 0] + place[..., 0], "int32")
    long_side = ops.max(faces[..., 2:] - faces[..., :2], axis=-1, keepdims=True)
    not_too_large = ops.logical_or(long_side <= LARGEST_IN_STRIDES * near.strides, near.strides == STRIDES[-1])
    not_too_small = ops.logical_or(long_side >= near.strides, near.strides == STRIDES[0])
    return index, ops.logical_and(exists, ops.logical_and(not_too_large, not_too_small))


def _cheapest_face(cost: Any, index: Any, count: int) -> Any:
    """For each of ``count`` cells the number of the face that it finds at the least cost, or -1: (N, A) int32.

    Args:
        cost: (N, G, C), ``IMPOSSIBLE_COST`` where not chosen.
        index: (N, G, C), the cell.
        count: Of cells, A.
    """
    pictures = ops.shape(cost)[0]
    segment = ops.reshape(index + ops.arange(pictures, dtype="int32")[:, None, None] * count, (-1,))
    flat = ops.reshape(cost, (-1,))
    least = ops.segment_max(-flat, segment, num_segments=pictures * count)
    wins = ops.logical_and(flat < IMPOSSIBLE_COST, -flat >= ops.take(least, segment))
    number = ops.reshape(ops.arange(1, cost.shape[1] + 1, dtype="int32")[:, None] + ops.zeros_like(index), (-1,))
    face = ops.segment_max(ops.where(wins, number, 0), segment, num_segments=pictures * count)
    return ops.reshape(ops.maximum(face, 0), (-1, count)) - 1


def _ignored(targets: Any, grid: Cells) -> Any:
    """(N, A) bool: the cells that touch an ignore region."""
    boxes = targets[:, :, None, :4]
    offset = ops.abs(grid.centres - (boxes[..., :2] + boxes[..., 2:]) / 2)
    touches = ops.all(offset < (boxes[..., 2:] - boxes[..., :2] + grid.strides[:, None]) / 2, axis=-1)
    return ops.any(ops.logical_and(touches, targets[..., 4:] == IGNORE), axis=1)


def _iou(a: Any, b: Any) -> Any:
    low = ops.maximum(a[..., :2], b[..., :2])
    high = ops.minimum(a[..., 2:], b[..., 2:])
    overlap = _area(ops.maximum(high - low, 0.0))
    union = _area(a[..., 2:] - a[..., :2]) + _area(b[..., 2:] - b[..., :2]) - overlap
    return overlap / ops.maximum(union, EPSILON)


def _area(sides: Any) -> Any:
    return sides[..., 0] * sides[..., 1]


def _ciou(a: Any, b: Any) -> Any:
    """Complete IoU: IoU less the centres' distance and the difference of aspect ratios."""
    hull = ops.maximum(a[..., 2:], b[..., 2:]) - ops.minimum(a[..., :2], b[..., :2])
    diagonal = ops.sum(ops.square(hull), axis=-1) + EPSILON
    gap = ops.sum(ops.square(a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]), axis=-1) / 4
    iou = _iou(a, b)
    difference = ops.square(_aspect_angle(a) - _aspect_angle(b)) * (4 / math.pi**2)
    weight = ops.stop_gradient(difference / (1 - iou + difference + EPSILON))
    return iou - gap / diagonal - weight * difference


def _aspect_angle(boxes: Any) -> Any:
    sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], EPSILON)
    return ops.arctan(sides[..., 0] / sides[..., 1])

"""The head of our own detector: for each stride a score map and a bbox map, which the converter may swap."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.runtime import Quantization, Tensor, TensorSpec
from edge.vision.detectors import Decoded, best
from edge.vision.models import FaceEntry
from edge.vision.preprocess import SYMMETRIC

MAX_LOG_SIDE = 6.0
"""Maximum predicted side in strides, as in training: keeps extreme outputs from overflowing."""


class Layout(NamedTuple):
    """Where a face model's maps lie in its input.

    Attributes:
        width: Of the model's input, in pixels.
        height: Of the model's input, in pixels.
        strides: Input pixels between cells of each pair of maps.
    """

    width: int
    height: int
    strides: tuple[int, ...]


class MaskgateHead:
    """See ``edge.vision.detectors.Head`` and ``decode``."""

    levels = SYMMETRIC

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def decode(self, outputs: Sequence[Tensor], threshold: float) -> Decoded:
        """All boxes whose score reaches the threshold."""
        return decode_all(outputs, self._layout, threshold)


def open_head(entry: FaceEntry, outputs: Sequence[TensorSpec]) -> MaskgateHead:
    """See ``edge.vision.detectors.open_head``."""
    layout = Layout(entry.input.width, entry.input.height, entry.strides)
    pair_maps([output.shape for output in outputs], layout)
    return MaskgateHead(layout)


def decode(outputs: Sequence[Tensor], layout: Layout, threshold: float, nms_iou: float, max_faces: int) -> Decoded:
    """``decode_all``, then ``best``."""
    return best(decode_all(outputs, layout, threshold), nms_iou, max_faces)


def decode_all(outputs: Sequence[Tensor], layout: Layout, threshold: float) -> Decoded:
    """Turn a face model's maps into boxes; only cells above the threshold are converted to floats.

    For each stride s a score map (1, height/s, width/s, 1) in [0, 1] and a bbox map (1, height/s, width/s, 4) of
    (dx, dy, log_w, log_h): cx = (column + 0.5 + dx) * s, cy = (row + 0.5 + dy) * s, w = exp(log_w) * s and
    h = exp(log_h) * s, as in YOLOX (https://arxiv.org/abs/2107.08430).

    Args:
        outputs: In any order, int8 or float32: they are told apart by shape.
        layout: Of the maps.
        threshold: Minimum score, in (0, 1).

    Raises:
        ModelError: A map is missing.
    """
    pairs = pair_maps([output.values.shape for output in outputs], layout)
    scores, bboxes = [outputs[score] for score, _ in pairs], [outputs[bbox] for _, bbox in pairs]
    score_steps = tuple(score.quantization for score in scores)
    stored = np.concatenate([score.values for score in scores], axis=None)
    hits = np.flatnonzero(stored >= _least_stored(layout, score_steps, threshold))
    if not hits.size:
        return Decoded(np.empty((0, 4), np.float32), np.empty(0, np.float32))
    offsets = np.concatenate([bbox.values.reshape(-1, 4) for bbox in bboxes])
    cells = _cells(layout, score_steps, tuple(bbox.quantization for bbox in bboxes))
    return _decode_cells(stored[hits], offsets[hits], cells[hits])


def pair_maps(shapes: Sequence[tuple[int, ...]], layout: Layout) -> list[tuple[int, int]]:
    """The score and bbox map of each stride, found by shape: the converter may swap outputs.

    Raises:
        ModelError: A map is missing.
    """
    index = {shape: position for position, shape in enumerate(shapes)}
    pairs = []
    for stride in layout.strides:
        cells = (1, layout.height // stride, layout.width // stride)
        score, bbox = index.get((*cells, 1)), index.get((*cells, 4))
        if score is None or bbox is None:
            raise ModelError(
                f"The face model has no score and bbox map of {cells[2]}x{cells[1]} cells for stride {stride}; "
                f"it has {sorted(index)}: convert it again, or correct its manifest."
            )
        pairs.append((score, bbox))
    return pairs


@lru_cache
def _least_stored(layout: Layout, score_steps: tuple[Quantization, ...], threshold: float) -> NDArray[np.float32]:
    """The score of every cell that just reaches the threshold, (cells,), as a model stores it."""
    counts = [(layout.height // stride) * (layout.width // stride) for stride in layout.strides]
    return np.repeat([step.stored(threshold) for step in score_steps], counts).astype(np.float32)


@lru_cache
def _cells(
    layout: Layout, score_steps: tuple[Quantization, ...], bbox_steps: tuple[Quantization, ...]
) -> NDArray[np.float32]:
    """The decoding parameters of every cell, map by map and row by row, so that one pass decodes them all.

    Returns:
        (cells, 8) float32: zero point and scale of its score, zero point and scale of its offsets, (x, y) of its middle
        in strides, its stride and half its stride in pixels of the model's input.
    """
    blocks = []
    for stride, score, bbox in zip(layout.strides, score_steps, bbox_steps, strict=True):
        y, x = np.indices((layout.height // stride, layout.width // stride)).reshape(2, -1) + 0.5
        block = np.empty((len(x), 8), np.float32)
        block[:] = (score.zero_point, score.scale, bbox.zero_point, bbox.scale, 0, 0, stride, stride / 2)
        block[:, 4], block[:, 5] = x, y
        blocks.append(block)
    return np.concatenate(blocks)


def _decode_cells(scores: NDArray[Any], offsets: NDArray[Any], cells: NDArray[np.float32]) -> Decoded:
    """Boxes of some cells: (N,) scores and (N, 4) offsets as stored, (N, 8) as ``_cells`` gives them."""
    real = (offsets - cells[:, 2:3]) * cells[:, 3:4]
    centres = (cells[:, 4:6] + real[:, :2]) * cells[:, 6:7]
    halves = np.exp(np.minimum(real[:, 2:], MAX_LOG_SIDE)) * cells[:, 7:]
    boxes = np.concatenate([centres - halves, centres + halves], axis=1)
    return Decoded(boxes, (scores - cells[:, 0]) * cells[:, 1])

"""Which boxes are of the same face."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.values import BBox, Face

SAME_FACE = 0.3
"""Minimum IoU of a found box and an annotated one of the same face."""

Boxes = NDArray[np.float32]
"""(N, 4) float32: x0, y0, x1, y1 in pixels."""


def match(bboxes: Sequence[BBox], faces: Sequence[Face], iou: float) -> list[int | None]:
    """Pair faces with annotated ones one to one: the surest first, each with the free one that it overlaps most.

    Args:
        bboxes: Of the annotated faces.
        faces: Detected faces, in any order.
        iou: Least overlap of a pair, in (0, 1].

    Returns:
        For each annotated face the index of its found one, or None.
    """
    pairs: list[int | None] = [None] * len(bboxes)
    for index in sorted(range(len(faces)), key=lambda index: -faces[index].score):
        overlaps = [
            faces[index].bbox.iou(bbox) if pair is None else 0.0 for bbox, pair in zip(bboxes, pairs, strict=True)
        ]
        best = max(range(len(bboxes)), key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] >= iou:
            pairs[best] = index
    return pairs


def ious(boxes: Boxes, others: Boxes) -> NDArray[np.float32]:
    """Intersection over union of each box with each other: (N, M)."""
    low, high = np.maximum(boxes[:, None, :2], others[:, :2]), np.minimum(boxes[:, None, 2:], others[:, 2:])
    overlap = np.prod(np.maximum(high - low, 0), axis=-1)
    union = _areas(boxes)[:, None] + _areas(others) - overlap
    return overlap / np.maximum(union, 1e-6)  # type: ignore[no-any-return]


def _areas(boxes: Boxes) -> NDArray[np.float32]:
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)  # type: ignore[no-any-return]

"""What the peers' decoders share: boxes as fractions of a picture, the best of those that overlap."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.values import BBox, Face, Image

Boxes = NDArray[np.float32]
"""(N, 4) float32: x0, y0, x1, y1, as fractions of the picture."""

Scores = NDArray[np.float32]
"""(N,) float32 in [0, 1]."""


def from_centres(centres: NDArray[np.float32], sides: NDArray[np.float32]) -> Boxes:
    """Corners from (N, 2) centres and (N, 2) widths and heights."""
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)


def grid(columns: int, rows: int) -> NDArray[np.float32]:
    """The centres of a grid's cells as fractions, (rows * columns, 2), row by row."""
    x, y = np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def best(boxes: Boxes, scores: Scores, iou: float) -> NDArray[np.intp]:
    """Indices of the boxes that greedy non-maximum suppression keeps, the best first.

    Args:
        boxes: (N, 4).
        scores: (N,).
        iou: Boxes that overlap a better one by more are dropped, IoU in (0, 1).
    """
    if not len(boxes):
        return np.empty(0, np.intp)
    left_top_size = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(left_top_size.tolist(), scores.tolist(), 0.0, iou)
    return np.asarray(kept, np.intp).reshape(-1)


def faces(image: Image, boxes: Boxes, scores: Scores) -> list[Face]:
    """Boxes as faces of a picture, (H, W, 3), in its pixels and clipped to it; what lies outside becomes empty."""
    height, width = image.shape[:2]
    inside = np.clip(boxes, 0, 1) * np.array([width, height, width, height], np.float32)
    return [Face(BBox(*box), score) for box, score in zip(inside.tolist(), scores.tolist(), strict=True)]


def not_empty(found: Iterable[Face]) -> list[Face]:
    """Those with an area."""
    return [face for face in found if face.bbox.area > 0]

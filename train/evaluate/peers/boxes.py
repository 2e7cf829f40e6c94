"""What the peers' decoders share: boxes as fractions of a picture, the best of those that overlap."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.values import BBox, Face, Image
from edge.vision.detectors.anchors import Boxes

Scores = NDArray[np.float32]
"""(N,) float32 in [0, 1]."""


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

"""Which faces are hard: those that the model which a training starts from misses, or doubts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.values import BBox, Face
from train.face.data import Photo, read_image
from train.face.figures import Predict, detect

LEAST_IOU = 0.4
"""A box that overlaps an annotated face less has not found it."""

PART = 256
"""Photos between two lines of progress."""


def weigh(
    photos: Sequence[Photo], predict: Predict, size: tuple[int, int], cache: Path, say: Callable[[str], None]
) -> list[Photo]:
    """Give photos the hardness of their faces: 1 less the score of the surest box on each.

    Args:
        photos: To go through.
        predict: Runs the model that training starts from.
        size: Width and height of its input, in pixels.
        cache: JSON of what was found, so that a resumed run weighs alike without looking again.
        say: Receives progress, one line at a time.
    """
    known: dict[str, list[float]] = json.loads(cache.read_text("utf-8")) if cache.exists() else {}
    unseen = [photo for photo in photos if str(photo.path) not in known]
    for start in range(0, len(unseen), PART):
        part = unseen[start : start + PART]
        for photo, faces in zip(part, detect((read_image(p.path) for p in part), predict, *size), strict=True):
            known[str(photo.path)] = np.round(hardness(photo.boxes, faces), 3).tolist()
        say(f"how hard faces are: {start + len(part)} of {len(unseen)} photos seen")
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text(json.dumps(known), "utf-8")
    return [replace(photo, hardness=np.array(known[str(photo.path)], np.float32)) for photo in photos]


def hardness(boxes: NDArray[np.float32], found: Sequence[Face]) -> NDArray[np.float32]:
    """Of each face, (N, 4) in pixels of the photo, 1 less the score of the surest of ``found`` on it: (N,)."""
    best = np.zeros(len(boxes), np.float32)
    for index, box in enumerate(boxes):
        bbox = BBox(*(float(edge) for edge in box))
        best[index] = max((face.score for face in found if face.bbox.iou(bbox) >= LEAST_IOU), default=0.0)
    return 1 - best

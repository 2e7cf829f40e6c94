"""What the model that a training starts from makes of its photos: which faces are hard, and what nobody annotated."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.values import BBox, Face
from train.face_data import Photo, overlaps, read_image
from train.face_eval import Predict, detect

LEAST_IOU = 0.4
"""A box that overlaps an annotated face less has not found it."""

DOUBTFUL = 0.3
"""From this score on, what the model finds and nobody annotated counts neither way."""

SEEN_TOO = 0.4
"""From this score on, it is a face where the teacher saw something there as well."""

PART = 256
"""Photos between two lines of progress."""


def look_again(
    photos: Sequence[Photo], predict: Predict, size: tuple[int, int], cache: Path, say: Callable[[str], None]
) -> list[list[Face]]:
    """Find the faces of photos with the model that training starts from, down to a score of ``LEAST_SCORE``.

    Args:
        photos: To go through.
        predict: Runs the model.
        size: Width and height of its input, in pixels.
        cache: JSON of what was found, so that a resumed run need not look again.
        say: Receives progress, one line at a time.
    """
    known: dict[str, list[list[float]]] = json.loads(cache.read_text("utf-8")) if cache.exists() else {}
    unseen = [photo for photo in photos if str(photo.path) not in known]
    for start in range(0, len(unseen), PART):
        part = unseen[start : start + PART]
        for photo, faces in zip(part, detect((read_image(p.path) for p in part), predict, *size), strict=True):
            known[str(photo.path)] = [[*np.round(face.bbox, 1).tolist(), round(face.score, 3)] for face in faces]
        say(f"the model to start from has seen {start + len(part)} of {len(unseen)} photos")
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text(json.dumps(known), "utf-8")
    return [[Face(BBox(*box), score) for *box, score in known[str(photo.path)]] for photo in photos]


def weigh(photo: Photo, found: Sequence[Face]) -> Photo:
    """``photo`` with the hardness of its faces."""
    return replace(photo, hardness=hardness(photo.boxes, found))


def hardness(boxes: NDArray[np.float32], found: Sequence[Face]) -> NDArray[np.float32]:
    """Of each face, (N, 4) in pixels of the photo, 1 less the score of the surest of ``found`` on it: (N,)."""
    best = np.zeros(len(boxes), np.float32)
    for index, box in enumerate(boxes):
        bbox = BBox(*(float(edge) for edge in box))
        best[index] = max((face.score for face in found if face.bbox.iou(bbox) >= LEAST_IOU), default=0.0)
    return 1 - best


def reconsider(photo: Photo, found: Sequence[Face]) -> Photo:
    """``photo`` with what the model found and nobody annotated.

    It counts neither way, as no label says what it is; where an ignore region, a teacher's doubt, is in the same place,
    two have seen it, and that region becomes a face.
    """
    doubted = [BBox(*(float(edge) for edge in box)) for box in photo.ignore]
    seen_by_both = np.array([_surest_on(box, found) >= SEEN_TOO for box in doubted], bool)
    faces = np.concatenate([photo.boxes, photo.ignore[seen_by_both]])
    rest = [np.array(face.bbox, np.float32) for face in found if face.score >= DOUBTFUL]
    unknown = np.array([box for box in rest if not overlaps(box, faces)], np.float32).reshape(-1, 4)
    return replace(photo, boxes=faces, ignore=np.concatenate([photo.ignore[~seen_by_both], unknown]))


def _surest_on(box: BBox, found: Sequence[Face]) -> float:
    return max((face.score for face in found if face.bbox.iou(box) >= LEAST_IOU), default=0.0)

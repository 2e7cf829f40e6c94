"""The boxes that a confirmation model learns from: what the face model takes for a face, rightly or wrongly."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.commands.check import STILL_MAX_FACES
from edge.config import Config
from edge.values import BBox, Frame
from edge.vision.closer import CloserDetector
from edge.vision.face_detector import Detector
from edge.vision.pipeline import open_face_model
from train.common.matching import ious
from train.common.terminal import progress
from train.face.data import Photo, read_image
from train.face.teacher import FUSED, Found, Trust, doubting, read_found

LEAST_SCORE = 0.2
"""Minimum score of a candidate; faces of lower scores are not worth a second look."""

IN_TILES = 0.01
"""Added to the minimum score in tiles, because there are many of them."""

CLOSELY = 3
"""One training photo in this many is also searched in tiles, as ``maskgate check`` does: tiles show other mistakes."""

SAME, UNCLEAR = 0.4, 0.3
"""A candidate is a face from the first IoU with an annotated face on, and not a face below the second; between them it
is left out."""

ON_IGNORED = 0.25
"""Minimum IoU with an ignore region for a candidate to be left out."""

SEEN_BY_TEACHER = 0.3
"""Minimum IoU of a candidate with a box that the teachers found."""

SMALLEST = 6.0
"""Minimum short side of a candidate, in pixels of the photo."""


class Candidate(NamedTuple):
    """A box that may hold a face.

    Attributes:
        photo: The image file.
        source: Of the photo.
        box: x0, y0, x1, y1 in pixels of the photo.
        score: From the face model; 0 for an annotated face that it misses.
        face: Whether it is a face.
    """

    photo: Path
    source: str
    box: BBox
    score: float
    face: bool


def find(
    photos: Sequence[Photo], teachers: Path | None, thorough: Collection[str] = (), *, closely: bool = False
) -> list[Candidate]:
    """The candidates in photos for which annotators or teachers tell whether they are faces.

    Args:
        photos: With their annotations.
        teachers: What ``python -m train.face.fuse`` wrote of them, or None.
        thorough: Sources whose annotators are trusted more than the teachers; see ``train.face.teacher.doubting``.
        closely: Also search one photo in ``CLOSELY`` in tiles.

    Raises:
        ConfigError: A photo cannot be decoded, or the teachers do not tell of one.
        ModelError: The face model cannot be run.
    """
    detector = open_face_model(Config(), STILL_MAX_FACES)
    closer = CloserDetector(detector, STILL_MAX_FACES)
    seen = read_found(photos, teachers) if teachers else [np.empty((0, 5), np.float32)] * len(photos)
    found: list[Candidate] = []
    for photo, rows in progress(list(zip(photos, seen, strict=True)), "Finding candidates"):
        trust = doubting(FUSED) if photo.source in thorough else FUSED
        tiles = closer if closely and _every(photo.path, CLOSELY) else None
        found += _candidates(photo, rows, trust, detector, tiles)
    return found


def _every(path: Path, count: int) -> bool:
    return int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % count == 0


def _candidates(
    photo: Photo, rows: Found, trust: Trust, detector: Detector, closer: Detector | None
) -> list[Candidate]:
    frame = Frame.still(read_image(photo.path))
    faces = detector.detect(frame, LEAST_SCORE)
    if closer:
        faces += closer.detect(frame, LEAST_SCORE + IN_TILES)
    boxes = np.array([face.bbox for face in faces], np.float32).reshape(-1, 4)
    verdicts = _verdicts(boxes, photo, rows, trust)
    found = [
        Candidate(photo.path, photo.source, face.bbox, face.score, verdict)
        for face, verdict in zip(faces, verdicts, strict=True)
        if verdict is not None and face.bbox.short_side >= SMALLEST
    ]
    missed = photo.boxes[_largest(ious(photo.boxes, boxes)) < UNCLEAR]
    shown = [BBox(*corners) for corners in missed.tolist()]
    return found + [Candidate(photo.path, photo.source, box, 0.0, True) for box in shown if box.short_side >= SMALLEST]


def _verdicts(boxes: NDArray[np.float32], photo: Photo, rows: Found, trust: Trust) -> list[bool | None]:
    """Whether each box is a face; None where nobody can tell."""
    annotated, ignored = _largest(ious(boxes, photo.boxes)), _largest(ious(boxes, photo.ignore))
    seen = np.where(ious(boxes, rows[:, :4]) >= SEEN_BY_TEACHER, rows[:, 4], 0.0)
    return [
        _verdict(*each, trust)
        for each in zip(annotated.tolist(), ignored.tolist(), _largest(seen).tolist(), strict=True)
    ]


def _verdict(annotated: float, ignored: float, teachers: float, trust: Trust) -> bool | None:
    if annotated >= SAME or teachers >= trust.sure:
        return True
    unclear = annotated >= UNCLEAR or ignored >= ON_IGNORED or teachers >= trust.doubtful
    return None if unclear else False


def _largest(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest of each row of (N, M): (N,); 0 where there are none."""
    return values.max(axis=1, initial=0.0)  # type: ignore[no-any-return]

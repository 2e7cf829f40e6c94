"""Published detectors look at enlarged photos before training: they add faces, and all boxes follow their way."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.values import Image
from train.common.box_size import LARGER
from train.common.faults import in_words
from train.face.convention import redraw
from train.face.data import Photo, overlaps, read_image


class Trust(NamedTuple):
    """Minimum scores at which what a teacher finds is learned as a face, and at which it counts neither way."""

    sure: float
    doubtful: float


YUNET = Trust(0.7, 0.3)
FUSED = Trust(0.42, 0.2)
"""Of ``train.face.fuse``, whose score is the mean of several detectors."""

LONGEST_SIDE = 640
"""Photos are enlarged to this longest side, in pixels: small faces are what annotators miss."""

MOST_ENLARGED = 4.0

Found = NDArray[np.float32]
"""(N, 5): x0, y0, x1, y1 in pixels of the stored photo, and the score."""


class Teacher:
    """YuNet (https://github.com/ShiqiYu/libfacedetection.train), looking at enlarged photos.

    Args:
        model: An ONNX file that ``cv2.FaceDetectorYN`` takes.

    Raises:
        ConfigError: It cannot be loaded.
    """

    def __init__(self, model: Path) -> None:
        try:
            self._net = cv2.FaceDetectorYN.create(str(model), "", (320, 320), YUNET.doubtful)
        except cv2.error as error:
            raise ConfigError(f"The teacher {model} cannot be loaded ({error.err}): name a YuNet ONNX file.") from error

    def find(self, image: Image) -> Found:
        """The faces that it finds in an image, (H, W, 3) uint8 BGR."""
        scale = min(MOST_ENLARGED, LONGEST_SIDE / max(image.shape[:2]))
        resized = cv2.resize(image, None, fx=scale, fy=scale)
        self._net.setInputSize((resized.shape[1], resized.shape[0]))
        _, rows = self._net.detect(resized)
        if rows is None:
            return np.empty((0, 5), np.float32)
        found = np.asarray(rows, np.float32)
        corners = np.column_stack([found[:, :2], found[:, :2] + found[:, 2:4]]) / scale
        return np.column_stack([corners, found[:, -1]]).astype(np.float32)


def teach(photos: Sequence[Photo], found: Sequence[Found], trust: Trust, thorough: Collection[str] = ()) -> list[Photo]:
    """Redraw boxes as the teacher draws them, and add what it found and nobody annotated, see ``with_missed``.

    Args:
        photos: To learn from.
        found: From ``look`` or ``read_found``.
        trust: In the teacher.
        thorough: Sources whose annotators are trusted more than the teacher, see ``doubting``.
    """
    redrawn = drawn_alike(photos, found, trust)
    return [
        with_missed(photo, rows, doubting(trust) if photo.source in thorough else trust)
        for photo, rows in zip(redrawn, found, strict=True)
    ]


def doubting(trust: Trust) -> Trust:
    """Less trust: what the teacher is sure of counts neither way, and what it doubts is no face."""
    return Trust(sure=math.inf, doubtful=trust.sure)


def drawn_alike(photos: Sequence[Photo], found: Sequence[Found], trust: Trust) -> list[Photo]:
    """Only redraw the boxes that are there, as the teacher draws them."""
    return redraw(photos, [rows[rows[:, 4] >= trust.sure, :4] for rows in found])


def read_found(photos: Sequence[Photo], path: Path) -> list[Found]:
    """What ``python -m train.face.fuse`` wrote of each photo.

    Raises:
        ConfigError: The file is absent, has another form, or lacks a photo.
    """
    try:
        known: dict[str, list[list[float]]] = json.loads(path.read_text("utf-8"))["photos"]
        rows = [known.get(str(photo.path.resolve())) for photo in photos]
        found = [None if one is None else _larger(np.array(one, np.float32).reshape(-1, 5)) for one in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({in_words(error)}): name YuNet.onnx or a file of train.face.fuse."
        ) from error
    missing = [photo.path for photo, one in zip(photos, found, strict=True) if one is None]
    if missing:
        raise ConfigError(f"{path} does not tell of {missing[0]}: label all of --data with train.face.fuse.")
    return [one for one in found if one is not None]


def look(photos: Sequence[Photo], teacher: Path, cache: Path, say: Callable[[str], None]) -> list[Found]:
    """What a teacher finds in each photo.

    Args:
        photos: To go through.
        teacher: See ``Teacher``.
        cache: JSON of what was found, so that the next run does not look again; read and extended.
        say: Receives progress, one line at a time.

    Raises:
        ConfigError: The teacher cannot be loaded.
    """
    net = Teacher(teacher)
    known: dict[str, list[list[float]]] = json.loads(cache.read_text("utf-8")) if cache.exists() else {}
    found = []
    for number, photo in enumerate(photos, start=1):
        key = str(photo.path)
        if key not in known:
            known[key] = np.round(net.find(read_image(photo.path)), 3).tolist()
        if number % 1000 == 0:
            say(f"the teacher has seen {number} of {len(photos)} photos")
        found.append(_larger(np.array(known[key], np.float32).reshape(-1, 5)))
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text(json.dumps(known), "utf-8")
    return found


def _larger(found: Found) -> Found:
    corners, score = found[:, :4], found[:, 4:]
    reach = (corners[:, 2:] - corners[:, :2]) * (LARGER - 1) / 2
    return np.concatenate([corners[:, :2] - reach, corners[:, 2:] + reach, score], axis=1)


def with_missed(photo: Photo, found: Found, trust: Trust) -> Photo:
    """``photo`` with what of ``found`` overlaps no annotation: sure finds as faces, doubtful ones as ignore regions."""
    known = np.concatenate([photo.boxes, photo.ignore])
    rows = [row for row in found if not overlaps(row[:4], known)]
    missed: NDArray[np.float32] = np.array(rows, np.float32).reshape(-1, 5)
    missed = missed[missed[:, 4] >= trust.doubtful]
    sure = missed[:, 4] >= trust.sure
    return replace(
        photo,
        boxes=np.concatenate([photo.boxes, missed[sure, :4]]),
        ignore=np.concatenate([photo.ignore, missed[~sure, :4]]),
    )

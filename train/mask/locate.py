"""Finds faces and their landmarks in training pictures, with YuNet."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from edge.errors import ConfigError
from edge.values import BBox, Image
from train.common.terminal import progress
from train.mask.data import Point, Sample, load

DETECTOR_SIDE = 320
"""The picture side in pixels that YuNet is given."""


FACE_SHARE = 0.7
"""How much of `DETECTOR_SIDE` a cut-out around a face may fill: a detector misses faces that fill the picture."""


class Detector(Protocol):
    """Finds faces with landmarks."""

    def find(self, image: Image) -> list[tuple[BBox, tuple[Point, ...]]]:
        """Boxes and five landmarks in pixels of ``image`` (BGR)."""
        ...


class YuNet:
    """OpenCV's FaceDetectorYN with a YuNet model (https://github.com/ShiqiYu/libfacedetection.train)."""

    def __init__(self, model: Path, threshold: float = 0.5) -> None:
        if not model.is_file():
            raise ConfigError(f"No detector at {model}: give --detector the path of a YuNet .onnx, or leave it out.")
        try:
            self._net = cv2.FaceDetectorYN.create(str(model), "", (DETECTOR_SIDE, DETECTOR_SIDE), threshold)
        except cv2.error as error:
            raise ConfigError(f"{model} is not a YuNet model that OpenCV can read: {error.err}") from error

    def find(self, image: Image) -> list[tuple[BBox, tuple[Point, ...]]]:
        """Boxes and five landmarks (eyes, nose, mouth corners) in pixels of ``image``, which is BGR."""
        scale = DETECTOR_SIDE * FACE_SHARE / max(image.shape[:2])
        small = cv2.resize(
            image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        )
        canvas = np.zeros((DETECTOR_SIDE, DETECTOR_SIDE, 3), np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small
        _, rows = self._net.detect(canvas)
        if rows is None:
            return []
        return [_parse(np.asarray(row, np.float64) / scale) for row in rows]


def _parse(row: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[BBox, tuple[Point, ...]]:
    """A row of FaceDetectorYN (x, y, width, height, five points, score) as a box and points."""
    points = tuple((float(x), float(y)) for x, y in row[4:14].reshape(5, 2))
    return BBox(*(float(edge) for edge in (row[0], row[1], row[0] + row[2], row[1] + row[3]))), points


def locate(samples: Sequence[Sample], detector: Detector, cache: Path, min_side: float) -> list[Sample]:
    """Give pictures without a box the detector's largest face, and every face of some size its landmarks.

    A face that the detector does not find keeps what it had. What was found is kept in ``cache`` (JSON), so that the
    next run does not look again.

    Args:
        samples: Faces whose pictures can be read; a picture is decoded once for neighbours that share it.
        detector: Finds faces.
        cache: File to read and extend.
        min_side: Boxes with a smaller short side (pixels) are not looked at.

    Returns:
        The samples in the same order.
    """
    known: dict[str, list[list[float]] | None] = json.loads(cache.read_text()) if cache.exists() else {}
    located = []
    for path, faces in groupby(progress(samples, "Finding landmarks"), key=lambda one: one.path):
        decoded = functools.cache(partial(load, path))
        for sample in faces:
            if sample.short_side < min_side:
                located.append(sample)
                continue
            key = hashlib.sha256(sample.key.encode()).hexdigest()[:24]
            if key not in known:
                known[key] = _look(sample, decoded(), detector)
            located.append(_with_found(sample, known[key]))
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text(json.dumps(known))
    return located


def _look(sample: Sample, image: Image, detector: Detector) -> list[list[float]] | None:
    """Box corners and landmarks as [[x, y], ...] in pixels of the picture, (H, W, 3) uint8 BGR; None if not found."""
    left = top = 0
    if sample.bbox is not None:
        box = sample.bbox
        reach = 0.5 * max(box.width, box.height)
        left, top = max(0, int(box.x0 - reach)), max(0, int(box.y0 - reach))
        image = image[top : int(box.y1 + reach) + 1, left : int(box.x1 + reach) + 1]
    found = detector.find(image)
    if sample.bbox is not None:
        inside = BBox(*np.subtract(sample.bbox, (left, top, left, top)))
        found = [face for face in found if face[0].iou(inside) > 0.35]
    if not found:
        return None
    box, points = max(found, key=lambda face: face[0].area)
    return [[round(x + left, 1), round(y + top, 1)] for x, y in [(box.x0, box.y0), (box.x1, box.y1), *points]]


def _with_found(sample: Sample, found: list[list[float]] | None) -> Sample:
    if found is None:
        return sample
    (x0, y0), (x1, y1), *points = found
    return replace(sample, bbox=sample.bbox or BBox(x0, y0, x1, y1), landmarks=tuple((x, y) for x, y in points))

"""Faces as the device's own detector draws them: the mask classifier learns from the boxes that it will be given.

Annotators draw masked and bare faces differently high and wide, and so does a detector that cannot see a mouth. A
classifier that learns from annotated boxes meets others at the door, and may take how one was drawn for what it shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.commands.check import STILL_MAX_FACES
from edge.config import Config
from edge.values import BBox, Face, Frame, Image
from edge.vision.models import FaceEntry, find_entry
from edge.vision.pipeline import open_face_model
from train.common.matching import SAME_FACE, match
from train.common.terminal import progress
from train.mask.data import Sample, load
from train.mask.locate import FACE_SHARE

Find = Callable[[Image], list[Face]]
"""Gives the faces in a picture, (H, W, 3) uint8 BGR, best first, in its pixels."""


class DeviceDetector:
    """The face model that maskgate ships, with the settings for stills.

    Attributes:
        sha256: Of the model.

    Raises:
        ModelError: It is missing or altered, or no runtime can run it.
    """

    def __init__(self) -> None:
        config = Config()
        self.sha256 = find_entry(config.face.model, FaceEntry).sha256
        self._threshold = config.face.still_threshold
        self._detector = open_face_model(config, STILL_MAX_FACES)

    def __call__(self, image: Image) -> list[Face]:
        """The faces in a picture, (H, W, 3) uint8 BGR, best first, in its pixels."""
        return self._detector.detect(Frame.still(image), self._threshold)


def with_device_boxes(samples: Sequence[Sample], find: Find, say: Callable[[str], None]) -> list[Sample]:
    """Give every face that the detector finds the box that it draws.

    Args:
        samples: Faces; several may share a picture. Those without a box are the largest in theirs.
        find: The detector.
        say: Told how far it is, and how many were found.

    Returns:
        The faces in the same order; those not found as they were.

    Raises:
        ConfigError: A picture cannot be decoded.
    """
    by_picture: defaultdict[tuple[Path, bool], list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        by_picture[sample.path, sample.bbox is None].append(index)
    drawn = list(samples)
    for (path, is_crop), indices in progress(list(by_picture.items()), "Finding faces"):
        image = load(path)
        bboxes = [bbox for index in indices if (bbox := samples[index].bbox) is not None]
        boxes = [_largest(image, find)] * len(indices) if is_crop else _counterparts(image, bboxes, find)
        for index, box in zip(indices, boxes, strict=True):
            drawn[index] = replace(samples[index], drawn=box)
    say(f"{sum(sample.drawn is not None for sample in drawn)} of {len(drawn)} faces have the box that the device draws")
    return drawn


def _counterparts(image: Image, bboxes: Sequence[BBox], find: Find) -> list[BBox | None]:
    """What is found for each of a photo's annotated boxes."""
    faces = find(image)
    return [None if index is None else faces[index].bbox for index in match(bboxes, faces, SAME_FACE)]


def _largest(image: Image, find: Find) -> BBox | None:
    """The largest face of a crop, which is shown with a border: a detector misses faces that fill the picture."""
    height, width = image.shape[:2]
    side = max(height, width)
    border = round(side * (1 / FACE_SHARE - 1) / 2)
    faces = find(np.pad(image, [(border, border), (border, border), (0, 0)]))
    if not faces:
        return None
    box = max((face.bbox for face in faces), key=lambda bbox: bbox.area)
    return BBox(box.x0 - border, box.y0 - border, box.x1 - border, box.y1 - border)

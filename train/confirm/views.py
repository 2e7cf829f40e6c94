"""What the confirmation model is shown: a candidate as the device cuts it, and the varied views of training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.values import Image
from edge.vision.preprocess import crop_face
from train.common.terminal import progress
from train.confirm.candidates import Candidate
from train.face.augment import Generator, Scene, relight
from train.face.data import read_image

WIDE_SIDE, WIDE_MARGIN = 96, 0.75
"""Of the crops kept in memory: side in pixels, and what they show around the box, so that views can be moved."""

NO_BOXES = np.empty((0, 5), np.float32)


def wide_crops(candidates: Sequence[Candidate]) -> NDArray[np.uint8]:
    """(N, ``WIDE_SIDE``, ``WIDE_SIDE``, 3) uint8 RGB."""
    crops = np.empty((len(candidates), WIDE_SIDE, WIDE_SIDE, 3), np.uint8)
    for crop, (candidate, image) in zip(crops, with_photos(progress(candidates, "Cutting candidates")), strict=True):
        crop[:] = crop_face(image, candidate.box, WIDE_SIDE, WIDE_MARGIN)
    return crops


def plain(candidates: Sequence[Candidate], size: int, margin: float) -> list[Image]:
    """(size, size, 3) uint8 RGB each, as the device cuts them."""
    return [crop_face(image, one.box, size, margin) for one, image in with_photos(candidates)]


def with_photos(candidates: Iterable[Candidate]) -> Iterator[tuple[Candidate, Image]]:
    """Each candidate with its photo, which is decoded once for neighbours that share it."""
    for path, of_photo in groupby(candidates, key=lambda one: one.photo):
        image = read_image(path)
        yield from ((one, image) for one in of_photo)


def varied(crop: Image, size: int, margin: float, rng: Generator) -> Image:
    """A view of a wide crop: moved, scaled, turned, perhaps flipped, in another light, spoilt: (size, size, 3) RGB."""
    shown = WIDE_SIDE * (1 + 2 * margin) / (1 + 2 * WIDE_MARGIN) * float(np.exp(rng.normal(0, 0.09)))
    centre = WIDE_SIDE / 2 + rng.normal(0, 0.035, 2) * WIDE_SIDE
    angle, flip = np.deg2rad(rng.normal(0, 8)), rng.choice([-1.0, 1.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([flip, 1.0]) * (size / shown)
    matrix = np.column_stack([linear, size / 2 - linear @ centre])
    view = cv2.warpAffine(crop, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 0.2:
        low = int(rng.integers(size // 4, size * 3 // 4))
        small = cv2.resize(view, (low, low), interpolation=cv2.INTER_AREA)
        view = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
    view = relight(Scene(np.ascontiguousarray(view[..., ::-1]), NO_BOXES), rng)[..., ::-1]
    if rng.random() < 0.15:
        width, height = rng.integers(size // 8, size // 2, 2)
        x, y = rng.integers(0, size - width), rng.integers(0, size - height)
        view = view.copy()
        view[y : y + height, x : x + width] = rng.integers(0, 256, 3)
    return np.ascontiguousarray(view)

"""The pictures from which quantization takes its ranges: training photos, as the device would show them to a model."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from edge.errors import ConfigError
from edge.values import LABELS, Image
from edge.vision.preprocess import letterbox
from train.face.data import Photo, read_image
from train.mask.data import Sample
from train.mask.views import plain_view

Item = TypeVar("Item")


def some_of(items: Sequence[Item], count: int | None, seed: int) -> list[Item]:
    """``count`` of the items at random, the same for the same seed; all of them for None or where there are fewer."""
    if count is None or count >= len(items):
        return list(items)
    return random.Random(seed).sample(list(items), count)  # noqa: S311 - a choice, not a secret


def face_pictures(photos: Sequence[Photo], width: int, height: int, count: int, seed: int) -> list[Image]:
    """Whole photos, letterboxed.

    Args:
        photos: Of the training set.
        width: Of the model's input, in pixels.
        height: Of the model's input, in pixels.
        count: How many to take, at random; all where there are fewer.
        seed: The same seed takes the same photos.

    Returns:
        (height, width, 3) uint8 RGB each.

    Raises:
        ConfigError: A photo cannot be decoded.
    """
    chosen = some_of(photos, count, seed)
    return [letterbox(read_image(photo.path), width, height)[0] for photo in chosen]


def mask_pictures(samples: Sequence[Sample], size: int, margin: float, count: int, seed: int) -> list[Image]:
    """Face crops, as many of each class as there are, up to an equal share of ``count``.

    Args:
        samples: Of the training set; those that the data keeps for validation are never taken.
        size: Of the model's input, in pixels.
        margin: Around a face on each side, as a fraction of its box's longer side.
        count: How many to take in all.
        seed: The same seed takes the same faces.

    Returns:
        (size, size, 3) uint8 RGB each.

    Raises:
        ConfigError: All faces are kept for validation, or a picture cannot be decoded.
    """
    share = -(-count // len(LABELS))
    chosen: list[Sample] = []
    for label in LABELS:
        of_class = [sample for sample in samples if sample.label is label and not sample.validation]
        chosen += some_of(of_class, share, seed)
    if not chosen:
        raise ConfigError("All faces of --data are kept for validation: give the data that the model was trained on.")
    return [plain_view(sample, size, margin) for sample in chosen]

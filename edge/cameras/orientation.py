"""Turns WebP images upright by their EXIF orientation. OpenCV does that for the other formats."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from edge.cameras.picture_cost import tiff_tags
from edge.values import Image

ORIENTATION = 274
EXIF = b"EXIF"
FIRST_CHUNK = 12
"""In bytes: after ``RIFF``, the length and ``WEBP``."""
CHUNK_HEADER = 8
TURNS: dict[float, Callable[[Image], Image]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: image[::-1].transpose(1, 0, 2),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: image[:, ::-1].transpose(1, 0, 2),
}
"""https://www.cipa.jp/std/documents/e/DC-008-2012_E.pdf, 4.6.4 A."""


def is_webp(content: bytes) -> bool:
    return content.startswith(b"RIFF")


def upright(image: Image, webp: bytes) -> Image:
    """``image``, (H, W, 3), as the EXIF data of the file that it was decoded from wants it seen."""
    turn = TURNS.get(_orientation(webp))
    return np.ascontiguousarray(turn(image)) if turn else image


def _orientation(webp: bytes) -> float:
    at = FIRST_CHUNK
    while at + CHUNK_HEADER <= len(webp):
        kind, length = struct.unpack_from("<4sI", webp, at)
        at += CHUNK_HEADER
        if kind == EXIF:
            return tiff_tags(webp[at : at + length].removeprefix(b"Exif\0\0")).get(ORIENTATION, 1)
        at += length + length % 2
    return 1

"""The memory needed to decode an image, by its header: a few kilobytes can ask for all of a small board's memory."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

MOST_MEMORY = 400 * 2**20
"""Memory limit for decoding, in bytes: systemd limits the whole service to 600 MB."""
MOST_WORK = 1_000_000_000
"""Pixels times scans of a JPEG: 64 million pixels in 15 scans. Each scan goes over the whole picture."""
WORKING_BYTES = 6
"""Bytes per pixel in OpenCV for every format: the image and a copy."""
COEFFICIENT_BYTES = 2
MOST_TILE = 2**22
"""Maximum pixels in a TIFF tile; a tile is decoded as a whole even if the image is small."""

TIFF = (b"II*\0", b"MM\0*")
# https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
WIDTH, LENGTH, BITS, COMPRESSION, SAMPLES, STRIP_ROWS, TILE_WIDTH, TILE_LENGTH, SAMPLE_FORMAT = (
    256,
    257,
    258,
    259,
    277,
    278,
    322,
    323,
    339,
)
WHOLE = {1: "B", 3: "H", 4: "I"}
"""Types of whole numbers in a TIFF, and struct's letters for them."""
FLOATING_POINT = 3
MOST_BITS = 16
"""OpenCV decodes no more per channel."""
NOT_BUILT_IN: dict[float, str] = {
    34661: "JBIG",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
}
"""Compressions of a TIFF that OpenCV's packages lack."""
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG markers that contain the size."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes that decoding takes at its peak, and pixels times scans."""

    memory: float = 0.0
    work: float = 0.0

    @property
    def too_much(self) -> bool:
        """Whether a small board should not try."""
        return self.memory > MOST_MEMORY or self.work > MOST_WORK


def cost(content: bytes) -> Cost:
    """Of a JPEG or TIFF. Other formats cost by the pixel, which OpenCV itself limits."""
    try:
        if content.startswith(b"\xff\xd8"):
            return _of_jpeg(content)
        if content[:4] in TIFF:
            return _of_tiff(tiff_tags(content))
    except struct.error:  # it breaks off
        pass
    return Cost()


def is_float_tiff(content: bytes) -> bool:
    """Whether it holds floating-point numbers, as scientific cameras write them."""
    return content[:4] in TIFF and tiff_tags(content).get(SAMPLE_FORMAT) == FLOATING_POINT


def tiff_compression(content: bytes) -> str | None:
    """The compression of a TIFF that OpenCV cannot decode; None if it is another or no TIFF."""
    tags = tiff_tags(content) if content[:4] in TIFF else {}
    return NOT_BUILT_IN.get(tags.get(COMPRESSION, 0))


def is_deep_tiff(content: bytes) -> bool:
    """Whether it has more bits per channel than OpenCV decodes."""
    return content[:4] in TIFF and MOST_BITS < tiff_tags(content).get(BITS, 0) < math.inf


def tiff_tags(tiff: bytes) -> dict[int, float]:
    """The first value of each tag of the first directory, as far as it can be read; infinite where it is no number."""
    order = "<" if tiff.startswith(b"II") else ">"
    tags: dict[int, float] = {}
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(f"{order}HHI", tiff, entry)
            value = _value(tiff, order, entry, kind, count)
            tags[tag] = max(tags.get(tag, value), value)
    except struct.error:
        pass
    return tags


def _value(tiff: bytes, order: str, entry: int, kind: int, count: int) -> float:
    form = WHOLE.get(kind)
    if form is None:
        return math.inf
    at = entry + 8
    if count * struct.calcsize(form) > 4:  # noqa: PLR2004 - then the field holds where the values are
        (at,) = struct.unpack_from(f"{order}I", tiff, at)
        if at + struct.calcsize(form) > len(tiff):
            return math.inf
    return float(struct.unpack_from(order + form, tiff, at)[0])


def _of_tiff(tags: dict[int, float]) -> Cost:
    """OpenCV decodes a strip as a whole, so an image in one strip takes its memory twice."""
    width, height = tags.get(WIDTH, 0), tags.get(LENGTH, 0)
    samples, bits = tags.get(SAMPLES, 1), max(8, tags.get(BITS, 1))
    rows = min(height, tags.get(STRIP_ROWS, math.inf))
    tile = tags.get(TILE_WIDTH, 0) * tags.get(TILE_LENGTH, 0)
    piece = 0 if tile else width * rows
    memory = width * height * WORKING_BYTES + piece * max(samples * bits / 8, 4)
    return Cost(math.inf if tile > MOST_TILE else memory)


def _of_jpeg(jpeg: bytes) -> Cost:
    at = 2
    while jpeg[at] == 0xFF if at < len(jpeg) else False:  # noqa: PLR2004
        marker, length = struct.unpack_from(">xBH", jpeg, at)
        if marker in FRAMES:
            height, width, components = struct.unpack_from(">HHB", jpeg, at + 5)
            return _of_frame(jpeg, at, marker, width * height, components)
        at += 1 if marker == 0xFF else 2 + length  # noqa: PLR2004
    return Cost()


def _of_frame(jpeg: bytes, at: int, marker: int, pixels: int, components: int) -> Cost:
    memory: float = pixels * WORKING_BYTES
    if marker in PROGRESSIVE:
        sampling = [jpeg[at + 11 + 3 * one] for one in range(components) if at + 11 + 3 * one < len(jpeg)]
        shares = [(one >> 4) * (one & 15) for one in sampling] or [1]
        memory += pixels * COEFFICIENT_BYTES * sum(shares) / max(1, *shares)
    return Cost(memory, pixels * jpeg.count(b"\xff\xda"))

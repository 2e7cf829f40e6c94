"""A picture file, decoded: whatever lies in it, it takes no more memory than a small board has."""

from __future__ import annotations

import math
import re
import stat
import struct
from pathlib import Path

import cv2
import numpy as np

from edge.errors import MaskgateError
from edge.values import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
"""File names that are taken for images, in lower case."""
KNOWN = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|BM|II\*\0|MM\0\*|P[1-6]\s|RIFF.{4}WEBP", re.DOTALL)
"""How a file of these formats begins. OpenCV knows more, whatever the name says: a JPEG 2000 of a few kilobytes takes
fifteen bytes a pixel to decode."""
TIFF = (b"II*\0", b"MM\0*")
TILE_SIDES = (322, 323)
"""Tags of a TIFF: width and length of its tiles, in pixels."""
WHOLE = {3: "H", 4: "I"}
"""Types of whole numbers in a TIFF, and struct's letters for them."""
MOST_TILE = 2**22
"""Pixels of a tile, which is decoded whole however small the picture: for 16 x 16 pixels in one tile of 16,384 x 8,192
OpenCV takes half a gigabyte."""
MAX_FILE_BYTES = 256 * 2**20


class PictureError(MaskgateError, ValueError):
    """One picture cannot be read; others still can."""


def read_picture(path: Path) -> Image:
    """Decode a picture file: any depth, grey, colour or with alpha, turned upright by its EXIF orientation.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        PictureError: It is absent, no picture, damaged, or so large that decoding it would exhaust a small board.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PictureError("this is not a file")
        if status.st_size > MAX_FILE_BYTES:
            raise PictureError(f"the file is larger than {MAX_FILE_BYTES // 2**20} MB, too large for a picture")
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise PictureError(f"the file cannot be read ({error.strerror})") from error
    if not content.size:
        raise PictureError("the file is empty")
    if content[:4].tobytes() in TIFF and _tile(content.tobytes()) > MOST_TILE:
        raise PictureError("the picture's tiles have too many pixels; save it anew")
    try:
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if KNOWN.match(content[:16].tobytes()) else None
    except cv2.error as error:
        raise PictureError("the picture has too many pixels, or its header is damaged; make it smaller") from error
    if image is None:
        raise PictureError("the file is damaged or not a picture of a known format")
    return image  # type: ignore[return-value]


def _tile(tiff: bytes) -> float:
    """Pixels of a tile, by the first directory; 0 where it has no tiles, or cannot be read at all.

    Format: https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf, pages 13 to 16 and 66 to 68.
    """
    order = "<" if tiff.startswith(b"II") else ">"
    sides = dict.fromkeys(TILE_SIDES, 0.0)
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if tag in sides:
                form = WHOLE.get(kind)
                side = struct.unpack_from(order + form, tiff, entry + 8)[0] if form else math.inf
                sides[tag] = max(sides[tag], side)
    except struct.error:  # it breaks off
        pass
    return math.prod(sides.values())

"""A picture file, decoded: whatever lies in it, it takes no more memory than a small board has."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import cv2
import numpy as np

from edge.errors import MaskgateError
from edge.values import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
"""File names that are taken for images, in lower case."""
KNOWN = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|BM|II[*+]\0|MM\0[*+]|P[1-6]\s|RIFF.{4}WEBP", re.DOTALL)
"""How a file of these formats begins. OpenCV knows more, whatever the name says: a JPEG 2000 of a few kilobytes takes
fifteen bytes a pixel to decode."""
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
    try:
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if KNOWN.match(content[:16].tobytes()) else None
    except cv2.error as error:
        raise PictureError("the picture has too many pixels, or its header is damaged; make it smaller") from error
    if image is None:
        raise PictureError("the file is damaged or not a picture of a known format")
    return image  # type: ignore[return-value]

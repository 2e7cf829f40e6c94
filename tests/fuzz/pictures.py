"""Picture files: a picture or one sentence, and no more memory than the largest picture is worth."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from edge.cameras.picture import SUFFIXES, PictureError, read_picture
from edge.cameras.stills import Stills
from edge.errors import CameraError
from tests.stand_ins import memory

ABOUT = "picture files, as check and a folder of stills read them"
LONGEST = 4096
WORDS = (
    b"IHDR",
    b"IDAT",
    b"\xff\xc0",
    b"\xff\xc2",
    b"\xff\xda",
    b"VP8 ",
    b"VP8L",
    b"VP8X",
    b"II*\0",
    b"MM\0*",
    b"BM",
    b"P6\n",
)
MOST_MEMORY = 450 * memory.MEGABYTE
"""Beyond what the process has before: under the 600 MB that the service may take in all."""


def seeds() -> list[bytes]:
    """A small picture in every format, and one with an orientation."""
    ramp = np.arange(16 * 12 * 3, dtype=np.uint8).reshape(12, 16, 3)
    jpeg = encoded(ramp, ".jpg")
    quarter_turn = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"\xff\xe1" + struct.pack(">H", len(quarter_turn) + 8) + b"Exif\0\0" + quarter_turn
    return [
        *(encoded(ramp, suffix) for suffix in sorted(SUFFIXES - {".pgm", ".jfif", ".jpe", ".jfi", ".mpo"})),
        encoded(ramp[:, :, 0], ".pgm"),
        encoded(ramp, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encoded(ramp, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
        encoded(ramp.astype(np.uint16) * 257, ".png"),
        jpeg[:2] + exif + jpeg[2:],
    ]


def encoded(image: np.ndarray, suffix: str, *options: int) -> bytes:
    """A picture as a file."""
    return cv2.imencode(suffix, image, options)[1].tobytes()


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Try one."""
    file = folder / "a.png"
    read_picture(_written(file, seeds()[0]))

    def attempt(data: bytes) -> None:
        _written(file, data)
        before = memory.resident()
        memory.forget_peak()
        image = None
        try:
            image = read_picture(file)
        except PictureError as error:
            assert str(error)
        assert memory.peak() - before < MOST_MEMORY, f"took {(memory.peak() - before) >> 20} MB"
        try:
            frame = Stills(file).read()
        except CameraError:
            frame = None
        assert (image is None) == (frame is None), "check and a folder of stills disagree"
        if image is not None:
            assert image.dtype == np.uint8
            assert image.shape[2:] == (3,)

    yield attempt


def _written(file: Path, data: bytes) -> Path:
    file.write_bytes(data)
    return file

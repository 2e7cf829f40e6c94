"""Recordings: frames or one sentence, and no more memory than the largest picture is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from edge.cameras.video import VideoFile
from edge.errors import CameraError
from tests.stand_ins import memory

ABOUT = "recordings, as run plays them"
LONGEST = 16384
WORDS = (
    b"RIFF",
    b"avih",
    b"strh",
    b"strf",
    b"movi",
    b"00dc",
    b"idx1",
    b"MJPG",
    b"MPNG",
    b"moov",
    b"mdat",
    b"stsd",
    b"avc1",
)
FORMATS = (
    ("a.avi", "MJPG"),
    ("a.mp4", "mp4v"),
    ("a.mkv", "MJPG"),
    ("a.avi", "MPNG"),
    ("a.avi", "FFV1"),
    ("a.webm", "VP80"),
)
MOST_FRAMES = 6
MOST_MEMORY = 1024 * memory.MEGABYTE
"""FFmpeg decodes one picture before anybody can ask for its size; its own limit is 2**28 pixels."""


def seeds() -> list[bytes]:
    """Three small pictures in each of a few containers and codecs."""
    return [recording(name, code) for name, code in FORMATS]


def recording(name: str, code: str, size: tuple[int, int] = (64, 48)) -> bytes:
    """A file of three pictures."""
    with TemporaryDirectory() as folder:
        file = Path(folder, name)
        writer = cv2.VideoWriter(str(file), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*code), 25, size)
        for shade in (0, 90, 180):
            writer.write(np.full((size[1], size[0], 3), shade, np.uint8))
        writer.release()
        return file.read_bytes()


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Try one."""
    file = folder / "clip.avi"

    def attempt(data: bytes) -> None:
        file.write_bytes(data)
        before = memory.resident()
        memory.forget_peak()
        with suppress(CameraError):
            _play(VideoFile(file))
        assert memory.peak() - before < MOST_MEMORY, f"took {(memory.peak() - before) >> 20} MB"

    yield attempt


def _play(camera: VideoFile) -> None:
    last = -float("inf")
    try:
        for _ in range(MOST_FRAMES):
            frame = camera.read()
            if frame is None:
                return
            assert frame.image.dtype == np.uint8
            assert frame.image.shape[2:] == (3,)
            assert frame.captured_at > last, "time stands still or goes back"
            last = frame.captured_at
    finally:
        camera.close()

"""A video file, played frame by frame on its own clock."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge import MOST_PIXELS
from edge.board.findings import Finding, Machine, State
from edge.cameras.address import shown
from edge.cameras.interlaced import ADVICE, fails
from edge.cameras.scene_times import SceneTimes
from edge.errors import CameraError
from edge.text import plural
from edge.values import Frame, Image

if TYPE_CHECKING:
    from cv2.typing import MatLike

    from edge.cameras.sources import Place

WAITS = False

FALLBACK_FPS = 25.0
"""Frame rate assumed for a file without one, in frames per second."""
MOST_FAILURES = 250
"""Consecutive failed reads that mean the end: ten seconds of a damaged recording."""
AV1 = b"AV01"
"""How FFmpeg names it. OpenCV's packages only decode it on graphics chips."""
COUNTED = re.compile(rb".{4}ftyp|RIFF", re.DOTALL)
"""First bytes of files that say how many frames they hold: MP4, QuickTime, AVI. Of others FFmpeg estimates it."""
MANY = 0.1
"""Share of a recording's frames that may be lost before it does not count as seen."""

log = logging.getLogger(__name__)


def matches(source: str) -> bool:
    """Whether it is an existing file of any name, or looks like the path of a missing one."""
    path = Path(source).expanduser()
    looks_like_one = ":" not in path.parts[0] and bool(path.suffix or len(path.parts) > 1)
    return path.exists() or looks_like_one


def open_source(source: str, _: Place) -> VideoFile:
    return VideoFile(existing(source))


def examine(_: Machine, source: str) -> Iterator[Finding]:
    yield no_camera(source)


def existing(source: str) -> Path:
    """The path of a recording.

    Raises:
        CameraError: There is nothing.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise CameraError(f"There is no file or folder {shown(source)}; check the path given as source.")
    return path


def no_camera(source: str) -> Finding:
    """What ``maskgate doctor`` says of a recording at a door."""
    return Finding(
        "camera", State.WARNING, f"camera.source is {shown(source)}, no camera", 'set camera.source = "auto"'
    )


class IncompleteError(CameraError):
    """A recording has ended, and much of it was not seen."""


class VideoFile:
    """Plays a file once, as fast as it is read; frame times are those of the container, in seconds."""

    live = False

    def __init__(self, path: Path, name: str | None = None) -> None:
        """Open the file.

        Args:
            path: Of the file, in any format OpenCV's FFmpeg decodes.
            name: What the operator calls it; the path by default.

        Raises:
            CameraError: There is no such file, or it is not a video.
        """
        self.name = name or str(path)
        if not path.is_file():
            raise CameraError(f"There is no video file {path}; check the path given as source.")
        # From the root on: FFmpeg takes what stands before a colon in a relative path for a protocol.
        self._capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            reason = "may not be read by this user" if not os.access(path, os.R_OK) else "is not a video, or is damaged"
            raise CameraError(f"{path} {reason}; play it elsewhere to check, or give another source.")
        if too_large(self._capture):
            raise CameraError(
                f"The pictures of {path} have too many pixels; make them smaller, or give another source."
            )
        stated = self._capture.get(cv2.CAP_PROP_FPS)
        self._times = SceneTimes(1 / (stated if stated > 0 else FALLBACK_FPS))
        self._stated_frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        with path.open("rb") as file:
            self._counted = COUNTED.match(file.read(8)) is not None
        self._sequence = self._lost = self._apart = 0
        self._first: Image | None = None
        self._changes = not fails()

    def read(self) -> Frame | None:
        """The next picture, or None at the end. A damaged spot is read over.

        Raises:
            CameraError: The file opens but not one picture can be decoded.
            IncompleteError: It has ended, and many of its pictures could not be decoded.
        """
        for failures in range(MOST_FAILURES):
            decoded, image = self._capture.read()
            if decoded:
                return self._frame(as_bgr(image), failures)
        if self._sequence == 0:
            raise CameraError(f"{self.name} contains no picture that can be decoded{self._why()}.")
        self._end()
        return None

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _why(self) -> str:
        """What is special about a video without a picture that can be decoded, and what to do."""
        if int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True).upper() == AV1:
            return ", because OpenCV has no decoder for AV1; convert it to H.264: ffmpeg -i FILE -c:v libx264 OUT.mp4"
        return "; give another source"

    def _frame(self, image: Image, failures: int) -> Frame:
        at, gap = self._times.take(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        if failures:
            self._lost += max(1, gap - 1)
        self._apart += gap > 1
        if self._times.jumps == 1 and self._times.jumped:
            log.warning("The time stamps of %s jump; a jump counts as one frame interval.", self.name)
        if not self._changes:
            self._first = image if self._first is None else self._first
            self._changes = not np.array_equal(image, self._first)
        frame = Frame(image, at, self._sequence)
        self._sequence += 1
        return frame

    def _end(self) -> None:
        """Say what was lost."""
        if not self._changes and self._sequence > 1:
            raise IncompleteError(
                f"{self.name} shows one picture from beginning to end, as OpenCV {cv2.__version__} does with interlaced"
                f" video; {ADVICE}."
            )
        known = self._sequence + self._lost
        # Where containers do not say how many frames there are, FFmpeg estimates it by time and frame rate. That is
        # far too many where the time between frames varies, as in a recording of what moves.
        varies = not self._counted and self._apart > self._sequence / 2
        missing = 0 if varies else self._stated_frames - known
        if not self._times.jumps and missing > (0 if self._lost else MANY * self._stated_frames):
            self._lost += round(missing)
        if not self._lost:
            return
        lost, whole = plural(self._lost, "frame"), self._sequence + self._lost
        sentence = f"{lost} of {whole} in {self.name} could not be decoded: the file is damaged, or breaks off."
        self._lost = 0
        if whole - self._sequence > MANY * whole:
            raise IncompleteError(sentence)
        log.warning("%s", sentence)


def too_large(capture: cv2.VideoCapture) -> bool:
    """Whether a stream that FFmpeg has opened holds larger pictures than a small board could take."""
    return capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT) > MOST_PIXELS


def as_bgr(image: MatLike) -> Image:
    """A decoder's picture as (H, W, 3) uint8 BGR: grey is spread over the three channels, alpha is left out."""
    if image.ndim == 2:  # noqa: PLR2004
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
    return image[:, :, :3]  # type: ignore[return-value]

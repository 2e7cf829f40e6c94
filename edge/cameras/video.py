"""A video file, played frame by frame on its own clock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from edge import MOST_PIXELS
from edge.board.findings import Finding, Machine, State
from edge.cameras.address import shown
from edge.errors import CameraError
from edge.values import Frame, Image

if TYPE_CHECKING:
    from cv2.typing import MatLike

    from edge.cameras.sources import Place

WAITS = False

FALLBACK_FPS = 25.0
"""Frame rate assumed of a file that states none, in frames a second."""


def matches(source: str) -> bool:
    """Whether it is a file that exists, whatever its name, or looks like the path of one that does not."""
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


class VideoFile:
    """Plays a file once, as fast as it is read; frame times are those of the container, in seconds."""

    live = False

    def __init__(self, path: Path, name: str | None = None) -> None:
        """Open the file.

        Args:
            path: Of the file, in any format OpenCV's FFmpeg decodes.
            name: What the operator calls it; the path unless given.

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
        self._interval = 1 / (stated if stated > 0 else FALLBACK_FPS)
        self._sequence = 0
        self._last_time = -self._interval

    def read(self) -> Frame | None:
        """The next picture, or None at the end.

        Raises:
            CameraError: The file opens but not one picture can be decoded.
        """
        decoded, image = self._capture.read()
        if not decoded:
            if self._sequence == 0:
                raise CameraError(f"{self.name} contains no picture that can be decoded; give another source.")
            return None
        frame = Frame(as_bgr(image), self._time(), self._sequence)
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _time(self) -> float:
        stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        # Some containers carry no time stamps: position then stays at 0 or goes back.
        self._last_time = stamp if stamp > self._last_time else self._last_time + self._interval
        return self._last_time


def too_large(capture: cv2.VideoCapture) -> bool:
    """Whether a stream that FFmpeg has opened holds larger pictures than a small board could take."""
    return capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT) > MOST_PIXELS


def as_bgr(image: MatLike) -> Image:
    """A decoder's picture as (H, W, 3) uint8 BGR: grey is spread over the three channels, alpha is left out."""
    if image.ndim == 2:  # noqa: PLR2004
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
    return image[:, :, :3]  # type: ignore[return-value]

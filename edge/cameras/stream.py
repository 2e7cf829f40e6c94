"""A network camera: RTSP, or video over HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2

from edge.board.findings import Finding, Machine, State
from edge.cameras.address import HIDDEN, HOW_TO_WRITE, has_no_host, normal, scheme_of, shown
from edge.cameras.video import as_bgr, too_large
from edge.clock import Clock
from edge.errors import CameraError, ConfigError
from edge.values import Frame

if TYPE_CHECKING:
    from edge.cameras.sources import Place

WAITS = True

FFMPEG_LOG_LEVEL, SILENT = "OPENCV_FFMPEG_LOGLEVEL", "-8"
OPEN_TIMEOUT = 10.0
"""Longest wait for the camera to answer, in seconds."""
READ_TIMEOUT = 5.0
"""Longest wait for one picture, in seconds."""


def matches(source: str) -> bool:
    return scheme_of(source) in ("rtsp", "rtsps")


def open_source(source: str, place: Place) -> Stream:
    return Stream(source, place.clock)


def examine(_: Machine, source: str) -> Iterator[Finding]:
    yield Finding("camera", State.OK, f"camera.source is {shown(source)}, which is not tried here")


def require_host(url: str) -> None:
    """Raise ConfigError for an address without a host."""
    if has_no_host(url):
        raise ConfigError(f"The address in camera.source, {shown(url)}, has no host; {HOW_TO_WRITE}.")


class Stream:
    """Reads a network camera. Of its address only scheme, host and port leave this object."""

    live = True

    def __init__(
        self, url: str, clock: Clock, open_timeout: float = OPEN_TIMEOUT, read_timeout: float = READ_TIMEOUT
    ) -> None:
        """Connect.

        Args:
            url: ``rtsp://``, ``rtsps://``, ``http://`` or ``https://``, with user and password where needed.
            clock: Stamps the frames.
            open_timeout: Longest wait for an answer, in seconds.
            read_timeout: Longest wait for a picture, in seconds.

        Raises:
            ConfigError: The address has no host.
            CameraError: Nothing that can be played answers there.
        """
        require_host(url)
        self.name = shown(url)
        # FFmpeg's own messages repeat addresses on standard error; what matters of them is raised from here.
        os.environ.setdefault(FFMPEG_LOG_LEVEL, SILENT)
        self._clock = clock
        self._sequence = 0
        self._capture = cv2.VideoCapture(
            normal(url),
            cv2.CAP_FFMPEG,
            [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                round(open_timeout * 1000),
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                round(read_timeout * 1000),
            ],
        )
        if not self._capture.isOpened():
            hint = f" Special characters: {HOW_TO_WRITE}." if HIDDEN in self.name else ""
            raise CameraError(
                f"No stream can be read from {self.name}; check address, user and password, and that the camera is on."
                f"{hint}"
            )
        if too_large(self._capture):
            raise CameraError(f"The pictures of {self.name} have too many pixels; set the camera to send smaller ones.")

    def read(self) -> Frame:
        """The next picture.

        Raises:
            CameraError: The stream broke off, ended or sent nothing in time.
        """
        decoded, image = self._capture.read()
        if not decoded:
            raise CameraError(f"The stream {self.name} sends no more pictures; check the camera and the network.")
        frame = Frame(as_bgr(image), self._clock.monotonic(), self._sequence)
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Hang up."""
        self._capture.release()

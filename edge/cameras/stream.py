"""A network camera: RTSP, or video over HTTP."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.board.findings import Finding, Machine, State
from edge.cameras.address import HOW_TO_WRITE, has_no_host, normal, scheme_of, shown
from edge.cameras.interlaced import ADVICE
from edge.cameras.web_client import with_hint
from edge.child import Child, ChildDiedError
from edge.clock import Clock
from edge.errors import CameraError, ConfigError
from edge.messages import message
from edge.values import Frame, Image

if TYPE_CHECKING:
    from edge.cameras.sources import Place

WAITS = True

DECODER_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OPENCV_FFMPEG_LOGLEVEL": "16"}
"""FFmpeg's errors stay in the decoder, which reads them."""
OPEN_TIMEOUT = 10.0
"""Timeout for the camera's answer, in seconds."""
READ_TIMEOUT = 5.0
"""Timeout for one frame, in seconds."""
START_LIMIT = 8.0
"""Extra time to start the decoder on a busy small board, in seconds."""
GRACE = 2.0
"""How much earlier FFmpeg's own timeouts expire, in seconds."""
TROUBLES = {
    "end": "stream.ended",
    "interlaced": "stream.interlaced",
    "large": "stream.too_large",
    "memory": "stream.memory",
}
"""What the decoder reports, and what is said of it."""


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
    """Reads a network camera through FFmpeg, in a process whose death and memory are its own.

    Of its address only scheme, host and port are shown.
    """

    live = True

    def __init__(
        self, url: str, clock: Clock, open_timeout: float = OPEN_TIMEOUT, read_timeout: float = READ_TIMEOUT
    ) -> None:
        """Connect.

        Args:
            url: ``rtsp://``, ``rtsps://``, ``http://`` or ``https://``, with user and password where needed.
            clock: Provides the frames' timestamps.
            open_timeout: Timeout for an answer, in seconds.
            read_timeout: Timeout for a picture, in seconds.

        Raises:
            ConfigError: The address has no host.
            CameraError: Nothing that can be played answers there.
        """
        require_host(url)
        self.name = shown(url)
        self._clock, self._read_limit = clock, read_timeout + GRACE
        self._sequence = 0
        self._memory: mmap.mmap | None = None
        # Its standard error goes nowhere, because FFmpeg's messages repeat addresses.
        self._child = Child("edge.cameras.decoder", errors=False, environment=DECODER_ENVIRONMENT)
        order = {"url": normal(url), "open_timeout": open_timeout, "read_timeout": read_timeout}
        try:
            self._ask(order, open_timeout + START_LIMIT)
        except BaseException:
            self.close()
            raise

    @property
    def decoder(self) -> int:
        """Number of the process that decodes."""
        return self._child.pid

    def read(self) -> Frame:
        """The next picture.

        Raises:
            CameraError: The stream broke off, ended or sent nothing in time.
        """
        said = self._ask({}, self._read_limit)
        frame = Frame(self._picture(said), self._clock.monotonic(), self._sequence, stamp=said["stamp"])
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Close the connection."""
        self._memory = None
        self._child.close()

    def _picture(self, said: Mapping[str, Any]) -> Image:
        """A copy of the picture in shared memory, whose other half is being written to."""
        if self._memory is None or len(self._memory) < said["size"]:
            self._memory = mmap.mmap(self._child.memory, said["size"])
        shape = (said["height"], said["width"], 3)
        return np.frombuffer(self._memory, np.uint8, math.prod(shape), said["offset"]).reshape(shape).copy()

    def _ask(self, request: Mapping[str, Any], limit: float) -> dict[str, Any]:
        try:
            said = self._child.ask(request, limit)
        except ChildDiedError as error:
            raise CameraError(message("camera.hung", camera=self.name, error=str(error))) from error
        if trouble := said.get("trouble"):
            raise CameraError(self._sentence(trouble))
        return said

    def _sentence(self, trouble: str) -> str:
        if trouble in TROUBLES:
            return message(TROUBLES[trouble], camera=self.name, advice=ADVICE)
        return with_hint(message("stream.unreadable", camera=self.name), self.name)

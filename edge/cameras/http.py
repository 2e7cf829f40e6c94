"""A network camera over HTTP: MJPEG, which is read here, or a video, which FFmpeg decodes."""

from __future__ import annotations

import http.client
import re
import time
from typing import TYPE_CHECKING

from edge.cameras.address import scheme_of, shown
from edge.cameras.jpegs import BEGIN, MOST_BYTES, JpegSplitter, TooLargeError
from edge.cameras.picture import PictureError, decode
from edge.cameras.stream import OPEN_TIMEOUT, READ_TIMEOUT, WAITS, Stream, examine, require_host
from edge.cameras.web_client import Answer, get, reason
from edge.clock import Clock
from edge.errors import CameraError
from edge.messages import message
from edge.values import Frame, Image

if TYPE_CHECKING:
    from edge.cameras import Camera
    from edge.cameras.sources import Place

__all__ = ["WAITS", "MjpegCamera", "examine", "matches", "open_source"]

MULTIPART = ("multipart/", "image/jpeg")
DELIMITER = b"--"
MJPEG = re.compile(rb"content-type:\s*image/jpe?g|" + re.escape(BEGIN), re.IGNORECASE)
"""Found in the first bytes if a camera sends MJPEG without announcing it."""
VIDEO = ("video/", "audio/", "application/vnd.apple.mpegurl", "application/x-mpegurl", "application/dash+xml")


def matches(source: str) -> bool:
    return scheme_of(source) in ("http", "https")


def open_source(source: str, place: Place) -> Camera:
    return open_stream(source, place.clock)


def open_stream(
    url: str, clock: Clock, open_timeout: float = OPEN_TIMEOUT, read_timeout: float = READ_TIMEOUT
) -> Camera:
    """Connect, and see what it is.

    Args:
        url: ``http://`` or ``https://``, with user and password where needed.
        clock: Provides the frames' timestamps.
        open_timeout: Timeout for an answer, in seconds.
        read_timeout: Timeout for a picture, in seconds.

    Raises:
        ConfigError: The address has no host.
        CameraError: Nothing that can be played answers there.
    """
    require_host(url)
    answer = get(url, open_timeout)
    try:
        begin = b"" if answer.kind.startswith((*MULTIPART, *VIDEO)) else _begin(answer, shown(url), read_timeout)
    except CameraError:
        answer.close()
        raise
    head = begin.lstrip().lower()
    if answer.kind.startswith(MULTIPART) or head.startswith(DELIMITER) or MJPEG.search(begin):
        return MjpegCamera(url, answer, clock, read_timeout, begin)
    answer.close()
    if answer.kind == "text/html" or head.startswith((b"<!doctype", b"<html")):
        raise CameraError(message("network.web_page", camera=shown(url)))
    return Stream(url, clock, open_timeout, read_timeout)


def _begin(answer: Answer, name: str, timeout: float) -> bytes:
    try:
        return answer.receive(timeout)
    except (OSError, http.client.HTTPException) as error:
        raise CameraError(message("network.nothing", camera=name, reason=reason(error))) from error


class MjpegCamera:
    """Reads JPEG pictures that come one after the other. User, password and query of its address are never shown."""

    live = True

    def __init__(self, url: str, answer: Answer, clock: Clock, read_timeout: float, begin: bytes = b"") -> None:
        """Read from an open connection.

        Args:
            url: Of the camera, for its name.
            answer: Takes the connection over.
            clock: Provides the frames' timestamps.
            read_timeout: Timeout for a picture, in seconds.
            begin: What was received already.
        """
        self.name = shown(url)
        self._answer, self._clock, self._read_timeout = answer, clock, read_timeout
        self._splitter = JpegSplitter()
        self._splitter.feed(begin)
        self._sequence = 0

    def read(self) -> Frame:
        """The next picture that can be decoded.

        Raises:
            CameraError: None came in time, or the camera hung up.
        """
        until = time.monotonic() + self._read_timeout
        damaged: PictureError | None = None
        try:
            while (left := until - time.monotonic()) > 0:
                outcome = _decoded(self._next(left))
                if not isinstance(outcome, PictureError):
                    frame = Frame(outcome, self._clock.monotonic(), self._sequence, stamp=self._splitter.stamp)
                    self._sequence += 1
                    return frame
                damaged = outcome
        except CameraError:
            if damaged is None:
                raise
        if damaged:
            raise CameraError(message("network.damaged", camera=self.name, reason=str(damaged)))
        raise CameraError(message("network.silent", camera=self.name))

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._answer.close()

    def _next(self, within: float) -> bytes:
        until = time.monotonic() + within
        try:
            while (picture := self._splitter.next()) is None:
                received = self._answer.receive(until - time.monotonic())
                if not received:
                    raise CameraError(self._hung_up())
                self._splitter.feed(received)
        except TooLargeError as error:
            most = MOST_BYTES // 2**20
            raise CameraError(message("network.too_large", camera=self.name, most=most)) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            if isinstance(error, CameraError):
                raise
            raise CameraError(message("network.ended", camera=self.name, reason=reason(error))) from error
        return picture

    def _hung_up(self) -> str:
        if self._sequence == 1:
            return message("network.snapshot", camera=self.name)
        return message("network.ended", camera=self.name, reason=message("network.hung_up"))


def _decoded(picture: bytes) -> Image | PictureError:
    try:
        return decode(picture)
    except PictureError as error:
        return error

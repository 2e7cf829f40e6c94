"""A recording played over and over: for a stand, or to try the service where there is no camera."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from edge.cameras import Camera
from edge.cameras.video import IncompleteError
from edge.pacing import SayOnce
from edge.values import Frame

FIRST_INTERVAL = 1 / 25
"""Frame interval of a recording with a single frame, in seconds."""


class Looped:
    """Starts its recording again at the end. Time and sequence go on, so to the loop it is one long scene."""

    live = False

    def __init__(self, recording: Camera, open_again: Callable[[], Camera]) -> None:
        """Play ``recording``, and at its end what ``open_again`` opens."""
        self.name = recording.name
        self._camera, self._open = recording, open_again
        self._offset, self._first_sequence = 0.0, 0
        self._interval = FIRST_INTERVAL
        self._last: Frame | None = None
        self._say = SayOnce(logging.getLogger(__name__))

    def read(self) -> Frame | None:
        """The next frame; None only of a recording that has none.

        Raises:
            CameraError: The recording cannot be read, or opened again.
        """
        frame = self._next()
        if frame is None and self._last is not None:
            self._camera.close()
            self._camera = self._open()
            self._offset = self._last.captured_at + self._interval
            self._first_sequence = self._last.sequence + 1
            frame = self._next()
        if frame is None:
            return None
        frame = replace(
            frame, captured_at=frame.captured_at + self._offset, sequence=frame.sequence + self._first_sequence
        )
        if self._last is not None:
            self._interval = frame.captured_at - self._last.captured_at
        self._last = frame
        return frame

    def _next(self) -> Frame | None:
        try:
            return self._camera.read()
        except IncompleteError as error:
            self._say.warn(str(error))
            return None

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._camera.close()

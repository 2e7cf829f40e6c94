"""Every frame of a recording, as fast as it is taken or at its own pace."""

from __future__ import annotations

from dataclasses import replace

from edge.cameras import Camera
from edge.cameras.video import IncompleteError
from edge.clock import Clock
from edge.values import Event, Frame
from edge.worker import Flag


class Recording:
    """Every frame of a source that ends, its own times counted from the moment when the first frame was read.

    From here on all times are monotonic seconds of the machine's clock. As fast as frames are taken, a recording's
    times run ahead of that clock.

    Attributes:
        trouble: Why what was seen of it, once it has ended, is not all that is in it; None if it is.
    """

    live = hung = False
    dropped = 0

    def __init__(self, camera: Camera, clock: Clock, realtime: bool, stopped: Flag) -> None:
        """Play ``camera``.

        Args:
            camera: Not live.
            clock: Measures the pace.
            realtime: Hold each frame back until its time; otherwise as fast as they are read.
            stopped: Set when the run is to stop: ends a wait at once.
        """
        self.name = camera.name
        self.ended = False
        self.paced = realtime
        self._camera, self._clock, self._stopped = camera, clock, stopped
        self.trouble: str | None = None
        self._start: float | None = None
        self._lit = False
        self._now = clock.monotonic()

    def next(self, timeout: float) -> Frame | None:
        """The next frame; ``timeout`` does not apply, a recording always has one or has ended."""
        del timeout
        try:
            frame = self._camera.read()
        except IncompleteError as error:
            frame, self.trouble = None, str(error)
        if frame is None:
            self._end()
            return None
        self._lit = self._lit or bool(frame.image.any())
        if self._start is None:
            self._start = self._clock.monotonic() - frame.captured_at
        frame = replace(frame, captured_at=self._start + frame.captured_at)
        self._now = frame.captured_at
        if self.paced:
            self._stopped.wait(max(0.0, self._now - self._clock.monotonic()))
        return frame

    def pace(self, interval: float) -> None:
        """Nothing changes: every frame of a recording counts."""

    def events(self) -> list[Event]:
        """None: a recording is never lost."""
        return []

    def now(self) -> float:
        """The time of the frame last given."""
        return self._now

    def close(self) -> None:
        """Close the file."""
        self._camera.close()

    def _end(self) -> None:
        self.ended = True
        if self.trouble is None and self._start is not None and not self._lit:
            self.trouble = f"Every frame of {self.name} is exactly black, so nothing was seen; give another source."

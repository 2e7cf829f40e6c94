"""What the loop takes frames from: the newest of a live camera, or every one of a recording."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np

from edge.cameras import Camera
from edge.clock import Clock
from edge.errors import CameraError
from edge.values import Event, EventKind, Frame, Image

LONGEST_PAUSE = 30.0
"""Between attempts to reopen a lost camera, in seconds."""
HUNG_AFTER = 20.0
"""A read that takes this long, in seconds, will never return: longer than OpenCV's own time limits."""
MOST_HUNG_READERS = 3
"""Readers that may hang at a time; a driver that hangs them all is not opened again, and the watchdog acts."""
DARK = 16
"""Grey level below which a picture tells nothing: a covered lens compresses to the same bytes for ever."""

log = logging.getLogger(__name__)


class Source(Protocol):
    """Frames for the loop.

    Attributes:
        name: What the operator calls it.
        live: Whether it runs on the machine's clock, until it is closed.
        paced: Whether it keeps the pace of the scene, so that somebody could watch.
        dropped: Frames that were replaced by a newer one before anybody took them.
        ended: Whether there will be no more frames.
    """

    name: str
    live: bool
    paced: bool
    dropped: int
    ended: bool

    def next(self, timeout: float) -> Frame | None:
        """A frame that was not given before, or None if none came within ``timeout`` seconds or the source ended.

        Raises:
            CameraError: A source that is not live is unreadable.
        """
        ...

    def pace(self, interval: float) -> None:
        """Take pictures no closer than so many seconds; 0 takes all."""
        ...

    def events(self) -> list[Event]:
        """Camera lost or back, each told once."""
        ...

    def now(self) -> float:
        """Scene seconds now."""
        ...

    def close(self) -> None:
        """Stop, and let go of the camera."""
        ...


class Recording:
    """Every frame of a source that ends, on that source's own clock."""

    live = False
    dropped = 0

    def __init__(self, camera: Camera, clock: Clock, realtime: bool, stopped: threading.Event) -> None:
        """Play ``camera``.

        Args:
            camera: Not live.
            clock: Measures the pace.
            realtime: Hold each frame back until its time; otherwise as fast as they are taken.
            stopped: Set when the run is to stop: ends a wait at once.
        """
        self.name = camera.name
        self.ended = False
        self.paced = realtime
        self._camera, self._clock, self._stopped = camera, clock, stopped
        self._start: float | None = None
        self._now = 0.0

    def next(self, timeout: float) -> Frame | None:
        """The next frame; ``timeout`` does not apply, a recording always has one or has ended."""
        del timeout
        frame = self._camera.read()
        if frame is None:
            self.ended = True
            return None
        self._now = frame.captured_at
        if self.paced:
            self._hold_back(frame)
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

    def _hold_back(self, frame: Frame) -> None:
        if self._start is None:
            self._start = self._clock.monotonic() - frame.captured_at
        self._stopped.wait(max(0.0, self._start + frame.captured_at - self._clock.monotonic()))


class LatestFrame:
    """The newest frame of a live camera, read in a thread of its own.

    A camera that fails is reopened after a pause, which doubles while it keeps failing. One whose ``read`` never
    returns is left to its thread and opened anew in another. Pictures that repeat to the last byte are not fresh:
    drivers return them after an unplug.
    """

    live = True
    paced = True
    ended = False

    def __init__(
        self,
        camera: Camera,
        reopen: Callable[[], Camera],
        clock: Clock,
        *,
        stale_after: float,
        reopen_after: float,
        hung_after: float = HUNG_AFTER,
    ) -> None:
        """Take over ``camera``; reading begins when the first frame is asked for.

        Args:
            camera: Open and live.
            reopen: Opens it again; raises CameraError where that fails.
            clock: Tells how old the newest frame is.
            stale_after: Without a fresh frame for this long the camera counts as lost, in seconds.
            reopen_after: First pause before reopening, in seconds.
            hung_after: A read or an opening that takes longer will never return, in seconds.
        """
        self.name = camera.name
        self.dropped = 0
        self._reopen, self._clock = reopen, clock
        self._stale_after, self._reopen_after, self._hung_after = stale_after, reopen_after, hung_after
        self._fresh = threading.Condition()
        self._closing = threading.Event()
        self._slot: Frame | None = None
        self._last_image: Image | None = None
        self._sequence = 0
        self._interval, self._taken_at = 0.0, -math.inf
        self._last_fresh = self._busy_since = clock.monotonic()
        self._pause = reopen_after
        self._lost = False
        self._trouble = f"{camera.name} sends no pictures."
        self._events: list[Event] = []
        self._readers: list[threading.Thread] = []
        self._camera = camera

    def next(self, timeout: float) -> Frame | None:
        """The newest frame, once, or None if no fresh one came within ``timeout`` seconds."""
        with self._fresh:
            if not self._readers:
                self._last_fresh = self._clock.monotonic()
                self._start_reader(self._camera)
            self._fresh.wait_for(lambda: self._slot or self._closing.is_set(), timeout)
            frame, self._slot = self._slot, None
            if frame is None and not self._closing.is_set():
                self._look_after()
            return frame

    def pace(self, interval: float) -> None:
        """Take pictures no closer than so many seconds; what comes between is no loss. 0 takes all."""
        with self._fresh:
            self._interval = interval

    def events(self) -> list[Event]:
        """Camera lost or back since last asked."""
        with self._fresh:
            events, self._events = self._events, []
            return events

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.monotonic()

    def close(self) -> None:
        """Stop reading and let go of the camera; a reader that hangs is left behind."""
        with self._fresh:
            self._closing.set()
            self._fresh.notify_all()
        if self._readers:
            self._readers[-1].join(timeout=1.0)
        else:
            self._camera.close()

    def _look_after(self) -> None:
        """Declare a camera lost whose last fresh frame is too old; replace a reader that hangs."""
        now = self._clock.monotonic()
        if now - self._last_fresh >= self._stale_after and not self._lost:
            self._lost = True
            self._events.append(Event(EventKind.CAMERA_LOST, now, detail=self._trouble))
        hangs = now - self._busy_since >= self._hung_after
        if hangs and sum(reader.is_alive() for reader in self._readers) < MOST_HUNG_READERS:
            log.warning("%s has not answered for %g s; it is opened anew.", self.name, self._hung_after)
            self._start_reader(None)

    def _start_reader(self, camera: Camera | None) -> None:
        self._busy_since = self._clock.monotonic()
        reader = threading.Thread(target=self._read, args=(camera,), name="camera", daemon=True)
        self._readers = [*(one for one in self._readers if one.is_alive()), reader]
        reader.start()

    def _current(self) -> bool:
        """Whether the calling thread is the reader that counts, and the source is open."""
        return threading.current_thread() is self._readers[-1] and not self._closing.is_set()

    def _read(self, camera: Camera | None) -> None:
        while self._current():
            try:
                camera = camera or self._reopen()
                while self._current():
                    self._offer(camera.read())
            except Exception as error:  # whatever a driver throws, the answer is to open it again
                if not isinstance(error, CameraError):
                    log.exception("%s failed in a way that maskgate does not know.", self.name)
                self._note(str(error))
            finally:
                if camera:
                    camera.close()
                camera = None
            self._rest()

    def _offer(self, frame: Frame | None) -> None:
        """Put a frame into the slot if it shows something new."""
        if frame is None:
            raise CameraError(f"{self.name} sends no more pictures.")
        repeated = self._repeats(frame.image)
        with self._fresh:
            if not self._current():
                return
            now = self._busy_since = self._clock.monotonic()
            self._sequence += 1
            if repeated:
                self._refuse_frozen(now)
                return
            self._last_image, self._last_fresh, self._pause = frame.image, now, self._reopen_after
            if self._lost:
                self._lost = False
                self._events.append(Event(EventKind.CAMERA_BACK, now))
            if now - self._taken_at >= self._interval:
                self._taken_at = now
                self.dropped += self._slot is not None
                self._slot = replace(frame, sequence=self._sequence - 1)
                self._fresh.notify_all()

    def _refuse_frozen(self, now: float) -> None:
        if now - self._last_fresh >= self._stale_after:
            raise CameraError(f"{self.name} repeats the same picture.")

    def _repeats(self, image: Image) -> bool:
        last = self._last_image
        return last is not None and bool(np.array_equal(image, last)) and int(image.max()) >= DARK

    def _note(self, trouble: str) -> None:
        with self._fresh:
            if self._current():
                self._trouble = trouble
                log.info("%s", trouble)

    def _rest(self) -> None:
        with self._fresh:
            if not self._current():
                return
            pause = self._pause
            self._pause = min(2 * pause, LONGEST_PAUSE)
            self._busy_since = self._clock.monotonic() + pause
        self._closing.wait(pause)

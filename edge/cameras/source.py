"""What the loop takes frames from: the newest of a live camera, or every one of a recording."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from edge.cameras import CAMERA_THREAD, Camera, InputSize
from edge.cameras.freshness import Freshness, is_dark
from edge.clock import Clock
from edge.errors import CameraError
from edge.messages import message
from edge.pacing import Backoff
from edge.values import Event, EventKind, Frame
from edge.vision.preprocess import shrunk

LONGEST_PAUSE = 30.0
"""Maximum pause between attempts to reopen a lost camera, in seconds."""
HUNG_AFTER = 20.0
"""A read that takes this long, in seconds, will never return: longer than OpenCV's own time limits."""
MOST_HUNG_READERS = 3
"""Maximum number of hanging readers; if a driver hangs them all, it is not opened again and the watchdog acts."""


log = logging.getLogger(__name__)


class Source(Protocol):
    """Frames for the loop.

    Attributes:
        name: What the operator calls it.
        live: Whether it runs on the machine's clock, until it is closed.
        paced: Whether it keeps the pace of the scene, so that somebody could watch.
        dropped: Frames that were replaced by a newer one before anybody took them.
        ended: Whether there will be no more frames.
        trouble: Why what was seen of one that has ended is not all that is in it; None if it is.
    """

    name: str
    live: bool
    paced: bool
    dropped: int
    ended: bool
    trouble: str | None

    @property
    def hung(self) -> bool:
        """Whether a call of its driver does not return."""
        ...

    def next(self, timeout: float) -> Frame | None:
        """A frame that was not given before, or None if none came within ``timeout`` seconds or the source ended.

        Raises:
            CameraError: A source that is not live is unreadable.
        """
        ...

    def pace(self, interval: float) -> None:
        """Read frames at least this many seconds apart; 0 reads all."""
        ...

    def events(self) -> list[Event]:
        """Camera lost or back, each reported once."""
        ...

    def now(self) -> float:
        """Monotonic seconds now, on the time base of the frames."""
        ...

    def close(self) -> None:
        """Stop, and release the camera."""
        ...


class LatestFrame:
    """The newest frame of a live camera, read, and scaled down for the detector, in its own thread.

    A camera that fails is reopened after a pause, which doubles while it keeps failing. One whose ``read`` never
    returns is left to its thread and opened again in another. One that repeats the same few pictures, in time stamps
    and to the last byte, is frozen, as drivers are after an unplug, and is reopened too. One that shows only black
    counts as lost, but goes on: reopening repairs neither a covered lens nor a dark room, nor does the watchdog.
    """

    live = True
    paced = True
    ended = False
    trouble: str | None = None

    def __init__(
        self,
        camera: Camera,
        reopen: Callable[[], Camera],
        clock: Clock,
        *,
        stale_after: float,
        reopen_after: float,
        frozen_after: float = 0.0,
        dark_after: float = 0.0,
        hung_after: float = HUNG_AFTER,
        input_size: InputSize | None = None,
    ) -> None:
        """Take over ``camera``; reading begins when the first frame is asked for.

        Args:
            camera: Open and live.
            reopen: Opens it again; raises CameraError where that fails.
            clock: Tells how old the newest frame is.
            stale_after: Without a fresh frame for this long the camera counts as lost, in seconds.
            reopen_after: First pause before reopening, in seconds.
            frozen_after: The same pictures for this long are a frozen camera's, in seconds; 0: never.
            dark_after: Nothing but black for this long shows no door, in seconds; 0: never.
            hung_after: A read or an opening that takes longer will never return, in seconds.
            input_size: Frames are scaled down to fit it, next to the whole picture; None: the detector does it.
        """
        self.name = camera.name
        self.dropped = 0
        self._reopen, self._clock, self._input_size = reopen, clock, input_size
        self._stale_after, self._hung_after = stale_after, hung_after
        self._frozen_after, self._dark_after = frozen_after or math.inf, dark_after or math.inf
        self._fresh = threading.Condition()
        self._closing = threading.Event()
        self._slot: Frame | None = None
        self._freshness = Freshness()
        self._sequence = 0
        self._interval, self._taken_at = 0.0, -math.inf
        self._last_fresh = self._busy_since = self._changed_at = self._lit_at = self._unblank_at = clock.monotonic()
        self._backoff = Backoff(reopen_after, LONGEST_PAUSE)
        self._lost = False
        self._trouble: str = message("camera.silent", camera=camera.name)
        self._events: list[Event] = []
        self._readers: list[threading.Thread] = []
        self._camera = camera

    def next(self, timeout: float) -> Frame | None:
        """The newest frame, once, or None if no fresh one came within ``timeout`` seconds."""
        with self._fresh:
            if not self._readers:
                self._last_fresh = self._clock.monotonic()
                self._start_reader(self._camera, self._reopen)
            self._fresh.wait_for(lambda: self._slot or self._closing.is_set(), timeout)
            frame, self._slot = self._slot, None
            if frame is None and not self._closing.is_set():
                self._look_after()
            return frame

    def open_again(self, reopen: Callable[[], Camera]) -> None:
        """Open the camera in another way, now and from now on. What the old one still sends is left out.

        It counts as lost only if no frame comes within the usual time.
        """
        with self._fresh:
            self._reopen = reopen
            self._busy_since = self._clock.monotonic()
            self.dropped += self._slot is not None
            self._slot = None

    def pace(self, interval: float) -> None:
        """Read frames at least this many seconds apart; frames in between do not count as dropped. 0 reads all."""
        with self._fresh:
            self._interval = interval

    def events(self) -> list[Event]:
        """Camera lost or back since last asked."""
        with self._fresh:
            events, self._events = self._events, []
            return events

    @property
    def hung(self) -> bool:
        """Whether a reader has not come back from the driver: the newest, or one that was left behind."""
        with self._fresh:
            left_behind = any(reader.is_alive() for reader in self._readers[:-1])
            return left_behind or self._clock.monotonic() - self._busy_since >= self._hung_after

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.monotonic()

    def close(self) -> None:
        """Stop reading and release the camera; a reader that hangs is left behind."""
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
        if now - self._last_fresh >= self._stale_after:
            self._lose(now, self._trouble)
        hangs = now - self._busy_since >= self._hung_after
        if hangs and sum(reader.is_alive() for reader in self._readers) < MOST_HUNG_READERS:
            log.warning("%s has not answered for %g s; it is opened again.", self.name, self._hung_after)
            self._start_reader(None, self._reopen)

    def _lose(self, now: float, trouble: str) -> None:
        if not self._lost:
            self._lost = True
            self._events.append(Event(EventKind.CAMERA_LOST, now, detail=trouble))

    def _start_reader(self, camera: Camera | None, opener: Callable[[], Camera]) -> None:
        self._busy_since = self._clock.monotonic()
        reader = threading.Thread(target=self._read, args=(camera, opener), name=CAMERA_THREAD, daemon=True)
        self._readers = [*(one for one in self._readers if one.is_alive()), reader]
        reader.start()

    def _current(self) -> bool:
        """Whether the calling thread is the reader that counts, and the source is open."""
        return threading.current_thread() is self._readers[-1] and not self._closing.is_set()

    def _read(self, camera: Camera | None, opener: Callable[[], Camera]) -> None:
        """Read ``camera``, which ``opener`` opened; where there is none, or it fails, the one that is opened next."""
        while self._current():
            try:
                if camera is None:
                    opener = self._reopen
                    camera = opener()
                self._lit_at = self._unblank_at = self._clock.monotonic()
                while self._current() and opener is self._reopen:
                    self._offer(camera.read(), opener)
            except Exception as error:  # whatever a driver throws, the answer is to open it again
                if not isinstance(error, CameraError):
                    log.exception("%s failed unexpectedly.", self.name)
                self._note(str(error))
            finally:
                if camera:
                    camera.close()
                camera = None
            if opener is self._reopen:
                self._rest()

    def _offer(self, frame: Frame | None, opener: Callable[[], Camera]) -> None:
        """Put a frame into the slot if it shows something new."""
        if frame is None:
            raise CameraError(message("camera.ended", camera=self.name))
        fresh, dark = self._freshness.is_new(frame), is_dark(frame.image)
        blank = dark and not frame.image.any()
        if frame.small is None and self._input_size:
            height, width = frame.image.shape[:2]
            frame = replace(frame, small=shrunk(frame.image, *self._input_size(width, height)))
        with self._fresh:
            if not self._current() or opener is not self._reopen:
                return
            now = self._busy_since = self._clock.monotonic()
            self._sequence += 1
            self._refuse_frozen(now, fresh or dark)
            self._last_fresh = now
            self._backoff.reset()
            self._judge_light(now, dark, blank)
            if now - self._taken_at >= self._interval:
                self._taken_at = now
                self.dropped += self._slot is not None
                self._slot = replace(frame, sequence=self._sequence - 1)
                self._fresh.notify_all()

    def _refuse_frozen(self, now: float, fresh: bool) -> None:
        if fresh:  # so is a covered lens, which compresses to the same bytes for ever
            self._changed_at = now
        elif now - self._changed_at >= self._frozen_after:
            trouble = message("camera.frozen", camera=self.name)
            self._lose(now, trouble)
            raise CameraError(trouble)

    def _judge_light(self, now: float, dark: bool, blank: bool) -> None:
        """Declare a camera lost that has shown nothing but black for too long, and back any other that was lost."""
        if not dark:
            self._lit_at = now
        if not blank:
            self._unblank_at = now
        if now - self._lit_at >= self._dark_after:
            why = "camera.blank" if now - self._unblank_at >= self._dark_after else "camera.dark"
            self._lose(now, message(why, camera=self.name))
        elif self._lost:
            self._lost = False
            self._events.append(Event(EventKind.CAMERA_BACK, now))

    def _note(self, trouble: str) -> None:
        with self._fresh:
            if self._current():
                self._trouble = trouble
                log.info("%s", trouble)

    def _rest(self) -> None:
        with self._fresh:
            if not self._current():
                return
            pause = self._backoff.next()
            self._busy_since = self._clock.monotonic() + pause
        self._closing.wait(pause)

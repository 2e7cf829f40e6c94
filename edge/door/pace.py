"""Lowers the frame rate while the board throttles, so that each frame is judged in time.

    pace = Pace(fps=30)
    source.pace(pace.interval(now, frames, slowed=watch.slowed_by != ()))

A processor that is too hot is given less to do before pictures go missing, and more again once it has been well for a
while.
"""

from __future__ import annotations

from collections.abc import Callable

from edge.board import slowed_by
from edge.messages import message, together
from edge.worker import Worker

LOOK_EVERY = 10.0
"""Interval between decisions, in seconds: a heat sink does not cool faster."""
STEP = 0.75
"""Factor by which each decision to slow down changes the rate."""
LEAST = 4.0
"""Minimum frames per second: below it, people would be lost between frames."""
FAREWELL = 1.0
"""Timeout at the end for a board that is slow to answer, in seconds."""
WELL_FOR = 60.0
"""After this long without slowing down, the rate goes up one step, in seconds."""


class Pace:
    """Decides the interval between frames.

    Args:
        fps: Of the camera, in frames per second.

    Attributes:
        limit: Maximum frames per second; None for all.
    """

    def __init__(self, fps: float) -> None:
        self.limit: float | None = None
        self._fps = fps
        self._looked_at: float | None = None
        self._frames = 0
        self._well_since = 0.0

    def interval(self, now: float, frames: int, slowed: bool) -> float:
        """Minimum time between two pictures, in seconds; 0 while all are taken.

        Args:
            now: Monotonic seconds; may be asked for as often as one likes.
            frames: Processed since the start.
            slowed: Whether the board slows itself down.
        """
        if self._looked_at is None:
            self._looked_at, self._frames, self._well_since = now, frames, now
        elif now - self._looked_at >= LOOK_EVERY:
            rate = (frames - self._frames) / (now - self._looked_at)
            self._looked_at, self._frames = now, frames
            self._decide(now, rate, slowed)
        return 1 / self.limit if self.limit else 0.0

    def _decide(self, now: float, rate: float, slowed: bool) -> None:
        if slowed:
            self._well_since = now
            reached = min(self.limit or self._fps, max(rate, LEAST))
            self.limit = max(LEAST, reached * STEP)
        elif self.limit and now - self._well_since >= WELL_FOR:
            self._well_since = now
            self.limit /= STEP
            if self.limit >= self._fps:
                self.limit = None


class BoardWatch:
    """Reads the board's state every few seconds in its own thread, because firmware may be slow to answer.

    Attributes:
        slowed_by: Why the board slows itself down, as last seen.
    """

    def __init__(self, look: Callable[[], tuple[str, ...]] = slowed_by, every: float = LOOK_EVERY / 2) -> None:
        """Start reading, once per ``every`` seconds."""
        self.slowed_by: tuple[str, ...] = ()
        self._look, self._every = look, every
        self._worker = Worker("board", self._watch)

    def close(self) -> None:
        """Stop looking. Safe to call twice."""
        self._worker.close(within=FAREWELL)

    def _watch(self, worker: Worker) -> None:
        self.slowed_by = self._look()
        while not worker.wait(self._every):
            self.slowed_by = self._look()


class BoardPace:
    """The pace of a camera on a board that may slow itself down.

    Args:
        pace: Decides.
        watch: Looks at the board; closed by its opener.
    """

    def __init__(self, pace: Pace, watch: BoardWatch) -> None:
        self._pace, self._watch = pace, watch

    def interval(self, now: float, frames: int) -> float:
        """Minimum time between two frames at monotonic second ``now``, in seconds; 0 while all are taken."""
        return self._pace.interval(now, frames, bool(self._watch.slowed_by))

    @property
    def trouble(self) -> str | None:
        """Why the board slows itself down, as a sentence; None while it does not."""
        slowed_by = self._watch.slowed_by
        return message("board.slowed", why=together(slowed_by, between=", ")) if slowed_by else None

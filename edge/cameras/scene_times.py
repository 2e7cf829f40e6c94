"""Times of a recording's frames from the time stamps of its container, which may be missing, stand still or jump."""

from __future__ import annotations

import math

LONGEST_GAP = 10.0
"""Maximum step between time stamps, in seconds. A longer one is a jump of the camera's clock and is not waited for."""
GAP_INTERVALS = 20
"""The same in frame intervals, for recordings with a low frame rate."""


class SceneTimes:
    """Seconds that always go up, and by what the time stamps say as long as that can be.

    Args:
        interval: From one frame to the next at the stated rate, in seconds.

    Attributes:
        jumps: How often the stamps jumped so far.
        jumped: Whether they did at the last frame.
    """

    def __init__(self, interval: float) -> None:
        self.jumps, self.jumped = 0, False
        self._interval = interval
        self._limit = max(LONGEST_GAP, GAP_INTERVALS * interval)
        self._offset = 0.0
        self._stamp: float | None = None
        self._time = -interval

    def take(self, stamp: float) -> tuple[float, int]:
        """The time of the next frame, and how many frame intervals it is after the one before.

        Args:
            stamp: Of the container, in seconds.
        """
        before, last = self._time, self._stamp
        if not math.isfinite(stamp):
            stamp = 0.0 if last is None else last
        if last is None:
            self._offset = -stamp if abs(stamp) > self._limit else 0.0
        self._stamp = stamp
        self.jumped = last is not None and abs(stamp - last) > self._limit
        if self.jumped:
            self.jumps += 1
            self._offset = before + self._interval - stamp
        there = stamp + self._offset
        # Some containers carry no time stamps, which then stay at 0, or carry them out of order.
        self._time = there if there > before else before + self._interval
        return self._time, max(1, round((self._time - before) / self._interval))

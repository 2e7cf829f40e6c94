"""Deletes single visits once they are old enough, by a clock that may be wrong.

A visit of the present boot is as old as the time since then, whatever the clock says. For earlier ones the clock
decides only if it is confirmed: a time server has set it, or nobody has for ``SETTLED``. Until then, no more time has
passed than other boots have stored: a clock that jumps years ahead deletes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from edge.sinks.counts.hours import HOUR

PRUNE_EVERY = 3600.0
"""Interval in seconds."""

PRUNE_AFTER = 600.0
"""Delay before the first time, in seconds, so that a time server can set the clock."""

SETTLED = 86400.0
"""A clock that was not set for this long is believed, in seconds."""


class Retention:
    """Decides when to delete which visits.

    Args:
        days: Visits are deleted after this many days.
        now: Seconds since boot.
        clock_is_set: Whether a time server has set the clock; None if unknown.
    """

    def __init__(self, days: int, now: float, clock_is_set: Callable[[], bool | None]) -> None:
        self._seconds = days * 86400.0
        self._clock_is_set = clock_is_set
        self._due_at = now + PRUNE_AFTER
        self._unchanged_from = now

    def clock_changed(self, now: float) -> None:
        """The wall clock was set at this second since boot."""
        self._unchanged_from = now

    def is_due(self, now: float) -> bool:
        """Whether it is time to delete."""
        return now >= self._due_at

    def done(self, now: float) -> None:
        """What was due is deleted."""
        self._due_at = now + PRUNE_EVERY

    def delete(self, connection: sqlite3.Connection, boot: int, now: float, wall_offset: float) -> None:
        """Delete what is old.

        Args:
            connection: In a transaction.
            boot: The row of the present boot.
            now: Seconds since boot.
            wall_offset: What makes UTC of them.
        """
        today = now + wall_offset
        connection.execute("DELETE FROM visits WHERE boot = ? AND ended < ?", (boot, today - self._seconds))
        if not self._confirmed(now):
            of_others = "SELECT MAX(hour) FROM hours WHERE boot != ? AND typeof(hour) = 'integer'"
            (newest,) = connection.execute(of_others, (boot,)).fetchone()
            today = today if newest is None else min(today, newest + HOUR)
        connection.execute("DELETE FROM visits WHERE ended < ?", (today - self._seconds,))

    def _confirmed(self, now: float) -> bool:
        return self._clock_is_set() is True or now - self._unchanged_from >= SETTLED

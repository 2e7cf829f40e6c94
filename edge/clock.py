"""Time. Logic runs on monotonic seconds that are passed in; wall time is joined on only where it is written down."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Protocol


class Clock(Protocol):
    """Where monotonic and wall time come from."""

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""
        ...

    def now(self) -> datetime:
        """Wall time, UTC, aware. It may jump: a Pi has no real-time clock."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    def now(self) -> datetime:
        """Wall time, UTC."""
        return datetime.now(timezone.utc)


class ManualClock:
    """A clock that moves only when told to: for tests and for scenes that carry their own time."""

    def __init__(self, start: datetime | None = None) -> None:
        self._monotonic = 0.0
        self._wall = start or datetime(2025, 1, 1, tzinfo=timezone.utc)

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._monotonic

    def now(self) -> datetime:
        """Start plus the seconds advanced and the jumps made."""
        return self._wall

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on both clocks."""
        self._monotonic += seconds
        self._wall += timedelta(seconds=seconds)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as a time server does; monotonic time does not notice."""
        self._wall += timedelta(seconds=seconds)


def rfc3339(moment: datetime) -> str:
    """``moment`` as RFC 3339 in UTC with milliseconds: ``2025-01-31T08:15:30.250Z``."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")

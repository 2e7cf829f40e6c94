"""A clock that moves only when told to."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone


class ManualClock:
    """Stands in for ``edge.clock.SystemClock``."""

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

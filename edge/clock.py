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


def wall_time(clock: Clock, at: float) -> datetime:
    """UTC of monotonic second ``at``: counted back from now, so it is right also after the clock was set."""
    return clock.now() - timedelta(seconds=clock.monotonic() - at)


def rfc3339(moment: datetime) -> str:
    """``moment`` as RFC 3339 in UTC with milliseconds: ``2025-01-31T08:15:30.250Z``."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")

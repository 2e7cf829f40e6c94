"""Time. Logic runs on monotonic seconds that are passed in; wall time is joined on only where it is written down."""

from __future__ import annotations

import ctypes
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Protocol

TIME_ERROR = 5
"""What adjtimex(2) returns while no time server has set the clock."""

TIMESYNCD = Path("run/systemd/timesync")
"""Exists while systemd-timesyncd runs; its file ``synchronized`` exists once that has set the clock."""


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


def clock_is_set(root: Path = Path("/")) -> bool | None:
    """Whether a time server has set the clock; None if nothing says so.

    The kernel does not answer services with ``ProtectClock``, such as maskgate's own; systemd-timesyncd's files do.
    """
    state = _kernel_clock_state()
    if state >= 0:
        return state != TIME_ERROR
    return (root / TIMESYNCD / "synchronized").exists() if (root / TIMESYNCD).is_dir() else None


def _kernel_clock_state() -> int:
    """What adjtimex(2) returns: below 0 where it may not be asked."""
    read_only = ctypes.create_string_buffer(512)
    try:
        return int(ctypes.CDLL(None, use_errno=True).adjtimex(read_only))
    except (OSError, AttributeError):
        return -1


def wall_time(clock: Clock, at: float) -> datetime:
    """UTC of monotonic second ``at``: counted back from now, so it is right also after the clock was set."""
    return clock.now() - timedelta(seconds=clock.monotonic() - at)


def rfc3339(moment: datetime) -> str:
    """``moment`` as RFC 3339 in UTC with milliseconds: ``2025-01-31T08:15:30.250Z``."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")

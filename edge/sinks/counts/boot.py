"""Time since the machine was started, which no time server sets."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from edge.clock import Clock, SystemClock


class BootClock:
    """Seconds that tick from boot to shutdown, sleep included, and the name of the boot they belong to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        system = isinstance(clock, SystemClock)
        self._seconds = _since_boot if system else clock.monotonic
        self.name = (_boot_id() if system else None) or f"run-{uuid.uuid4()}"

    def seconds(self) -> float:
        """Seconds since boot."""
        return self._seconds()

    def wall_offset(self) -> float:
        """What must be added to ``seconds`` to have UTC seconds since 1970."""
        return self._clock.now().timestamp() - self._seconds()


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None

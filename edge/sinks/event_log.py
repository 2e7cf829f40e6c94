"""The events log: JSON Lines that others read by script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from edge.clock import Clock, rfc3339
from edge.errors import StoreError
from edge.sinks.outbox import Outbox
from edge.values import Event, EventKind, Verdict

STANDARD_OUTPUT = "-"


@dataclass(frozen=True, slots=True)
class SceneTime:
    """Joins scene seconds to the machine's clocks.

    Attributes:
        clock: The machine's.
        start: Its monotonic seconds at scene second 0: 0 for a live camera, whose scene runs on that very clock; for
            a recording the moment it began to play.
    """

    clock: Clock
    start: float = 0.0

    def monotonic(self, at: float) -> float:
        """Monotonic seconds of scene second ``at``."""
        return self.start + at

    def wall(self, at: float) -> datetime:
        """UTC of scene second ``at``: counted back from now, so that a clock that was set meanwhile is right."""
        return self.clock.now() - timedelta(seconds=self.clock.monotonic() - self.monotonic(at))


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to.

    Attributes:
        frames: Frames that were processed.
        seconds: How long that took, on the machine's clock.
        dropped: Frames that a newer one replaced before they could be processed.
        totals: Visits that ended, by verdict.
    """

    frames: int = 0
    seconds: float = 0.0
    dropped: int = 0
    totals: Mapping[Verdict, int] = field(default_factory=dict)

    @property
    def fps(self) -> float:
        """Frames processed a second."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0

    @property
    def visits(self) -> int:
        """Visits that ended."""
        return sum(self.totals.values())

    def fields(self) -> dict[str, Any]:
        """The last line of the events log, JSON-ready."""
        counted = {str(verdict): self.totals.get(verdict, 0) for verdict in Verdict}
        return {
            "event": str(EventKind.SUMMARY),
            "frames": self.frames,
            "fps": round(self.fps, 1),
            "dropped": self.dropped,
            "visits": self.visits,
            **counted,
        }


class EventLog:
    """Writes events as they happen, one JSON object a line, and the summary as the last."""

    def __init__(self, outbox: Outbox, scene_time: SceneTime) -> None:
        """Write to ``outbox``; ``scene_time`` tells when an event was."""
        self.outbox = outbox
        self._scene_time = scene_time

    def write(self, event: Event) -> None:
        """Write one event."""
        when = rfc3339(self._scene_time.wall(event.at))
        self._put({"event": str(event.kind), "time": when, **event.fields()})

    def finish(self, summary: Summary) -> None:
        """Write the summary and close."""
        self._put(summary.fields())
        self.outbox.close()

    def _put(self, fields: Mapping[str, Any]) -> None:
        self.outbox.put(json.dumps(fields, ensure_ascii=False) + "\n")


def open_file(path: str, patient: bool) -> Outbox:
    """Open a file for events; they are added to what it holds.

    Raises:
        StoreError: The file cannot be written.
    """
    try:
        return Outbox(Path(path).expanduser().open("ab", buffering=0), path, patient)
    except OSError as error:
        raise StoreError(
            f"Cannot write events to {path}: {error.strerror}; check that its folder exists and is writable."
        ) from error

"""What the operator's page shows: how things stand, what was counted today, what happened lately."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from edge.board import temperature_celsius
from edge.clock import Clock, rfc3339, wall_time
from edge.errors import StoreError
from edge.messages import ENGLISH, identifier, translated
from edge.sinks.counts import database
from edge.sinks.counts.reading import Row, read_rows
from edge.sinks.event_log import fields
from edge.sinks.web.feed import Feed
from edge.sinks.web.state import counted, health, mode
from edge.status import Status

COUNTS_FOR = 5.0
"""How long counts from the disk are reused, in seconds."""
EVENTS_SHOWN = 50
SAME_FOR = 0.25
"""Who asks again within this many seconds gets the same answer, unless there is a new event."""


@dataclass(frozen=True, slots=True)
class About:
    """What does not change during a run.

    Attributes:
        version: Of maskgate.
        models: What is loaded, one line each for people: task, name, hash.
        stale_after: Maximum age of a current frame, in seconds.
        door: Its name in what is downloaded: letters, digits, ``_`` and ``-``.
    """

    version: str
    models: tuple[Mapping[str, str], ...]
    stale_after: float
    door: str = "door"


class Report:
    """Gathers it. The disk is read in a worker thread, at most every few seconds."""

    def __init__(self, feed: Feed, clock: Clock, about: About) -> None:
        self._feed, self._clock, self._about = feed, clock, about
        self._reading = asyncio.Lock()
        self._today: dict[str, Any] = {}
        self._today_at: float | None = None
        self._bodies: dict[str, tuple[float, int, bytes]] = {}
        self._writing = asyncio.Lock()

    async def body(self, language: str) -> bytes:
        """Everything as JSON, put together once for all who ask within a moment in which nothing happened."""
        async with self._writing:
            now, newest = self._clock.monotonic(), self._feed.newest
            at, number, body = self._bodies.get(language, (0.0, -1, b""))
            if number != newest or now - at >= SAME_FOR:
                body = json.dumps(await self.full(language), ensure_ascii=False, separators=(",", ":")).encode()
                self._bodies[language] = (now, newest, body)
            return body

    async def full(self, language: str = ENGLISH) -> dict[str, Any]:
        """Everything, JSON-ready; seconds, degrees Celsius, UTC; sentences in ``language``."""
        now, status = self._clock.monotonic(), self._feed.status
        word, reasons = health(status, now, self._about.stale_after)
        said: dict[str, Any] = {
            "time": rfc3339(self._clock.now()),
            "mode": str(mode(status, now, self._about.stale_after)),
            "health": str(word),
            "reasons": [translated(reason, language) for reason in reasons],
            "reason_ids": [identifier(reason) for reason in reasons],
            "version": self._about.version,
            "models": [dict(model) for model in self._about.models],
            "runtime": _runtime(status),
            "temperature": await asyncio.to_thread(temperature_celsius),
            "fps": self._feed.fps(),
            "today": _in(language, await self._counts(status)),
            "events": [fields(told.event, self._clock, language) for told in self._feed.since(0)[-EVENTS_SHOWN:]],
        }
        if status is not None:
            said |= {
                "started": rfc3339(wall_time(self._clock, status.started_at)),
                "uptime": round(now - status.started_at, 1),
                "frames": status.frames,
                "dropped": status.dropped,
                "frame_age": status.frame_age(now),
                "stages": {"detect": status.times.detect, "classify": status.times.classify},
                "camera": {
                    "name": status.camera.name,
                    "trouble": status.camera.trouble and translated(status.camera.trouble, language),
                    "losses": status.camera.losses,
                },
                "people": [{"id": person.id, "verdict": str(person.verdict)} for person in status.people],
                "alarm": status.alarm,
                "source": str(status.camera.kind),
                "counted": status.counted,
                "alerts": self._alerts(status, now, language),
                "since_start": counted(status.totals),
                "troubles": [translated(trouble, language) for trouble in status.troubles],
            }
        return said

    def _alerts(self, status: Status, now: float, language: str) -> dict[str, Any]:
        """What the outputs really do: which there are, which failed, what keeps them silent."""
        until = status.alerts.muted_until
        return {
            "audible": status.alerts.audible,
            "quiet_hours": status.alerts.quiet_hours,
            "muted_for": None if until is None else round(max(0.0, until - now), 1),
            "outputs": [
                {
                    "kind": output.kind,
                    "name": translated(output.name, language),
                    "trouble": output.trouble and translated(output.trouble, language),
                }
                for output in status.alerts.outputs
            ],
        }

    async def _counts(self, status: Status | None) -> dict[str, Any]:
        """Today's counts by hour. Visits of the last seconds are still on their way to the disk."""
        async with self._reading:
            now = self._clock.monotonic()
            if self._today_at is None or now - self._today_at >= COUNTS_FOR:
                store = status.counts.path if status and status.counts else None
                self._today = await asyncio.to_thread(read_today, store, self._clock.now())
                self._today_at = now
            return self._today


def _in(language: str, today: Mapping[str, Any]) -> dict[str, Any]:
    return {**today, "trouble": today["trouble"] and translated(today["trouble"], language)}


def _runtime(status: Status | None) -> str:
    if status is None:
        return ""
    return "Edge TPU" if status.accelerated else status.runtime


def read_today(store: Path | None, now: datetime) -> dict[str, Any]:
    """Counts of the local day of ``now``, by hour, JSON-ready; or the reason why there are none.

    Args:
        store: The SQLite file; None if visits are not stored.
        now: Aware.
    """
    if store is None:
        return {"hours": [], "trouble": None, "stored": False}
    local = now.astimezone()
    midnight = datetime(local.year, local.month, local.day).astimezone()
    try:
        with database.reading(store) as connection:
            rows = read_rows(connection, midnight, "hour")
    except StoreError as error:
        return {"hours": [], "trouble": str(error), "stored": True}
    return {"hours": _hours(rows), "trouble": None, "stored": True}


def _hours(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {
            "start": f"{row.start:%H:%M}",
            **dict(zip(database.VERDICT_COLUMNS, row.verdicts, strict=True)),
            "visits": row.visits,
        }
        for row in rows
    ]

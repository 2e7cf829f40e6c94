"""Telling people who are not at the door: what failed, what is well again, and what was counted."""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from edge.clock import Clock, rfc3339, wall_time
from edge.config import Config
from edge.errors import StoreError
from edge.messages import message, numbered, together, translated
from edge.sinks import Sink
from edge.sinks.counts import database
from edge.sinks.counts.export import figures
from edge.sinks.counts.reading import Row, read_rows, total
from edge.sinks.delivery import Mailbox, Notice, Way, ways
from edge.sinks.registry import Opening
from edge.status import Status
from edge.values import Event, EventKind
from edge.verdicts import Verdict
from edge.worker import Worker

TICK = 1.0
"""Interval between checks whether something is due, in seconds."""
SUMMARY_OF = timedelta(hours=24)
FAREWELL = 1.0
"""Timeout at the end for a service, in seconds."""

log = logging.getLogger(__name__)


def open_sink(opening: Opening) -> Sink:
    """Get ready to tell the services that the settings name.

    Raises:
        ConfigError: A part for them is not installed.
    """
    return Notifier(opening.config, opening.clock, list(ways(opening.config.notify)))


class Notifier(Sink):
    """Queues notices for each service. Only counts and compares in the loop; nothing here waits.

    Args:
        config: The effective settings.
        clock: The machine's.
        services: Who is told.
    """

    name = "notifications"
    every = 1.0

    def __init__(self, config: Config, clock: Clock, services: Sequence[Way]) -> None:
        self._settings, self._clock = config.notify, clock
        self._use(config)
        self._failed: dict[str, str] = {}
        self._store: Path | None = None
        self._lock = threading.Lock()
        self._bare: Counter[Verdict] = Counter()
        self._bare_told_at = -math.inf
        self._summed_up = self._last_due(self._local())
        self._mailboxes = [Mailbox(way, clock) for way in services]
        self._worker = Worker("notify", self._run)

    @property
    def trouble(self) -> str | None:  # type: ignore[override]
        """Which service refuses its notices, as sentences; None while all accept them."""
        troubles = [box.trouble for box in self._mailboxes if box.trouble]
        return together(troubles) if troubles else None

    def tell(self, events: Sequence[Event]) -> None:
        """Pass on that the camera is lost or back; count visits."""
        for event in events:
            if event.kind is EventKind.CAMERA_LOST and self._settings.camera:
                lost = event.detail or message("notice.camera_silent")
                self._put("camera_lost", event.at, message("notice.camera_lost"), lost)
            elif event.kind is EventKind.CAMERA_BACK and self._settings.camera:
                self._put("camera_back", event.at, message("notice.camera_back"), message("notice.watched"))
            elif event.kind is EventKind.VISIT_ENDED and event.verdict and event.verdict.alarming:
                with self._lock:
                    self._bare[event.verdict] += 1

    def show(self, status: Status) -> None:
        """Pass on which alert outputs have failed, and which work again."""
        self._store = status.counts.path if status.counts else None
        if status.settings:
            self._use(status.settings.config)
        if not self._settings.outputs:
            return
        failed = {output.name: output.trouble for output in status.alerts.outputs if output.trouble}
        for name in failed.keys() - self._failed.keys():
            self._put("output_failed", status.at, message("notice.output_failed"), failed[name], {"output": name})
        for name in self._failed.keys() - failed.keys():
            works = message("notice.output_works", output=name)
            self._put("output_back", status.at, message("notice.output_back"), works, {"output": name})
        self._failed = failed

    def _use(self, config: Config) -> None:
        """Take over what operators may change: the door's name and language."""
        self._door = config.web.door_name or config.mqtt.door_name
        self._language = config.web.language

    def close(self) -> None:
        """Stop telling. Safe to call twice."""
        self._worker.ask_to_end()
        for box in self._mailboxes:
            box.close(FAREWELL / len(self._mailboxes))
        self._worker.close(FAREWELL)

    def _run(self, worker: Worker) -> None:
        while not worker.wait(TICK):
            self.look()

    def look(self) -> None:
        """Tell what is due now."""
        self._tell_of_the_bare()
        due = self._last_due(self._local())
        if due is not None and due != self._summed_up:
            self._summed_up = due
            self._sum_up()

    def _tell_of_the_bare(self) -> None:
        now = self._clock.monotonic()
        if not self._settings.bare_every or now - self._bare_told_at < 60 * self._settings.bare_every:
            return
        with self._lock:
            counted, self._bare = self._bare, Counter()
        if counted:
            self._bare_told_at = now
            text = numbered("notice.visits", counted.total(), parts=self._parts(sorted(counted.items())))
            details = {str(verdict): number for verdict, number in counted.items()}
            self._put("bare_visits", now, message("notice.bare"), text, details)

    def _local(self) -> datetime:
        return self._clock.now().astimezone()

    def _last_due(self, now: datetime) -> date | None:
        """The day of the newest summary that was due; None if none is wanted."""
        at = self._settings.summary_at
        if not at:
            return None
        return now.date() if f"{now:%H:%M}" >= at else now.date() - timedelta(days=1)

    def _sum_up(self) -> None:
        if self._store is None:
            return
        end = self._local()
        start = end - SUMMARY_OF
        try:
            with database.reading(self._store) as connection:
                row = total(read_rows(connection, start, "hour", end), start)
        except StoreError as error:
            log.warning("No summary was sent: %s", error)
            return
        text = self._sentence(row)
        self._put("daily_summary", self._clock.monotonic(), message("notice.summary"), text, figures(row))

    def _parts(self, numbers: Iterable[tuple[Verdict, int]]) -> str:
        """``2 no mask, 1 badly worn``, in the language of the door."""
        return ", ".join(f"{number} {verdict.named(self._language)}" for verdict, number in numbers)

    def _sentence(self, row: Row) -> str:
        visits = numbered("notice.visits", row.visits, parts=self._parts(zip(Verdict, row.verdicts, strict=True)))
        return visits if row.compliance is None else together([visits, message("notice.rate", rate=row.compliance)])

    def _put(self, event: str, at: float, title: str, text: str, details: Mapping[str, Any] | None = None) -> None:
        title, text = translated(title, self._language), translated(text, self._language)
        notice = Notice(event, rfc3339(wall_time(self._clock, at)), self._door, title, text, details or {})
        for box in self._mailboxes:
            box.put(notice)

"""The events log: JSON Lines that others read by script."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from edge.clock import Clock, rfc3339, wall_time
from edge.control import Commands
from edge.errors import StoreError
from edge.messages import ENGLISH, translated
from edge.sinks import Sink
from edge.sinks.outbox import Outbox, standard_output
from edge.sinks.registry import STANDARD_OUTPUT, Opening
from edge.status import Summary
from edge.text import plural
from edge.values import Event

log = logging.getLogger(__name__)


def open_sink(opening: Opening) -> Sink:
    """Open the file that the command line names, or standard output.

    Raises:
        StoreError: The file cannot be written.
    """
    path = opening.events or STANDARD_OUTPUT
    if path == STANDARD_OUTPUT:
        outbox = standard_output(opening.patient, opening.commands)
    else:
        outbox = open_file(path, opening.patient, opening.commands)
    return EventLog(outbox, opening.clock)


class EventLog(Sink):
    """Writes events as they happen, one JSON object a line, and the summary as the last."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        """Write to ``outbox``; ``clock`` turns the events' times into wall time."""
        self._outbox = outbox
        self._clock = clock
        self.name = f"the event log {outbox.name}"
        self._said = False

    @property
    def trouble(self) -> str | None:  # type: ignore[override]
        """Why events are no longer written; None while they are."""
        return self._outbox.trouble

    @property
    def incomplete(self) -> bool:
        """Whether events were lost, other than for a reader who had enough."""
        return bool(self._outbox.lost) and not self._outbox.reader_left

    def tell(self, events: Sequence[Event]) -> None:
        """Write events."""
        for event in events:
            self._put(fields(event, self._clock))

    def finish(self, summary: Summary) -> None:
        """Write the summary."""
        self._put(summary.fields())

    def close(self) -> None:
        """Write what waits. What could not be written is counted and said."""
        self._outbox.close()
        if self.incomplete and not self._said:
            self._said = True
            lost = plural(self._outbox.lost, "event was", "events were")
            log.warning("%s not written to %s.", lost, self._outbox.name)

    def _put(self, fields: Mapping[str, Any]) -> None:
        self._outbox.put(json.dumps(fields, ensure_ascii=False) + "\n")


def fields(event: Event, clock: Clock, language: str = ENGLISH) -> dict[str, Any]:
    """An event as it is written everywhere: its name, its time in UTC, and what else it says; JSON-ready."""
    said = {"event": str(event.kind), "time": rfc3339(wall_time(clock, event.at)), **event.fields()}
    return said | {"detail": translated(event.detail, language)} if event.detail else said


def open_file(path: str, patient: bool, commands: Commands | None = None) -> Outbox:
    """Open a file for events; they are appended, each on its own line.

    A named pipe is opened in the outbox's thread, because opening one waits for its reader.

    Raises:
        StoreError: The file cannot be written.
    """
    place = Path(path).expanduser()
    try:
        if place.exists() and stat.S_ISFIFO(place.stat().st_mode):
            return Outbox(lambda: _append(place), path, patient, commands)
        torn = _ends_within_a_line(place)
        file = _append(place)
    except OSError as error:
        raise StoreError(
            f"Cannot write events to {path}: {error.strerror}; check that its folder exists and is writable."
        ) from error
    outbox = Outbox(lambda: file, path, patient, commands)
    if torn:
        outbox.put("\n")
    return outbox


def _append(path: Path) -> BinaryIO:
    return path.open("ab", buffering=0)


def _ends_within_a_line(path: Path) -> bool:
    """Whether the last writer was cut off, by a power failure or a full disk."""
    if not path.is_file() or not os.access(path, os.R_OK):
        return False
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"

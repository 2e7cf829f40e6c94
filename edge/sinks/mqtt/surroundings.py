"""What a door publishes in addition to its status: the board and today's counts. Read in its own thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.board import temperature_celsius, throttled
from edge.clock import Clock
from edge.errors import StoreError
from edge.sinks.counts import database
from edge.sinks.counts.reading import Row, period_start, read_rows, total
from edge.worker import Worker

LOOK_EVERY = 15.0
"""Interval between readings of the board and the store, in seconds."""
FIRST_LOOK = 0.5
"""Interval until the store is known, in seconds."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The last readings.

    Attributes:
        temperature: In degrees Celsius; None if none is measured.
        throttled: Whether the board slows itself down; None if unknown.
        today: What was counted since midnight; None if nothing is stored or the store cannot be read.
    """

    temperature: float | None = None
    throttled: bool | None = None
    today: Row | None = None


class Lookout:
    """Keeps looking: firmware and disks take their time to answer, and a broker must not wait for them.

    Args:
        clock: Whose local day is today.
        root: Where /sys is.

    Attributes:
        seen: The newest.
        store: The file of counts; None while it is not known, or where visits are not stored.
    """

    def __init__(self, clock: Clock, root: Path = Path("/")) -> None:
        self.seen = Surroundings()
        self.store: Path | None = None
        self._clock, self._root = clock, root
        self._worker = Worker("surroundings", self._watch)

    def close(self) -> None:
        """Stop looking, without waiting for a disk that hangs. Safe to call twice."""
        self._worker.close(within=FIRST_LOOK)

    def _watch(self, worker: Worker) -> None:
        while not worker.closing:
            causes = throttled(self._root)
            slowed = None if causes is None else any(causes.values())
            store = self.store
            self.seen = Surroundings(temperature_celsius(self._root), slowed, self._today(store))
            worker.wait(LOOK_EVERY if store else FIRST_LOOK)

    def _today(self, store: Path | None) -> Row | None:
        if store is None:
            return None
        midnight = period_start(self._clock.now(), "day")
        try:
            with database.reading(store) as connection:
                rows = read_rows(connection, midnight, "day")
        except StoreError:  # the status says what is wrong with the store
            return None
        return total(rows, midnight)

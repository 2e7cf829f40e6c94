"""The store of visits, written by its own thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace

from edge.config.place import store_path
from edge.messages import message
from edge.pacing import SayOnce
from edge.sinks import Sink
from edge.sinks.counts.ownership import StoreBusyError
from edge.sinks.counts.store import CountStore
from edge.sinks.registry import Opening
from edge.status import CountsState, Status
from edge.values import Event, StageTimes
from edge.worker import Worker

COUNTS_EVERY = 0.5
"""Interval between checks whether counts are due to be written, in seconds."""

OPEN_WITHIN = 2.0
"""Timeout to open the store, in seconds; after it, the door runs without stored counts."""

FAREWELL = 3.0
"""Timeout at the end for a disk that does not answer, in seconds."""

log = logging.getLogger(__name__)


def open_sink(opening: Opening) -> Sink:
    """Open the store that the settings name.

    Raises:
        StoreBusyError: Another maskgate writes it.
    """
    settings = opening.config.counts
    path = store_path(settings)
    return CountKeeper(CountStore(path, settings.commit_every, settings.retention_days, opening.clock, open_now=False))


class CountKeeper(Sink):
    """The store of visits, with a thread that waits for the disk in place of the loop.

    Args:
        store: Not open yet.

    Raises:
        StoreBusyError: Another maskgate writes the store.
    """

    name = "the counts"

    def __init__(self, store: CountStore) -> None:
        self._store = store
        self._say_once = SayOnce(log)
        self._opened = threading.Event()
        self._refusal: StoreBusyError | None = None
        self._left_behind = self._late = False
        self._worker = Worker("counts", self._keep_written)
        if not self._opened.wait(OPEN_WITHIN):
            self._late = True
            self._say()
        elif self._refusal:
            raise self._refusal

    @property
    def trouble(self) -> str | None:  # type: ignore[override]
        """Why something counted is not on the disk, as a sentence; None if there is no problem."""
        if not self._opened.is_set() or self._left_behind:
            return message("counts.disk")
        return str(self._refusal) if self._refusal else self._store.degraded

    @property
    def incomplete(self) -> bool:
        """Whether visits are not on the disk."""
        return self.trouble is not None

    def tell(self, events: Sequence[Event]) -> None:
        """Remember the events that count."""
        for event in events:
            self._store.record(event)

    def frame(self, times: StageTimes) -> None:
        """Remember that one more frame was processed."""
        del times
        self._store.add_frames(1)

    def contribute(self, status: Status) -> Status:
        """Say whether counts are written, and what was counted before."""
        return replace(status, counts=CountsState(self._store.path, self.trouble, self._store.before))

    def close(self) -> None:
        """Write what is left; a disk that does not answer is left behind. Safe to call twice."""
        self._left_behind = not self._worker.close(within=FAREWELL)
        self._say()

    def _keep_written(self, worker: Worker) -> None:
        try:
            self._store.open()
        except StoreBusyError as refusal:
            self._refusal = refusal
        self._opened.set()
        if self._late or not self._refusal:  # a refusal in time is raised, and the caller reports it
            self._say()
        while not self._refusal and not worker.wait(COUNTS_EVERY):
            self._store.tick()
            self._say()
        if not self._refusal:
            self._store.close()

    def _say(self) -> None:
        for sentence in filter(None, (self._store.notice, self.trouble)):
            self._say_once.warn(sentence)

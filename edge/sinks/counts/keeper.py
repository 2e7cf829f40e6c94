"""The store of visits, kept written by a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from edge.sinks.counts.ownership import StoreBusyError
from edge.sinks.counts.store import CountStore
from edge.values import Event, Verdict

COUNTS_EVERY = 0.5
"""Between two looks at whether counts are due to be written, in seconds."""

OPEN_WITHIN = 2.0
"""The door is watched without counts on the disk if the store does not open this soon, in seconds."""

log = logging.getLogger(__name__)


class CountKeeper:
    """The store of visits, with a thread that waits for the disk in place of the loop.

    Args:
        store: Not open yet.

    Raises:
        StoreBusyError: Another maskgate writes the store.
    """

    def __init__(self, store: CountStore) -> None:
        self._store = store
        self._said: set[str] = set()
        self._opened = threading.Event()
        self._refusal: StoreBusyError | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep_written, name="counts", daemon=True)
        self._thread.start()
        if not self._opened.wait(OPEN_WITHIN):
            self._say()
        elif self._refusal:
            raise self._refusal

    @property
    def degraded(self) -> str | None:
        """Why something counted is not on the disk, as a sentence; None while all is well."""
        if not self._opened.is_set():
            return "The disk with the counts does not answer; they are kept in memory until it does."
        return str(self._refusal) if self._refusal else self._store.degraded

    @property
    def before(self) -> Mapping[Verdict, int] | None:
        """Visits by verdict that were counted before this run; None until the store could be read."""
        return self._store.before

    def record(self, event: Event) -> None:
        """Remember an event, its time on the store's clock, if it counts."""
        self._store.record(event)

    def add_frames(self, number: int) -> None:
        """Remember that ``number`` more frames were processed."""
        self._store.add_frames(number)

    def close(self) -> None:
        """Write what is left; safe to call twice."""
        self._closing.set()
        self._thread.join()
        self._store.close()
        self._say()

    def _keep_written(self) -> None:
        try:
            self._store.open()
        except StoreBusyError as refusal:
            self._refusal = refusal
        self._opened.set()
        self._say()
        while not self._refusal and not self._closing.wait(COUNTS_EVERY):
            self._store.tick()
            self._say()

    def _say(self) -> None:
        for sentence in filter(None, (self._store.notice, self.degraded)):
            if sentence not in self._said:
                self._said.add(sentence)
                log.warning("%s", sentence)

"""Between the loop and the server: the newest status in a slot, the newest events in a ring, the frame rate."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from edge.pacing import SlidingRate
from edge.status import Status
from edge.values import Event

EVENTS_KEPT = 200
"""Number of events kept in memory."""


class Told(NamedTuple):
    """An event and its number, counting up from 1."""

    number: int
    event: Event


class Feed:
    """Written by the loop, read by the server. No call waits for the other side longer than a few microseconds."""

    def __init__(self) -> None:
        self.status: Status | None = None
        """The newest; None before the first."""
        self._lock = threading.Lock()
        self._events: deque[Told] = deque(maxlen=EVENTS_KEPT)
        self._told = 0
        self._rate = SlidingRate()

    def tell(self, events: Sequence[Event]) -> None:
        """Keep ``events``, their times in monotonic seconds; the oldest make room."""
        with self._lock:
            for event in events:
                self._told += 1
                self._events.append(Told(self._told, event))

    def show(self, status: Status) -> None:
        """Put ``status`` into the slot."""
        self.status = status
        self._rate.mark(status.at, status.frames)

    @property
    def newest(self) -> int:
        """Number of the newest event; 0 before the first."""
        return self._told

    def since(self, number: int) -> list[Told]:
        """Events that are newer than the one with ``number``, oldest first, as far as they are kept."""
        with self._lock:
            return [told for told in self._events if told.number > number]

    def fps(self) -> float | None:
        """Frames processed per second, over the last ten seconds; None in the first second."""
        status = self.status
        return None if status is None else self._rate.per_second(status.at)

"""Between the loop and the server: the newest status in a slot, the newest events in a ring, the frame rate."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from edge.status import Status
from edge.values import Event

EVENTS_KEPT = 200
"""The newest events that stay in memory."""
RATE_OVER = 10.0
"""The frame rate is the mean over so many seconds."""
RATE_EVERY = 1.0
"""Between two marks of the frame counter, in seconds."""


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
        self._marks: deque[tuple[float, int]] = deque(maxlen=int(RATE_OVER / RATE_EVERY) + 1)

    def tell(self, events: Sequence[Event]) -> None:
        """Keep ``events``, their times in monotonic seconds; the oldest make room."""
        with self._lock:
            for event in events:
                self._told += 1
                self._events.append(Told(self._told, event))

    def show(self, status: Status) -> None:
        """Put ``status`` into the slot."""
        self.status = status
        if not self._marks or status.at - self._marks[-1][0] >= RATE_EVERY:
            with self._lock:
                self._marks.append((status.at, status.frames))

    def since(self, number: int) -> list[Told]:
        """Events that are newer than the one with ``number``, oldest first, as far as they are kept."""
        with self._lock:
            return [told for told in self._events if told.number > number]

    def fps(self) -> float | None:
        """Frames processed a second, over the last ten; None in the first second."""
        status = self.status
        with self._lock:
            marks = list(self._marks)
        if status is None or not marks or status.at - marks[0][0] < RATE_EVERY:
            return None
        return (status.frames - marks[0][1]) / (status.at - marks[0][0])

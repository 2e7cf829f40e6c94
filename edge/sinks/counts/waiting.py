"""What was counted and is not on the disk yet. It is bounded: a disk may be away for weeks."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from edge.values import Verdict

MOST_VISITS = 50_000
"""Maximum visits waiting for the disk (about 10 MB, weeks of a busy door); then the oldest are dropped and counted."""


@dataclass(frozen=True, slots=True)
class WaitingVisit:
    """A visit that is not written yet, in seconds since boot."""

    started: float
    ended: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written in one transaction.

    Attributes:
        visits: Oldest first.
        frames: Processed.
        dropped: Visits that had been dropped by then.
    """

    visits: tuple[WaitingVisit, ...]
    frames: int
    dropped: int


class Waiting:
    """Visits and frames that wait. Any thread may add; one takes batches and says when they are on the disk.

    Attributes:
        dropped: Visits for which there was no room.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._lock = threading.Lock()
        self._visits: deque[WaitingVisit] = deque()
        self._frames = 0

    def __len__(self) -> int:
        """Visits that wait."""
        return len(self._visits)

    @property
    def anything(self) -> bool:
        """Whether there is something to write."""
        return bool(self._visits or self._frames)

    def add(self, visit: WaitingVisit) -> bool:
        """Keep a visit, in place of the oldest if there is no more room. Returns whether it is the first that waits."""
        with self._lock:
            self._visits.append(visit)
            if len(self._visits) > MOST_VISITS:
                self._visits.popleft()
                self.dropped += 1
            return len(self._visits) == 1

    def add_frames(self, n: int) -> None:
        """Remember that ``n`` more frames were processed."""
        with self._lock:
            self._frames += n

    def batch(self) -> Batch:
        """All that waits now; it keeps waiting until it is ``written``."""
        with self._lock:
            return Batch(tuple(self._visits), self._frames, self.dropped)

    def written(self, batch: Batch) -> None:
        """Forget what is on the disk. Visits that were dropped meanwhile are gone already."""
        with self._lock:
            for _ in range(len(batch.visits) - (self.dropped - batch.dropped)):
                self._visits.popleft()
            self._frames -= batch.frames

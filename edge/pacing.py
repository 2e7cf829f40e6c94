"""How often: pauses that grow, rates over a sliding window, sentences that are said once.

Nothing here reads a clock; callers pass monotonic seconds.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from random import Random

_chance = Random()  # noqa: S311 - spreads load, hides nothing
"""Not the generator that the process shares: a seeded run in another thread would end differently."""


class Backoff:
    """Pauses that double while something keeps failing.

        backoff = Backoff(first=1.0, longest=30.0)
        wait(backoff.next())  # 1 s, then 2 s, 4 s ... 30 s
        backoff.reset()  # it works again

    Args:
        first: The first pause, in seconds.
        longest: No pause is longer, in seconds.
        jitter: Largest share of a pause that chance takes away, so that many devices do not retry at the same moment.
    """

    def __init__(self, first: float, longest: float, jitter: float = 0.0) -> None:
        self._first, self._longest, self._jitter = first, longest, jitter
        self.pause = first
        """The next pause in seconds, before it is shortened at random."""

    def next(self) -> float:
        """The pause to make now, in seconds; the one after it is twice as long."""
        pause = self.pause
        self.pause = min(2 * pause, self._longest)
        return pause * _chance.uniform(1 - self._jitter, 1)

    def reset(self) -> None:
        """Begin with the first pause again."""
        self.pause = self._first


class SlidingRate:
    """How fast a counter grows, over the last seconds. One thread may mark while others ask.

    Args:
        over: Length of the window, in seconds.
        mark_every: Marks that come closer together are left out, in seconds.
    """

    def __init__(self, over: float = 10.0, mark_every: float = 1.0) -> None:
        self._over, self._mark_every = over, mark_every
        self._lock = threading.Lock()
        self._marks: deque[tuple[float, int]] = deque(maxlen=int(over / mark_every) + 1)
        self._newest = 0

    def mark(self, at: float, total: int) -> None:
        """Note that the counter stood at ``total`` at second ``at``."""
        self._newest = total
        if not self._marks or at - self._marks[-1][0] >= self._mark_every:
            with self._lock:
                self._marks.append((at, total))

    def per_second(self, now: float) -> float | None:
        """The rate up to second ``now``; None until the first mark is ``mark_every`` old, 0 when marks stop coming."""
        with self._lock:
            marks = list(self._marks)
        if not marks or now - marks[0][0] < self._mark_every:
            return None
        recent = [mark for mark in marks if now - mark[0] <= self._over]
        if not recent:
            return 0.0
        at, total = recent[0]
        return (self._newest - total) / max(now - at, self._mark_every)


class SayOnce:
    """Logs each warning once, however often it is found.

    Args:
        log: Where warnings go.
    """

    MOST_REMEMBERED = 200
    """Maximum texts remembered; then the oldest is forgotten and may be repeated. Texts with numbers must not fill the
    memory."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said: dict[str, None] = {}

    def warn(self, sentence: str, then: str = "") -> bool:
        """Log ``sentence``, with ``then`` after it, unless it was logged before. Returns whether it was logged now."""
        if sentence in self._said:
            return False
        self._said[sentence] = None
        if len(self._said) > self.MOST_REMEMBERED:
            del self._said[next(iter(self._said))]
        self._log.warning("%s", f"{sentence} {then}".rstrip())
        return True

    def forget(self) -> None:
        """Let everything be said again."""
        self._said.clear()

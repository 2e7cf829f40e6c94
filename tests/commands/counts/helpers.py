"""What the tests of the command share."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

from edge.sinks.counts import CountStore, database
from edge.values import Event, EventKind
from edge.verdicts import Verdict
from tests.stand_ins.clock import ManualClock

ROOT = Path(__file__).parents[3]


MASKED, BARE = Verdict.WITH_MASK, Verdict.WITHOUT_MASK
BADLY, UNSURE = Verdict.MASK_WORN_INCORRECTLY, Verdict.UNSURE


MONDAY = datetime(2025, 3, 3, 8, 30, tzinfo=timezone.utc)


Ask = Callable[..., str]


def fill(path: Path, *visits: tuple[datetime, Verdict], retention_days: int = 10_000) -> None:
    """Count visits of 3 seconds that end at these moments, in order."""
    clock = ManualClock(visits[0][0])
    store = CountStore(path, 1.0, retention_days, clock)
    for at, verdict in visits:
        clock.advance((at - clock.now()).total_seconds())
        store.record(Event(EventKind.VISIT_ENDED, clock.monotonic(), 1, verdict, 3.0))
        store.add_frames(100)
        store.tick()
    store.close()


def first_words(text: str, words: int) -> list[list[str]]:
    return [line.split()[:words] for line in text.splitlines()[1:]]


def visits(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [verdict for (verdict,) in connection.execute("SELECT verdict FROM visits ORDER BY ended")]


def totals(path: Path) -> list[int]:
    with closing(database.open_for_reading(path)) as connection:
        return list(database.lifetime_totals(connection).values())

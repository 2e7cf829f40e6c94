"""What the tests of the store share."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge.sinks.counts import CountStore
from edge.values import Event, EventKind, Verdict

ROOT = Path(__file__).parents[3]


START = datetime(2025, 3, 3, 8, 0, tzinfo=timezone.utc)


BARE, MASKED = Verdict.WITHOUT_MASK, Verdict.WITH_MASK


def visit(at: float, verdict: Verdict = MASKED, seconds: float = 3.0) -> Event:
    return Event(EventKind.VISIT_ENDED, at, 1, verdict, seconds)


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def visits(path: Path) -> list[tuple[datetime, str]]:
    found = rows(path, "SELECT ended, verdict FROM visits ORDER BY ended")
    return [(datetime.fromtimestamp(ended, timezone.utc), verdict) for ended, verdict in found]


def hourly(path: Path) -> dict[str, int]:
    """Visits by UTC hour, of every verdict."""
    found = rows(
        path,
        "SELECT hour, SUM(with_mask + without_mask + mask_worn_incorrectly + unsure) AS visits "
        "FROM hours GROUP BY hour HAVING visits > 0",
    )
    return {f"{datetime.fromtimestamp(hour, timezone.utc):%d %H:%M}": count for hour, count in found}


OpenStore = Callable[..., CountStore]


def scribble(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)

"""Taking visits out of the store for good: those that only tried the door, or that somebody asks to have deleted."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path

from edge.errors import StoreError
from edge.sinks.counts import database
from edge.sinks.counts.database import FURTHEST, VERDICT_COLUMNS
from edge.sinks.counts.hours import HOUR, hour_of
from edge.sinks.counts.ownership import is_corrupt
from edge.verdicts import Verdict

Forgotten = Counter[Verdict]
"""Visits by verdict."""


def forget(path: Path, since: datetime | None, until: datetime | None, *, really: bool = True) -> Forgotten:
    """Delete the visits that ended from ``since`` on and before ``until``, and their share of the hourly totals.

    Of visits so old that only hourly totals are left of them, whole hours within that time are deleted. Frames and
    uptime stay. A maskgate that runs goes on counting; its own total of this run does not change.

    Args:
        path: The store.
        since: Aware; None from the beginning.
        until: Aware; None to the end.
        really: False changes nothing, and tells what would be deleted.

    Raises:
        StoreError: There is no store, or it cannot be written.
    """
    begin = since.timestamp() if since else -FURTHEST
    end = until.timestamp() if until else FURTHEST
    forgotten: Forgotten = Counter()

    def work(connection: sqlite3.Connection) -> None:
        forgotten.update(_forget_visits(connection, begin, end))
        forgotten.update(_forget_hours(connection, begin, end))
        if not really:
            raise _OnlyAskedError

    try:
        with closing(database.open_for_editing(path)) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            try:
                database.transaction(connection, work)
            except _OnlyAskedError:
                return forgotten
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        what = "it is damaged" if is_corrupt(error) else "is this user allowed to write it? Try sudo"
        raise StoreError(f"Cannot delete visits in {path}: {error}; {what}.") from error
    return forgotten


class _OnlyAskedError(Exception):
    """Takes back what was only tried."""


def _forget_visits(connection: sqlite3.Connection, begin: float, end: float) -> Forgotten:
    within = "FROM visits WHERE ended >= ? AND ended < ?"
    visits = connection.execute(f"SELECT boot, ended, verdict {within}", (begin, end)).fetchall()
    forgotten: Forgotten = Counter()
    for boot, ended, verdict in visits:
        if verdict not in VERDICT_COLUMNS or not isinstance(ended, float):
            continue
        connection.execute(
            f"UPDATE hours SET {verdict} = max({verdict} - 1, 0) WHERE boot = ? AND hour = ?",  # noqa: S608 - our own
            (boot, hour_of(ended)),
        )
        forgotten[Verdict(verdict)] += 1
    connection.execute(f"DELETE {within}", (begin, end))
    return forgotten


def _forget_hours(connection: sqlite3.Connection, begin: float, end: float) -> Forgotten:
    """What is left in hours that lie wholly in that time."""
    within = f"FROM hours WHERE hour >= ? AND hour + {HOUR} <= ?"
    sums = ", ".join(f"COALESCE(SUM({column}), 0)" for column in VERDICT_COLUMNS)
    left = connection.execute(f"SELECT {sums} {within}", (begin, end)).fetchone()
    zeros = ", ".join(f"{column} = 0" for column in VERDICT_COLUMNS)
    connection.execute(
        f"UPDATE hours SET {zeros} WHERE hour >= ? AND hour + {HOUR} <= ?",  # noqa: S608 - our own
        (begin, end),
    )
    return Counter({verdict: int(count) for verdict, count in zip(Verdict, left, strict=True) if count})

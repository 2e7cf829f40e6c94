"""The hourly totals: adding to them, moving them with a clock that was set, taking visits out of them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping

from edge.messages import message
from edge.sinks.counts.database import FURTHEST, VERDICT_COLUMNS
from edge.sinks.counts.ownership import CorruptError

HOUR = 3600


def hour_of(utc_seconds: float) -> int:
    """The beginning of the UTC hour that contains a moment, both in UTC seconds since 1970."""
    return int(utc_seconds // HOUR) * HOUR


def add(connection: sqlite3.Connection, boot: int, hour: int, amounts: Mapping[str, float]) -> None:
    """Add to the columns of one hour."""
    columns = ", ".join(amounts)
    marks = ", ".join("?" * len(amounts))
    sums = ", ".join(f"{column} = {column} + excluded.{column}" for column in amounts)
    connection.execute(
        f"INSERT INTO hours (boot, hour, {columns}) VALUES (?, ?, {marks}) "  # noqa: S608 - columns are our own
        f"ON CONFLICT (boot, hour) DO UPDATE SET {sums}",
        (boot, hour, *amounts.values()),
    )


def rebuild(connection: sqlite3.Connection, boot: int, step: float) -> None:
    """Move a boot's hourly totals by ``step`` seconds.

    Verdicts are recounted from the visits, which are exact; those whose visits are already deleted move as a whole to
    the hour that most of theirs becomes. Frames and uptime are shared out between the two hours that theirs becomes.
    """
    columns = ("hour", *VERDICT_COLUMNS, "frames", "uptime")
    rows = connection.execute(f"SELECT {', '.join(columns)} FROM hours WHERE boot = ?", (boot,)).fetchall()  # noqa: S608
    visits = connection.execute("SELECT ended, verdict FROM visits WHERE boot = ?", (boot,)).fetchall()
    if not all(
        isinstance(ended, float) and abs(ended) < FURTHEST and verdict in VERDICT_COLUMNS for ended, verdict in visits
    ):
        raise CorruptError(message("counts.unknown_value"))
    known = Counter((hour_of(ended - step), verdict) for ended, verdict in visits)
    connection.execute("DELETE FROM hours WHERE boot = ?", (boot,))
    for hour, *counts, frames, uptime in rows:
        first = hour_of(hour + step)
        later = (hour + step - first) / HOUR
        nearest = first if later < 1 / 2 else first + HOUR
        deleted = {
            verdict: count - known[hour, verdict] for verdict, count in zip(VERDICT_COLUMNS, counts, strict=True)
        }
        add(connection, boot, nearest, deleted)
        moved = round(frames * later)
        add(connection, boot, first, {"frames": frames - moved, "uptime": uptime * (1 - later)})
        add(connection, boot, first + HOUR, {"frames": moved, "uptime": uptime * later})
    for ended, verdict in visits:
        add(connection, boot, hour_of(ended), {verdict: 1})

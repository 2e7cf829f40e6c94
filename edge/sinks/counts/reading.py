"""What the store holds, by hour, day, week or month of local time, and visit by visit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import add
from typing import Literal, get_args

from edge.messages import message
from edge.sinks.counts import database
from edge.sinks.counts.database import FURTHEST, LARGEST, VERDICT_COLUMNS
from edge.verdicts import Verdict

Period = Literal["hour", "day", "week", "month"]
PERIODS: tuple[Period, ...] = get_args(Period)

EARLIER = 2 * 86400
"""Hours that begin this many seconds before a moment belong to an earlier day in every time zone."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was counted in one period.

    Attributes:
        start: Local, aware.
        verdicts: Visits by verdict, in the order of ``Verdict``.
        frames: Processed.
        uptime: Seconds that maskgate ran.
    """

    start: datetime
    verdicts: tuple[int, ...]
    frames: int
    uptime: float

    @property
    def visits(self) -> int:
        """Of every verdict."""
        return sum(self.verdicts)

    @property
    def judged(self) -> int:
        """Visits that ended with a verdict, not unsure."""
        return self.visits - self._of(Verdict.UNSURE)

    @property
    def compliance(self) -> float | None:
        """Share of the judged visits that ended masked, 0 to 1; None if nobody was judged."""
        return self._of(Verdict.WITH_MASK) / self.judged if self.judged else None

    def _of(self, verdict: Verdict) -> int:
        return self.verdicts[VERDICT_COLUMNS.index(verdict.value)]

    def __add__(self, other: Row) -> Row:
        """Both together, from the start of the first."""
        verdicts = tuple(a + b for a, b in zip(self.verdicts, other.verdicts, strict=True))
        return Row(self.start, verdicts, self.frames + other.frames, self.uptime + other.uptime)


def total(rows: Iterable[Row], start: datetime) -> Row:
    """The sum from ``start`` on; zeros if there are no periods."""
    return reduce(add, rows, Row(start, (0,) * len(VERDICT_COLUMNS), 0, 0.0))


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit: ``started`` and ``ended`` are local and aware."""

    started: datetime
    ended: datetime
    verdict: Verdict

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return (self.ended - self.started).total_seconds()


def read_rows(
    connection: sqlite3.Connection, since: datetime | None, by: Period | str, until: datetime | None = None
) -> list[Row]:
    """The store's totals by local period, oldest first: those that overlap the time from ``since`` to ``until``.

    Hours are those of UTC, shown in local time: they begin at half past where the zone is half an hour off, and a day
    takes the hours that begin in it. Weeks begin on Monday.

    Raises:
        sqlite3.Error: The store cannot be read, or a row of it is damaged.
    """
    columns = (*database.verdict_columns(connection), "frames", "uptime")
    sums = ", ".join(f"SUM({column})" for column in columns)
    whole = " OR ".join(f"typeof({column}) <> 'integer' OR abs({column}) > {LARGEST}" for column in columns[:-1])
    wrong = f"typeof(hour) <> 'integer' OR typeof(uptime) <> 'real' OR abs(uptime) > {FURTHEST} OR {whole}"
    first = period_start(since, by) if since else None
    earliest = first.timestamp() - EARLIER if first else 0
    hours = connection.execute(
        f"SELECT MAX({wrong}), hour, {sums} FROM hours WHERE hour >= ? GROUP BY hour ORDER BY hour",  # noqa: S608
        (earliest,),
    )
    merged: dict[datetime, Row] = {}
    for damaged, *fields in hours:
        begin = _moment(None if damaged else fields[0])
        start = period_start(begin, by)
        too_early = since and (begin + timedelta(hours=1) <= since if by == "hour" else first and start < first)
        if too_early or (until and start >= until) or not any(fields[1:]):
            continue
        *verdicts, frames, uptime = fields[1:]
        row = Row(start, tuple(verdicts), frames, uptime)
        merged[start] = merged[start] + row if start in merged else row
    return list(merged.values())


def read_visits(connection: sqlite3.Connection, since: datetime | None, until: datetime | None) -> list[Visit]:
    """Single visits that ended from ``since`` on and before ``until``, oldest first; older ones are deleted.

    Raises:
        sqlite3.Error: The store cannot be read, or a row of it is damaged.
    """
    rows = connection.execute(
        "SELECT started, ended, verdict FROM visits WHERE ended >= ? AND ended < ? ORDER BY ended, id",
        (since.timestamp() if since else -FURTHEST, until.timestamp() if until else FURTHEST),
    )
    return [_visit(*row) for row in rows]


def period_start(moment: datetime, by: Period | str) -> datetime:
    """The beginning of the local period that contains ``moment``; of an hour, ``moment`` itself."""
    if by == "hour":
        return moment
    local = moment.astimezone()
    back = local.weekday() if by == "week" else local.day - 1 if by == "month" else 0
    return (datetime(local.year, local.month, local.day) - timedelta(days=back)).astimezone()


def _visit(started: object, ended: object, verdict: object) -> Visit:
    if verdict not in VERDICT_COLUMNS:
        raise _damaged_row(message("counts.unknown_verdict", verdict=repr(str(verdict)[:40])))
    return Visit(_moment(started), _moment(ended), Verdict(verdict))


def _moment(utc_seconds: object) -> datetime:
    """In local time.

    Raises:
        sqlite3.DatabaseError: It is not a time: SQLite limits no numbers, and keeps text in a column of numbers.
    """
    if not isinstance(utc_seconds, int | float):
        raise _damaged_row(message("counts.unknown_value"))
    try:
        return datetime.fromtimestamp(utc_seconds).astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise _damaged_row(str(error)) from error


def _damaged_row(reason: str) -> sqlite3.DatabaseError:
    return sqlite3.DatabaseError(message("counts.damaged_row", reason=reason))

"""``maskgate counts``: what the store holds, as a table or as CSV, in local time."""

from __future__ import annotations

import argparse
import csv
import re
import sqlite3
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TextIO

from edge.config import Settings
from edge.errors import ConfigError, StoreError
from edge.sinks.counts import database, store_path
from edge.sinks.counts.database import VERDICT_COLUMNS
from edge.verdicts import Verdict

SUMMARY = "print the visits counted"
ABOUT = "Print the visits counted, by hour or day."

HEADINGS = (*(verdict.words for verdict in Verdict), "visits", "frames", "uptime")
CSV_HEADINGS = ("start", "utc_offset", *VERDICT_COLUMNS, "visits", "frames", "uptime_seconds")

DURATION = re.compile(r"(\d+)([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

EARLIER = 2 * 86400
"""Of hours that begin so many seconds before a moment, none belongs to its day in any time zone."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was counted in one hour or day.

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        metavar="WHEN",
        help="today, yesterday, a date (2025-01-31), a time (2025-01-31T08:00), or how long ago (30m, 2h, 7d, 4w); "
        "by default today by hour, everything by day",
    )
    parser.add_argument("--by", choices=("hour", "day"), default="hour", help="one line an hour or a day (%(default)s)")
    parser.add_argument("--csv", action="store_true", help="comma-separated values for a spreadsheet")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the counts. Returns the exit code.

    Raises:
        ConfigError: ``--since`` is not understood.
        StoreError: There is no store, or it cannot be read.
    """
    path = store_path(settings.config.counts)
    now = datetime.now().astimezone()
    since = parse_since(args.since or ("today" if args.by == "hour" else None), now)
    connection = database.open_for_reading(path)
    try:
        rows = read_rows(connection, since, args.by)
    except sqlite3.Error as error:
        raise StoreError(f"Cannot read the counts in {path}: {error}; is it the file that maskgate writes?") from error
    finally:
        connection.close()
    (write_csv if args.csv else write_table)(rows, sys.stdout)
    return 0


def parse_since(text: str | None, now: datetime) -> datetime | None:
    """The moment that ``--since`` names, in the time zone of ``now``; None for everything.

    Raises:
        ConfigError: It is no time.
    """
    if text is None:
        return None
    midnight = datetime(now.year, now.month, now.day)
    if text in ("today", "yesterday"):
        return (midnight - timedelta(days=text == "yesterday")).astimezone()
    try:
        if duration := DURATION.fullmatch(text):
            return now - timedelta(**{UNITS[duration[2]]: int(duration[1])})
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"--since {text} is no time; give today, yesterday, 2025-01-31, 2025-01-31T08:00, 30m, 2h, 7d or 4w."
        ) from error


def read_rows(connection: sqlite3.Connection, since: datetime | None, by: str) -> list[Row]:
    """The store's totals ``by`` hour or local day, from the one that contains ``since``, oldest first.

    Hours are those of UTC, shown in local time: they begin at half past where the zone is half an hour off, and a day
    takes the hours that begin in it.
    """
    columns = (*database.verdict_columns(connection), "frames", "uptime")
    sums = ", ".join(f"SUM({column})" for column in columns)
    earliest = since.timestamp() - EARLIER if since else 0
    hours = connection.execute(
        f"SELECT hour, {sums} FROM hours WHERE hour >= ? GROUP BY hour ORDER BY hour",  # noqa: S608
        (earliest,),
    )
    merged: dict[datetime, Row] = {}
    for fields in hours:
        begin, counts, frames, uptime = _hour(*fields)
        start = begin if by == "hour" else _day(begin)
        too_early = since and (begin + timedelta(hours=1) <= since if by == "hour" else start < _day(since))
        if too_early or not any((*counts, frames, uptime)):
            continue
        before = merged.get(start, Row(start, (0,) * len(counts), 0, 0.0))
        verdicts = tuple(a + b for a, b in zip(before.verdicts, counts, strict=True))
        merged[start] = Row(start, verdicts, before.frames + frames, before.uptime + uptime)
    return list(merged.values())


def write_table(rows: Iterable[Row], out: TextIO) -> None:
    """Aligned columns with a line of totals, for reading."""
    rows = list(rows)
    if not rows:
        out.write("Nothing was counted in that time.\n")
        return
    one_a_day = all((row.start.hour, row.start.minute) == (0, 0) for row in rows)
    lines = [
        [f"{row.start:%a %Y-%m-%d}" if one_a_day else f"{row.start:%a %Y-%m-%d %H:%M}", *_cells(row)] for row in rows
    ]
    totals = Row(
        rows[0].start,
        tuple(map(sum, zip(*(row.verdicts for row in rows), strict=True))),
        sum(row.frames for row in rows),
        sum(row.uptime for row in rows),
    )
    table = [["", *HEADINGS], *lines, ["total", *_cells(totals)]]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for label, *cells in table:
        out.write(f"{label:<{widths[0]}}  {'  '.join(map(str.rjust, cells, widths[1:]))}\n")


def write_csv(rows: Iterable[Row], out: TextIO) -> None:
    """ASCII with a header (RFC 4180). Times are local, as spreadsheets read them; the offset from UTC stands beside.

    No cell begins with a character that a spreadsheet takes for the beginning of a formula, the offset's sign included.
    """
    writer = csv.writer(out)
    writer.writerow(CSV_HEADINGS)
    for row in rows:
        offset = f"UTC{row.start.isoformat()[-6:]}"
        start = f"{row.start:%Y-%m-%d %H:%M:%S}"
        writer.writerow((start, offset, *row.verdicts, row.visits, row.frames, round(row.uptime)))


def _hour(hour: int, *sums: float) -> tuple[datetime, list[int], int, float]:
    """A row of the store, in local time.

    Raises:
        sqlite3.DatabaseError: The row is damaged: SQLite itself holds numbers to no limits and text for numbers.
    """
    uptime = sums[-1]
    try:
        *counts, frames, _ = map(int, sums)
        return datetime.fromtimestamp(hour).astimezone(), counts, frames, uptime
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise sqlite3.DatabaseError(f"a row of it is damaged ({error})") from error


def _day(moment: datetime) -> datetime:
    """The beginning of the local day that contains ``moment``."""
    return datetime(moment.year, moment.month, moment.day).astimezone()


def _cells(row: Row) -> list[str]:
    minutes = round(row.uptime / 60)
    return [*map(str, row.verdicts), str(row.visits), str(row.frames), f"{minutes // 60}:{minutes % 60:02}"]

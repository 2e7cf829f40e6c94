"""``maskgate counts``: what the store holds, as a table, CSV or JSON, in local time; and deleting from it."""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import add
from pathlib import Path
from typing import TextIO, TypeVar

from edge.config import Settings
from edge.errors import ConfigError
from edge.sinks.counts import database, store_path
from edge.sinks.counts.export import as_json, visits_as_json, write_csv, write_visits_csv
from edge.sinks.counts.forget import Forgotten, forget
from edge.sinks.counts.reading import PERIODS, Period, Row, Visit, read_rows, read_visits
from edge.streams import confirmed
from edge.text import HelpFormatter, plural
from edge.verdicts import Verdict

SUMMARY = "print the visits counted, or delete some"
ABOUT = "Print the counted visits by hour, day, week or month, or one by one; or delete some."

HEADINGS = (*(verdict.words for verdict in Verdict), "visits", "mask rate", "frames", "uptime")

DURATION = re.compile(r"(\d+)([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
WHEN = (
    "now, today, yesterday, a date (2025-01-31), a time (2025-01-31T08:00), or how long ago (30m, 2h, 7d, 4w); times "
    "are local unless they carry an offset"
)
EXAMPLES = """\
examples:
  maskgate counts                                   today, by hour
  maskgate counts --by week --since 2025-01-01      week by week
  maskgate counts --since yesterday --until today   yesterday, by hour
  maskgate counts --by day --csv > days.csv         for LibreOffice, Excel or pandas
  maskgate counts --visits --since 7d --csv         visit by visit, as far back as they are kept
  maskgate counts --by month --json                 for programs
  maskgate counts forget --since 2h                 delete the visits of the last two hours
"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Span:
    """From ``since`` on and before ``until``, both aware; None if it is open."""

    since: datetime | None
    until: datetime | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``maskgate counts``."""
    parser.epilog, parser.formatter_class = EXAMPLES, HelpFormatter
    _add_span(parser, "by default today by hour, everything by day, week or month")
    parser.add_argument(
        "--by",
        choices=PERIODS,
        default="hour",
        help="one line per hour, day, week (from Monday) or month (default: hour)",
    )
    parser.add_argument("--visits", action="store_true", help="one line per visit, as far back as they are kept")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="comma-separated values, for spreadsheets and pandas")
    form.add_argument("--json", action="store_true", help="one JSON object, for programs")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="deleting")
    deleting = actions.add_parser(
        "forget",
        help="delete visits and their share of the hourly totals",
        description="Permanently delete the visits that ended within a period, and their share of the hourly totals.",
    )
    _add_span(deleting, "one of --since and --until is needed", forget=True)
    deleting.add_argument("--yes", action="store_true", help="do not ask (for scripts)")


def _add_span(parser: argparse.ArgumentParser, default: str, *, forget: bool = False) -> None:
    prefix = "forget_" if forget else ""
    parser.add_argument("--since", dest=f"{prefix}since", metavar="WHEN", help=f"{WHEN}; {default}")
    parser.add_argument("--until", dest=f"{prefix}until", metavar="WHEN", help="the same; later visits are left out")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the counts, or delete from them. Returns the exit code.

    Raises:
        ConfigError: A time is not understood.
        StoreError: There is no store, or it cannot be read or written.
    """
    path = store_path(settings.config.counts)
    now = datetime.now().astimezone()
    if args.action == "forget":
        return _forget(path, _span(args.forget_since, args.forget_until, now), args.yes)
    by_default = "today" if args.by == "hour" and not args.visits and not args.until else None
    span = _span(args.since or by_default, args.until, now)
    door = settings.config.mqtt.door_name
    if args.visits:
        visits = _read(path, lambda connection: read_visits(connection, span.since, span.until))
        _print_visits(visits, door, args)
    else:
        rows = _read(path, lambda connection: read_rows(connection, span.since, args.by, span.until))
        _print_rows(rows, door, args)
    return 0


def parse_when(text: str | None, now: datetime, option: str = "--since") -> datetime | None:
    """The moment that an option names, in the time zone of ``now``; None for none.

    Raises:
        ConfigError: It is not a time.
    """
    if text in {None, "now"}:
        return now if text else None
    midnight = datetime(now.year, now.month, now.day)
    if text in ("today", "yesterday"):
        return (midnight - timedelta(days=text == "yesterday")).astimezone()
    try:
        if duration := DURATION.fullmatch(text):
            return now - timedelta(**{UNITS[duration[2]]: int(duration[1])})
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{option} {text} is not a time; give now, today, yesterday, 2025-01-31, 2025-01-31T08:00, 30m, 2h, 7d "
            "or 4w."
        ) from error


def _span(since: str | None, until: str | None, now: datetime) -> Span:
    span = Span(parse_when(since, now), parse_when(until, now, "--until"))
    if span.since and span.until and span.since >= span.until:
        raise ConfigError(f"--until {until} is not later than --since {since}.")
    return span


def _read(path: Path, read: Callable[[sqlite3.Connection], T]) -> T:
    with database.reading(path) as connection:
        return read(connection)


def _print_rows(rows: Sequence[Row], door: str, args: argparse.Namespace) -> None:
    if args.csv:
        write_csv(rows, door, sys.stdout)
    elif args.json:
        print(json.dumps({"door": door, "by": args.by, **as_json(rows)}))
    else:
        write_table(rows, args.by, sys.stdout)


def _print_visits(visits: Sequence[Visit], door: str, args: argparse.Namespace) -> None:
    if args.csv:
        write_visits_csv(visits, door, sys.stdout)
    elif args.json:
        print(json.dumps({"door": door, "visits": visits_as_json(visits)}))
    elif visits:
        for visit in visits:
            print(f"{visit.started:%a %Y-%m-%d %H:%M:%S}  {visit.seconds:6.1f} s  {visit.verdict.words}")
    else:
        print("Nobody came in that time, or single visits that old are no longer kept.")


def write_table(rows: Sequence[Row], by: Period | str, out: TextIO) -> None:
    """Aligned columns with a line of totals, for reading."""
    if not rows:
        out.write("Nothing was counted in that time. Recordings and the demo are not counted.\n")
        return
    form = {"hour": "%a %Y-%m-%d %H:%M", "day": "%a %Y-%m-%d", "week": "week of %Y-%m-%d", "month": "%Y-%m"}[by]
    lines = [[f"{row.start:{form}}", *_cells(row)] for row in rows]
    table = [["", *HEADINGS], *lines, ["total", *_cells(reduce(add, rows))]]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for label, *cells in table:
        out.write(f"{label:<{widths[0]}}  {'  '.join(map(str.rjust, cells, widths[1:]))}\n")


def _cells(row: Row) -> list[str]:
    minutes = round(row.uptime / 60)
    compliance = "-" if row.compliance is None else f"{row.compliance:.0%}"
    uptime = f"{minutes // 60}:{minutes % 60:02}"
    return [*map(str, row.verdicts), str(row.visits), compliance, str(row.frames), uptime]


def _forget(path: Path, span: Span, yes: bool) -> int:
    if span == Span(None, None):
        raise ConfigError("Say what to delete: --since, --until, or both; --until now deletes everything.")
    found = forget(path, span.since, span.until, really=False)
    if not found:
        print("There is no visit in that time; nothing was deleted.")
        return 0
    if not yes and not _confirmed(found, span):
        print("Nothing was deleted.")
        return 1
    gone = forget(path, span.since, span.until)
    print(f"Deleted {_told(gone)}.")
    return 0


def _confirmed(found: Forgotten, span: Span) -> bool:
    if not sys.stdin.isatty():
        raise ConfigError("counts forget asks before it deletes; in a script, add --yes.")
    since = f" since {span.since:%Y-%m-%d %H:%M}" if span.since else ""
    until = f" until {span.until:%Y-%m-%d %H:%M}" if span.until else ""
    return confirmed(f"Delete {_told(found)}{since}{until}? This cannot be undone.")


def _told(visits: Forgotten) -> str:
    parts = ", ".join(f"{visits[verdict]} {verdict.words}" for verdict in Verdict if visits[verdict])
    return f"{plural(visits.total(), 'visit')} ({parts})"

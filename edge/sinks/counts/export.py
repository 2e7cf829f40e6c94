"""Counts for other programs: CSV for spreadsheets and pandas, and JSON.

Each time is in the CSV twice: ``start`` in ISO 8601 with the offset from UTC, for programs, and ``local`` without it,
which spreadsheets recognise as a date and time. No cell begins with a character that starts a formula in a spreadsheet.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TextIO

from edge.sinks.counts.database import VERDICT_COLUMNS
from edge.sinks.counts.reading import Row, Visit, total

HEADINGS = ("start", "local", "door", *VERDICT_COLUMNS, "visits", "compliance", "frames", "uptime_seconds")
VISIT_HEADINGS = ("start", "local", "door", "seconds", "verdict")


def write_csv(rows: Iterable[Row], door: str, out: TextIO) -> None:
    """One line per period (RFC 4180, ASCII). ``compliance`` is empty if nobody was judged."""
    writer = csv.writer(out)
    writer.writerow(HEADINGS)
    for row in rows:
        compliance = "" if row.compliance is None else round(row.compliance, 4)
        worked = row.frames, round(row.uptime)
        writer.writerow((*_moments(row.start), door, *row.verdicts, row.visits, compliance, *worked))


def write_visits_csv(visits: Iterable[Visit], door: str, out: TextIO) -> None:
    """One line per visit (RFC 4180, ASCII)."""
    writer = csv.writer(out)
    writer.writerow(VISIT_HEADINGS)
    for visit in visits:
        writer.writerow((*_moments(visit.started), door, f"{visit.seconds:.1f}", visit.verdict))


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """``periods`` and their ``total``, JSON-ready."""
    return {
        "periods": [{"start": row.start.isoformat(), **figures(row)} for row in rows],
        "total": figures(total(rows, datetime.min)),
    }


def visits_as_json(visits: Iterable[Visit]) -> list[dict[str, Any]]:
    """JSON-ready."""
    return [
        {
            "start": visit.started.isoformat(timespec="seconds"),
            "seconds": round(visit.seconds, 1),
            "verdict": str(visit.verdict),
        }
        for visit in visits
    ]


def figures(row: Row) -> dict[str, Any]:
    """JSON-ready; ``compliance`` is None if nobody was judged."""
    return {
        **dict(zip(VERDICT_COLUMNS, row.verdicts, strict=True)),
        "visits": row.visits,
        "judged": row.judged,
        "compliance": None if row.compliance is None else round(row.compliance, 4),
        "frames": row.frames,
        "uptime_seconds": round(row.uptime),
    }


def _moments(moment: datetime) -> tuple[str, str]:
    return moment.isoformat(timespec="seconds"), f"{moment:%Y-%m-%dT%H:%M:%S}"

"""The history of visits: a day, a week or a month, by hour and weekday, compared with the one before; and as CSV."""

from __future__ import annotations

import asyncio
import io
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge.clock import Clock
from edge.errors import StoreError
from edge.messages import message, translated
from edge.sinks.counts import database
from edge.sinks.counts.export import figures, write_csv, write_visits_csv
from edge.sinks.counts.reading import Row, period_start, read_rows, read_visits, total
from edge.sinks.web.feed import Feed
from edge.sinks.web.sentences import asked_in, plain, refusal

SPANS = ("day", "week", "month")
CSV = "text/csv; charset=utf-8"
FIRST_YEAR, LAST_YEAR = 1971, 9998

T = TypeVar("T")


class UnknownSpanError(ValueError):
    """The address names no time; the text says what it may name."""


@dataclass(frozen=True, slots=True)
class Span:
    """A local day, week (from Monday) or month.

    Attributes:
        by: Which of them.
        start: Its beginning, aware.
        end: The beginning of the next, aware.
    """

    by: str
    start: datetime
    end: datetime

    @classmethod
    def around(cls, by: str, moment: datetime) -> Span:
        """The one that contains ``moment``."""
        start = period_start(moment, by)
        inside = {"day": 1, "week": 7, "month": 31}[by]
        end = _midnight(start, inside)
        return cls(by, start, end.replace(day=1) if by == "month" else end)

    @property
    def before(self) -> Span:
        """The one before."""
        return Span.around(self.by, _midnight(self.start, -1))

    def until(self, now: datetime) -> datetime:
        """The end of what has happened of it."""
        return max(self.start, min(self.end, now))


def _midnight(day: datetime, later: int) -> datetime:
    """The local midnight that begins the day ``later`` days after that of ``day``."""
    return (datetime(day.year, day.month, day.day) + timedelta(days=later)).astimezone()


def span(by: str | None, at: str | None, now: datetime) -> Span:
    """What an address asks for, by default the day of ``now``.

    Raises:
        UnknownSpanError: It is not a time.
    """
    by = by or SPANS[0]
    if by not in SPANS:
        raise UnknownSpanError(message("history.by", choices=", ".join(SPANS)))
    try:
        moment = datetime.strptime(at, "%Y-%m-%d").astimezone() if at else now.astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise UnknownSpanError(message("history.at")) from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise UnknownSpanError(message("history.years", first=FIRST_YEAR, last=LAST_YEAR))
    return Span.around(by, moment)


def history_of(store: Path, one: Span, now: datetime) -> dict[str, Any]:
    """What was counted in a span, JSON-ready.

    A span that is not over is compared with the same part of the one before.

    Raises:
        StoreError: The store cannot be read.
    """
    before = one.before
    same_part = min(before.end, before.start + (one.until(now) - one.start))
    with database.reading(store) as connection:
        rows = read_rows(connection, one.start, "hour", one.end)
        earlier = read_rows(connection, before.start, "hour", same_part)
    return {
        "total": figures(total(rows, one.start)),
        "before": figures(total(earlier, before.start)),
        "partial": now < one.end,
        "hours": _grouped(rows, lambda row: row.start.hour, range(24)),
        "weekdays": _grouped(rows, lambda row: row.start.weekday(), range(7)),
    }


def _grouped(rows: Sequence[Row], of: Callable[[Row], int], groups: Iterable[int]) -> list[dict[str, Any]]:
    together = {group: [row for row in rows if of(row) == group] for group in groups}
    return [figures(total(some, some[0].start if some else datetime.min)) for some in together.values()]


class History:
    """The addresses of the history, for operators. The disk is read in a worker thread, by one at a time."""

    def __init__(self, feed: Feed, clock: Clock, door: str) -> None:
        self._feed, self._clock, self._door = feed, clock, door
        self._reading = asyncio.Lock()

    def routes(self) -> list[Route]:
        """All but the page itself."""
        return [
            Route("/api/history", self._answer),
            Route("/history/hours.csv", self._hours),
            Route("/history/visits.csv", self._visits),
        ]

    async def _answer(self, request: Request) -> Response:
        now = self._clock.now()
        try:
            one = span(request.query_params.get("by"), request.query_params.get("at"), now)
        except UnknownSpanError as error:
            return refusal(400, error, request)
        said: dict[str, Any] = {
            "by": one.by,
            "at": f"{one.start:%Y-%m-%d}",
            "previous": f"{one.before.start:%Y-%m-%d}",
            "next": f"{one.end:%Y-%m-%d}" if one.end <= now else None,
            "trouble": None,
            "stored": self._store() is not None,
        }
        nothing: dict[str, Any] = {}
        try:
            return JSONResponse(said | await self._read(lambda store: history_of(store, one, now), nothing))
        except StoreError as error:
            return JSONResponse(said | {"trouble": translated(str(error), asked_in(request))})

    async def _hours(self, request: Request) -> Response:
        def write(connection: sqlite3.Connection, one: Span, out: io.StringIO) -> None:
            write_csv(read_rows(connection, one.start, "hour", one.end), self._door, out)

        return await self._download(request, "hours", write)

    async def _visits(self, request: Request) -> Response:
        def write(connection: sqlite3.Connection, one: Span, out: io.StringIO) -> None:
            write_visits_csv(read_visits(connection, one.start, one.end), self._door, out)

        return await self._download(request, "visits", write)

    async def _download(
        self, request: Request, what: str, write: Callable[[sqlite3.Connection, Span, io.StringIO], None]
    ) -> Response:
        def written(store: Path) -> str:
            out = io.StringIO()
            with database.reading(store) as connection:
                write(connection, one, out)
            return out.getvalue()

        try:
            one = span(request.query_params.get("by"), request.query_params.get("at"), self._clock.now())
            text = await self._read(written, None)
        except UnknownSpanError as error:
            return plain(str(error), asked_in(request), 400)
        except StoreError as error:
            return plain(str(error), asked_in(request), 503)
        if text is None:
            return plain(message("history.not_stored"), asked_in(request), 404)
        name = f"maskgate-{self._door}-{what}-{one.by}-{one.start:%Y-%m-%d}.csv"
        return Response(text, headers={"content-type": CSV, "content-disposition": f'attachment; filename="{name}"'})

    async def _read(self, read: Callable[[Path], T], otherwise: T) -> T:
        store = self._store()
        if store is None:
            return otherwise
        async with self._reading:
            return await asyncio.to_thread(read, store)

    def _store(self) -> Path | None:
        status = self._feed.status
        return status.counts.path if status and status.counts else None

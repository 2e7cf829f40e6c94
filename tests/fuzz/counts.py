"""The counts' file, damaged: a new visit is stored, or the file is not ours and stays; readers get rows or words."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from edge.commands.counts import write_table
from edge.errors import StoreError
from edge.sinks.counts import CountStore, database
from edge.sinks.counts.export import write_csv, write_visits_csv
from edge.sinks.counts.reading import PERIODS, read_rows, read_visits
from edge.sinks.web.report import read_today
from edge.values import Event, EventKind, Verdict
from tests.stand_ins.clock import ManualClock

ABOUT = "the counts' SQLite file, or its write-ahead log, damaged"
LONGEST = 16384
WAL = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
"""How a write-ahead log begins; one is laid beside a file that is whole."""
WORDS = (
    b"SQLite format 3\0",
    *WAL,
    b"CREATE TABLE",
    b"boots",
    b"visits",
    b"hours",
    b"INTEGER",
    b"WITHOUT ROWID",
    b"NULL",
)
NOW = datetime(2025, 1, 31, 8, tzinfo=timezone.utc)


def seeds() -> list[bytes]:
    """A file with some visits, the same in the midst of a write, and one that is empty."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "counts.db")
        _count(path)
        whole = path.read_bytes()
        connection = database.open_for_writing(path)
        connection.execute("UPDATE hours SET unsure = 3")
        log = Path(f"{path}-wal").read_bytes()
        connection.close()
    return [whole, log, b""]


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Try one."""
    path = folder / "counts.db"
    whole = next(iter(seeds()))

    def attempt(data: bytes) -> None:
        for left in folder.iterdir():
            left.unlink()
        is_log = data.startswith(WAL)
        path.write_bytes(whole if is_log else data)
        if is_log:
            Path(f"{path}-wal").write_bytes(data)
        _read(path)
        refusal = _count(path)
        if refusal:
            assert "newer maskgate" in refusal or "counts.path names" in refusal, refusal
            assert path.read_bytes() == data, "what is not ours was changed"
            return
        assert _read(path) is None, "what was just written cannot be read"

    yield attempt


def _count(path: Path) -> str | None:
    """Run for a while, and count one visit more; why the store is refused, if it is."""
    clock = ManualClock(NOW)
    store = CountStore(path, commit_every=1, retention_days=31, clock=clock)
    before = sum((store.before or {}).values())
    store.record(Event(EventKind.VISIT_ENDED, clock.monotonic(), 1, Verdict.WITH_MASK, 3.0))
    store.add_frames(20)
    for _ in range(5):
        clock.advance(700)
        store.tick()
    store.close()
    if store.degraded:
        return store.degraded
    with database.open_for_reading(path) as connection:
        after = sum(database.lifetime_totals(connection).values())
    connection.close()
    if store.notice is None:
        assert after == before + 1, f"{before} and one more make {after}"
    else:
        assert after == 1
    return None


def _read(path: Path) -> str | None:
    """Read as ``maskgate counts`` and the operator's page do; what they said of a file that they cannot read."""
    read_today(path, NOW)
    try:
        connection = database.open_for_reading(path)
    except StoreError as error:
        return str(error)
    try:
        for by in PERIODS:
            rows = read_rows(connection, None, by)
            write_table(rows, by, io.StringIO())
            write_csv(rows, "door", io.StringIO())
        write_visits_csv(read_visits(connection, None, None), "door", io.StringIO())
    except (sqlite3.Error, StoreError) as error:
        return str(error)
    finally:
        connection.close()
    return None

"""Only a store of maskgate is ever touched."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge.errors import StoreError
from edge.sinks.counts import database
from edge.sinks.counts.database import lifetime_totals, open_for_reading
from tests.sinks.counts.helpers import BARE, OpenStore, rows, scribble, visit, visits
from tests.stand_ins.clock import ManualClock


def another_programs_database(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("CREATE TABLE mails (id INTEGER, text TEXT); INSERT INTO mails VALUES (1, 'dear');")


def another_applications_store(path: Path) -> None:
    """Of the same tables, but with the id of another program."""
    database.open_for_writing(path).close()
    scribble(path, "PRAGMA application_id = 12345")


FOREIGN = {
    "a text": (lambda path: path.write_text("Dear diary, " * 200), "another file"),
    "zeros": (lambda path: path.write_bytes(bytes(8192)), "another file"),
    "a folder": (lambda path: path.mkdir(), "a folder"),
    "a FIFO": (os.mkfifo, "a FIFO"),
    "a database": (another_programs_database, "the database of another program"),
    "a similar database": (another_applications_store, "the database of another program"),
}


def fingerprint(path: Path) -> tuple[int, bytes]:
    mode = path.stat().st_mode
    return mode, path.read_bytes() if stat.S_ISREG(mode) else b""


@pytest.mark.parametrize(("make", "words"), FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_files_are_refused_by_name(
    open_store: OpenStore, path: Path, clock: ManualClock, make: Callable[[Path], Any], words: str
) -> None:
    path.parent.mkdir(parents=True)
    make(path)
    before = fingerprint(path)
    store = open_store()
    for _ in range(3):
        store.record(visit(clock.monotonic()))
        clock.advance(70)
        store.tick()
    assert store.degraded is not None
    assert f"counts.path names {path}, which is {words}" in store.degraded
    assert fingerprint(path) == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with pytest.raises(StoreError, match=f"Cannot read the counts in .* it is {words}"):
        open_for_reading(path)


def test_counts_wait_for_the_foreign_file(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("Dear diary, " * 200)
    store = open_store()
    store.record(visit(clock.monotonic(), BARE))
    path.unlink()
    clock.advance(70)
    store.tick()
    assert store.degraded is None
    assert [verdict for _, verdict in visits(path)] == ["without_mask"]


def test_a_replacing_file_is_left_alone(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    letter = path.with_name("letter")
    letter.write_bytes(b"a letter that somebody saved here " * 500)
    letter.rename(path)
    store.record(visit(clock.monotonic()))
    clock.advance(6)
    store.tick()
    assert "another file" in (store.degraded or "")
    assert path.read_bytes().startswith(b"a letter")


def test_an_empty_file_becomes_a_store(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    store = open_store()
    store.record(visit(clock.monotonic()))
    store.close()
    assert len(visits(path)) == 1


def test_a_new_store_carries_our_id(open_store: OpenStore, path: Path) -> None:
    store = open_store()
    assert path.read_bytes()[68:72] == b"mask"
    store.close()


def test_stores_without_id_are_adopted(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    store.record(visit(0.0))
    store.close()
    scribble(path, "PRAGMA application_id = 0")
    with closing(open_for_reading(path)) as connection:
        assert sum(lifetime_totals(connection).values()) == 1
    store = open_store()
    store.record(visit(clock.monotonic()))
    store.close()
    assert len(visits(path)) == 2
    assert path.read_bytes()[68:72] == b"mask"


def test_foreign_lock_files_are_kept(open_store: OpenStore, path: Path) -> None:
    path.parent.mkdir(parents=True)
    Path(f"{path}.lock").write_text("kept")
    open_store().close()
    assert Path(f"{path}.lock").read_text() == "kept"


def test_a_newer_store_is_left_alone(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    open_store().close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    store = open_store()
    store.record(visit(0.0))
    clock.advance(6)
    store.tick()
    assert store.degraded is not None
    assert "newer maskgate" in store.degraded
    assert rows(path, "PRAGMA user_version") == [(99,)]
    scribble(path, "PRAGMA user_version = 1")
    clock.advance(60)
    store.tick()
    assert store.degraded is None
    assert len(visits(path)) == 1

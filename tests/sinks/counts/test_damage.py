"""A damaged store is set aside, and counting goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.commands import counts
from edge.errors import StoreError
from tests.sinks.counts.helpers import BARE, OpenStore, scribble, visit, visits
from tests.stand_ins.clock import ManualClock


@pytest.mark.parametrize(("kept", "rest"), [(4096, b"\0"), (100, b"scribbled over")], ids=["zeros", "text"])
def test_a_damaged_store_is_set_aside(
    open_store: OpenStore, path: Path, clock: ManualClock, kept: int, rest: bytes
) -> None:
    store = open_store()
    for _ in range(300):
        store.record(visit(0.0))
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:kept] + (rest * len(whole))[: len(whole) - kept])

    store = open_store()
    store.record(visit(clock.monotonic()))
    clock.advance(10)
    store.tick()

    (aside,) = path.parent.glob("counts.db.corrupt-*")
    assert aside.name == "counts.db.corrupt-20250303T080000Z"
    assert store.notice is not None
    assert str(aside) in store.notice
    assert store.degraded is None
    assert len(visits(path)) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE hours SET with_mask = 'many'",
        "UPDATE hours SET hour = hour + 900000000000000000",
        "UPDATE hours SET uptime = 9e999",
        "UPDATE boots SET wall_offset = 'early'",
        "DROP TABLE boots",
        "ALTER TABLE hours RENAME COLUMN uptime TO downtime",
        "CREATE TRIGGER t AFTER INSERT ON visits BEGIN SELECT nonsense(); END",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = -1",
        "PRAGMA user_version = 16777217",
    ],
)
def test_a_scribbled_store_is_set_aside(open_store: OpenStore, path: Path, clock: ManualClock, sql: str) -> None:
    store = open_store()
    store.record(visit(0.0))
    store.close()
    scribble(path, sql)

    store = open_store()
    store.record(visit(clock.monotonic(), BARE))
    clock.advance(10)
    store.tick()

    assert store.degraded is None
    assert len(list(path.parent.glob("counts.db.corrupt-*"))) == 1
    assert [verdict for _, verdict in visits(path)] == ["without_mask"]


def test_two_damaged_files_are_both_kept(open_store: OpenStore, path: Path) -> None:
    for content in (b"first ", b"second "):
        open_store().close()
        path.write_bytes(path.read_bytes()[:100] + content * 500)
        open_store().close()
    kept = {file.read_bytes()[100:105] for file in path.parent.glob("counts.db.corrupt-*")}
    assert kept == {b"first", b"secon"}


@pytest.mark.parametrize("sql", ["UPDATE visits SET verdict = 'frames'", "UPDATE visits SET ended = 9e99"])
def test_a_damaged_visit_is_noticed(open_store: OpenStore, path: Path, clock: ManualClock, sql: str) -> None:
    store = open_store()
    store.record(visit(0.0))
    clock.advance(10)
    store.tick()
    scribble(path, sql)
    store.record(visit(clock.monotonic(), BARE))
    clock.jump(86400)
    store.tick()
    assert store.degraded is None
    assert "were damaged" in (store.notice or "")
    assert [verdict for _, verdict in visits(path)] == ["without_mask"]


@pytest.mark.parametrize(("offset", "byte"), [(18, 3), (19, 9), (47, 99)], ids=["writing", "reading", "schema"])
def test_an_impossible_format_is_damage(
    open_store: OpenStore, path: Path, clock: ManualClock, offset: int, byte: int
) -> None:
    open_store().close()
    content = bytearray(path.read_bytes())
    content[offset] = byte
    path.write_bytes(content)
    store = open_store()
    store.record(visit(clock.monotonic()))
    clock.advance(10)
    store.tick()
    assert store.degraded is None
    assert len(visits(path)) == 1


def test_damage_during_a_run_loses_none(
    open_store: OpenStore, path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts.database, "BUSY_TIMEOUT", 0.05)
    store = open_store()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.record(visit(0.0, BARE))
        clock.advance(6)
        store.tick()
        assert store.degraded
    path.write_bytes(path.read_bytes()[:100] + b"scribbled over " * 2000)
    clock.advance(6)
    store.tick()
    assert store.degraded is None
    assert [verdict for _, verdict in visits(path)] == ["without_mask"]
    (aside,) = path.parent.glob("counts.db.corrupt-*Z")
    assert str(aside) in (store.notice or "")


def test_a_removed_file_is_replaced(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    store.record(visit(0.0, BARE))
    clock.advance(6)
    store.tick()
    for file in path.parent.glob("counts.db*"):
        file.unlink()
    store.record(visit(6.0))
    clock.advance(6)
    store.tick()
    assert [verdict for _, verdict in visits(path)] == ["with_mask"]
    assert store.degraded is None
    assert store.notice == f"The counts in {path} were removed; a new file was started."
    with pytest.raises(StoreError, match="Another maskgate already writes"):
        open_store()

"""A disk that fails, fills up or is locked delays counts and loses none."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.commands import counts
from edge.sinks.counts import CountStore
from tests.sinks.counts.helpers import BARE, ROOT, OpenStore, hourly, rows, visit, visits
from tests.stand_ins.clock import ManualClock
from tests.stand_ins.disk import small_disk

__all__ = ["small_disk"]


def test_a_locked_file_loses_none(
    open_store: OpenStore, path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts.database, "BUSY_TIMEOUT", 0.05)
    store = open_store()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.record(visit(0.0))
        clock.advance(6)
        store.tick()
        assert store.degraded is not None
        assert "locked" in store.degraded
        other.execute("ROLLBACK")
    clock.advance(6)
    store.tick()
    assert store.degraded is None
    assert len(visits(path)) == 1


def test_an_impossible_folder_loses_none(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    path.parent.parent.write_text("a file where the directory should be")
    store = open_store()
    assert store.degraded is not None
    assert str(path) in store.degraded
    for _ in range(10):
        store.record(visit(clock.monotonic()))
        clock.advance(30)
        store.tick()
    path.parent.parent.unlink()
    clock.advance(61)
    store.tick()
    assert store.degraded is None
    assert sum(hourly(path).values()) == 10
    assert rows(path, "SELECT SUM(uptime) FROM hours")[0][0] == pytest.approx(361)


def test_a_failing_disk_is_retried_rarely(
    open_store: OpenStore, path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def fail(path: Path) -> sqlite3.Connection:
        attempts.append(clock.monotonic())
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(counts.database, "open_for_writing", fail)
    store = open_store()
    for _ in range(600):
        clock.advance(1)
        store.tick()
    assert attempts[:5] == [0, 5, 15, 35, 75]
    assert len(attempts) < 15


def count_through_trouble(store: CountStore, path: Path, clock: ManualClock, mend: Callable[[], Any]) -> str:
    """Counts while the disk is in trouble and after it is repaired; nothing may be lost. Returns what was said."""
    clock.advance(6)
    store.record(visit(clock.monotonic(), BARE))
    store.tick()
    for _ in range(20):
        clock.advance(30)
        store.record(visit(clock.monotonic()))
        store.tick()
    said = store.degraded
    mend()
    clock.advance(61)
    store.tick()
    assert store.degraded is None
    assert [verdict for _, verdict in visits(path)] == ["with_mask", "without_mask", *["with_mask"] * 20]
    moments = [moment for moment, _ in visits(path)]
    assert moments[-1] - moments[1] == timedelta(seconds=600)
    assert sum(hourly(path).values()) == 22
    assert said is not None
    return said


def test_a_read_only_disk_loses_none(open_store: OpenStore, small_disk: Path, clock: ManualClock) -> None:
    path = small_disk / "counts.db"
    before = open_store(path=path)
    before.record(visit(0.0))
    before.close()

    def remount(mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", small_disk], check=True)

    remount("ro")
    store = open_store(path=path)
    assert "Read-only file system" in (store.degraded or "")
    count_through_trouble(store, path, clock, lambda: remount("rw"))


def test_a_filling_disk_loses_none(open_store: OpenStore, small_disk: Path, clock: ManualClock) -> None:
    path = small_disk / "counts.db"
    store = open_store(path=path)
    store.record(visit(0.0))
    clock.advance(6)
    store.tick()
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(512)):
            pass
    said = count_through_trouble(store, path, clock, filler.unlink)
    assert "full" in said


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from tests.stand_ins.clock import ManualClock
from edge.sinks.counts import CountStore
from edge.values import Event, EventKind, Verdict

clock = ManualClock()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = CountStore(Path(sys.argv[1]), 5.0, 31, clock)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
for _ in range(2000):
    store.record(Event(EventKind.VISIT_ENDED, clock.monotonic(), 1, Verdict.WITH_MASK, 1.0))
clock.advance(6)
store.tick()
print(store.degraded)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
clock.advance(6)
store.tick()
print(store.degraded)
store.close()
"""


def test_a_full_disk_loses_none(path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    first, second = ran.stdout.splitlines()
    assert first.startswith(f"Counts cannot be written to {path} (")
    assert second == "None"
    assert len(visits(path)) == 2000

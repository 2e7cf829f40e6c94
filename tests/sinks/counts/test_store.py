"""What is counted reaches the disk in time, whole, and cheaply."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from edge.config import CountSettings
from edge.errors import StoreError
from edge.sinks.counts import CountStore, database, store_path
from edge.sinks.counts.database import lifetime_totals, open_for_reading
from edge.sinks.counts.keeper import CountKeeper
from edge.values import Event, EventKind, Verdict
from tests.sinks.counts.helpers import BARE, MASKED, ROOT, START, OpenStore, hourly, rows, visit, visits
from tests.stand_ins.clock import ManualClock


def test_visits_reach_the_disk_in_time(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    clock.advance(10)
    store.record(visit(at=8.0, verdict=BARE))
    clock.advance(4.9)
    store.tick()
    assert visits(path) == []

    clock.advance(0.1)
    store.tick()
    assert visits(path) == [(START + timedelta(seconds=8), "without_mask")]
    assert rows(path, "SELECT ended - started FROM visits")[0][0] == pytest.approx(3.0, abs=1e-5)


def test_every_commit_is_synced(open_store: OpenStore, path: Path) -> None:
    store = open_store()
    assert store._connection is not None
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert rows(path, "PRAGMA user_version") == [(1,)]


def test_counts_add_up_by_the_hour(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    for _ in range(2 * 60):
        clock.advance(60)
        store.add_frames(600)
        store.record(visit(clock.monotonic(), BARE))
        clock.advance(5)
        store.tick()
    store.close()

    found = rows(path, "SELECT hour, without_mask, frames, uptime FROM hours")
    assert sum(row[1] for row in found) == 120
    assert sum(row[2] for row in found) == 72_000
    assert sum(row[3] for row in found) == pytest.approx(120 * 65)
    assert {row[0] % 3600 for row in found} == {0}
    assert len(found) == 3


def test_frames_alone_are_written_rarely(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    written = 0
    for _ in range(60 * 60):
        clock.advance(1)
        store.add_frames(20)
        before = rows(path, "SELECT SUM(frames) FROM hours") if clock.monotonic() % 10 == 0 else None
        store.tick()
        if before is not None:
            written += rows(path, "SELECT SUM(frames) FROM hours") != before
    assert written <= 13


def test_other_events_are_not_counted(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    store.record(Event(EventKind.VISIT_STARTED, 0.0, 1))
    store.record(Event(EventKind.VERDICT, 0.0, 1, BARE))
    store.close()
    assert visits(path) == []


def test_counts_go_on_after_a_restart(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    for _ in range(3):
        store = open_store()
        store.record(visit(clock.monotonic()))
        store.close()
    assert hourly(path) == {"03 08:00": 3}


def test_old_visits_leave_their_totals(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store(retention_days=2)
    for _ in range(5):
        store.record(visit(clock.monotonic()))
        clock.advance(86400)
        store.tick()
    assert len(visits(path)) <= 3
    assert sum(hourly(path).values()) == 5


def test_a_second_daemon_is_refused(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    first = open_store()
    with pytest.raises(StoreError, match="Another maskgate already writes"):
        open_store()
    first.close()
    open_store()


def test_earlier_totals_are_known(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    first = open_store()
    assert first.before == dict.fromkeys(Verdict, 0)
    for verdict in (MASKED, MASKED, BARE):
        first.record(visit(0.0, verdict))
    first.close()
    assert first.before == dict.fromkeys(Verdict, 0)

    moved = path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.write_text("a file where the directory should be")
    second = open_store()
    second.record(visit(0.0, Verdict.UNSURE))
    clock.advance(6)
    second.tick()
    assert second.before is None
    path.parent.unlink()
    moved.rename(path.parent)
    clock.advance(61)
    second.tick()
    assert second.before == {MASKED: 2, BARE: 1, Verdict.MASK_WORN_INCORRECTLY: 0, Verdict.UNSURE: 0}


def test_lifetime_totals_outlive_visits(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store(retention_days=1)
    store.record(visit(0.0, BARE))
    clock.advance(3 * 86400)
    store.record(visit(clock.monotonic()))
    store.close()
    assert len(visits(path)) == 1
    with closing(open_for_reading(path)) as connection:
        assert lifetime_totals(connection) == dict.fromkeys(Verdict, 0) | {BARE: 1, MASKED: 1}


def test_a_visit_writes_little(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    log = Path(f"{path}-wal")
    sizes = []
    for _ in range(40):
        clock.advance(18)
        store.record(visit(clock.monotonic()))
        clock.advance(6)
        store.tick()
        sizes.append(log.stat().st_size)
    assert (sizes[-1] - sizes[0]) / 39 < 4096


KILLED = """
import itertools, sys
from pathlib import Path
from edge.clock import SystemClock
from edge.sinks.counts import CountStore
from edge.values import Event, EventKind, Verdict

clock = SystemClock()
store = CountStore(Path(sys.argv[1]), 0.01, 31, clock)
for number in itertools.count(1):
    store.record(Event(EventKind.VISIT_ENDED, clock.monotonic(), number, Verdict.WITH_MASK, 1.0))
    while store.waiting:
        store.tick()
    print(number, flush=True)
"""


def test_what_was_committed_survives_kill_9(path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    reported = 20 + len([line for line in process.stdout.read().split("\n") if line])
    process.wait()

    assert reported <= len(visits(path)) <= reported + 1
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert sum(hourly(path).values()) == len(visits(path))


def test_a_second_door_is_refused_in_one_sentence(
    open_store: OpenStore, path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    open_store()
    with pytest.raises(StoreError, match="Another maskgate already writes"):
        CountKeeper(CountStore(path, 5.0, 31, clock, open_now=False))
    assert caplog.text == ""  # the caller reports the error


def test_recording_never_waits_for_the_disk(
    open_store: OpenStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    monkeypatch.setattr(sqlite3, "connect", lambda *_, **__: pytest.fail("recording opened the file"))
    store.close()
    store.record(visit(0.0))
    store.add_frames(1)
    assert store.waiting == 1
    monkeypatch.undo()


def test_the_store_lies_where_set() -> None:
    anywhere = CountSettings()
    assert store_path(CountSettings(path=Path("/x/y.db")), {"STATE_DIRECTORY": "/s"}) == Path("/x/y.db")
    assert store_path(anywhere, {"STATE_DIRECTORY": "/var/lib/maskgate:/other"}) == Path("/var/lib/maskgate/counts.db")
    assert store_path(anywhere, {"HOME": "/h"}) == Path("/h/.local/state/maskgate/counts.db")


class TestNewVerdict:
    """A class that the mask model learns later is counted in the store that is there."""

    COLUMNS = (*database.VERDICT_COLUMNS, "face_shield")

    def test_gets_its_column(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "counts.db"
        database.open_for_writing(path).close()
        monkeypatch.setattr(database, "VERDICT_COLUMNS", self.COLUMNS)
        connection = database.open_for_writing(path)
        assert database.verdict_columns(connection) == self.COLUMNS
        connection.close()

    def test_counts_as_none_before_it_existed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "counts.db"
        database.open_for_writing(path).close()
        monkeypatch.setattr(database, "VERDICT_COLUMNS", self.COLUMNS)
        connection = database.open_for_reading(path)
        assert database.verdict_columns(connection)[-1] == "0"
        connection.close()

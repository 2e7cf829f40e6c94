"""The count store, on real SQLite files, and its tables."""

from __future__ import annotations

import argparse
import csv
import io
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from edge.clock import SystemClock
from edge.commands import counts
from edge.commands.counts import HEADINGS, parse_when
from edge.config import CountSettings, load
from edge.errors import ConfigError, StoreError
from edge.sinks.counts import CountStore, database, store_path
from edge.sinks.counts.database import lifetime_totals, open_for_reading
from edge.sinks.web.report import read_today
from edge.values import Event, EventKind, Verdict
from tests.stand_ins.clock import ManualClock

ROOT = Path(__file__).parents[2]
START = datetime(2025, 3, 3, 8, 0, tzinfo=timezone.utc)
BARE, MASKED = Verdict.WITHOUT_MASK, Verdict.WITH_MASK


def visit(at: float, verdict: Verdict = MASKED, seconds: float = 3.0) -> Event:
    return Event(EventKind.VISIT_ENDED, at, 1, verdict, seconds)


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def visits(path: Path) -> list[tuple[datetime, str]]:
    found = rows(path, "SELECT ended, verdict FROM visits ORDER BY ended")
    return [(datetime.fromtimestamp(ended, timezone.utc), verdict) for ended, verdict in found]


def hourly(path: Path) -> dict[str, int]:
    """Visits by UTC hour, of every verdict."""
    found = rows(
        path,
        "SELECT hour, SUM(with_mask + without_mask + mask_worn_incorrectly + unsure) AS visits "
        "FROM hours GROUP BY hour HAVING visits > 0",
    )
    return {f"{datetime.fromtimestamp(hour, timezone.utc):%d %H:%M}": count for hour, count in found}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state/maskgate/counts.db"


@pytest.fixture
def open_store(path: Path, clock: ManualClock) -> Iterator[Callable[..., CountStore]]:
    opened: list[CountStore] = []

    def open_one(**changes: Any) -> CountStore:
        store = CountStore(**{"path": path, "commit_every": 5.0, "retention_days": 31, "clock": clock, **changes})
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


OpenStore = Callable[..., CountStore]


def test_a_visit_is_on_disk_commit_every_seconds_later(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
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


def test_the_file_is_a_write_ahead_log_that_syncs_every_commit(open_store: OpenStore, path: Path) -> None:
    store = open_store()
    assert store._connection is not None
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert rows(path, "PRAGMA user_version") == [(1,)]


def test_visits_frames_and_uptime_add_up_by_the_hour(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
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


def test_frames_alone_are_not_written_every_few_seconds(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
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


def test_counts_go_on_where_they_were_left(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    for _ in range(3):
        store = open_store()
        store.record(visit(clock.monotonic()))
        store.close()
    assert hourly(path) == {"03 08:00": 3}


def test_a_clock_set_at_boot_moves_what_was_counted_before(
    open_store: OpenStore, path: Path, clock: ManualClock
) -> None:
    store = open_store()
    clock.advance(100)
    store.record(visit(at=90.0, verdict=BARE))
    clock.advance(10)
    store.tick()
    store.record(visit(at=105.0))
    clock.jump(5 * 86400 + 1800)
    clock.advance(10)
    store.tick()

    boot = START + timedelta(days=5, minutes=30)
    assert visits(path) == [
        (boot + timedelta(seconds=90), "without_mask"),
        (boot + timedelta(seconds=105), "with_mask"),
    ]
    assert hourly(path) == {"08 08:00": 2}


def test_a_jump_is_followed_without_a_visit(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    store.record(visit(0.0))
    clock.advance(6)
    store.tick()
    clock.jump(-7200)
    store.tick()
    assert visits(path) == [(START - timedelta(hours=2), "with_mask")]


def test_what_other_boots_counted_stays_where_it_is(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    store.record(visit(0.0))
    store.close()
    later = ManualClock(START + timedelta(days=1))
    store = open_store(clock=later)
    later.jump(86400)
    later.advance(6)
    store.record(visit(6.0))
    store.close()
    assert hourly(path) == {"03 08:00": 1, "05 08:00": 1}


class StaleBoot(SystemClock):
    """This machine's clocks before the time server was heard: ``behind`` real time."""

    def __init__(self, behind: timedelta) -> None:
        self.behind = behind

    def now(self) -> datetime:
        return super().now() - self.behind


def test_a_restart_before_the_clock_is_set_is_corrected_too(open_store: OpenStore, path: Path) -> None:
    clock = StaleBoot(behind=timedelta(days=40))
    store = open_store(clock=clock)
    store.record(visit(clock.monotonic()))
    store.close()

    open_store(clock=SystemClock()).close()
    ((ended, _),) = visits(path)
    assert abs(datetime.now(timezone.utc) - ended) < timedelta(seconds=30)


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.floats(0.1, 4000), st.floats(-90_000, 90_000).filter(lambda jump: abs(jump) > 3), st.booleans()),
        max_size=8,
    )
)
def test_no_jump_loses_or_misplaces_a_count(tmp_path_factory: Any, steps: list[tuple[float, float, bool]]) -> None:
    path = tmp_path_factory.mktemp("jumps") / "counts.db"
    clock = ManualClock(START)
    store = CountStore(path, 5.0, 31, clock)
    ends = []
    for wait, jump, tick in steps:
        clock.advance(wait)
        store.record(visit(clock.monotonic(), BARE))
        store.add_frames(7)
        ends.append(clock.monotonic())
        if tick:
            clock.advance(6)
            store.tick()
        clock.jump(jump)
    store.tick()
    store.close()

    boot = clock.now() - timedelta(seconds=clock.monotonic())
    true = [boot + timedelta(seconds=end) for end in ends]
    assert [moment.timestamp() for moment, _ in visits(path)] == pytest.approx([m.timestamp() for m in true], abs=2.0)
    found = [moment for moment, _ in visits(path)]
    assert hourly(path) == {
        hour: sum(f"{moment:%d %H}:00" == hour for moment in found) for hour in {f"{m:%d %H}:00" for m in found}
    }
    frames, uptime = rows(path, "SELECT SUM(frames), SUM(uptime) FROM hours")[0]
    assert frames == 7 * len(steps)
    assert uptime == pytest.approx(clock.monotonic())


def test_old_visits_are_deleted_and_their_totals_kept(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store(retention_days=2)
    for _ in range(5):
        store.record(visit(clock.monotonic()))
        clock.advance(86400)
        store.tick()
    assert len(visits(path)) <= 3
    assert sum(hourly(path).values()) == 5


def test_a_wrong_clock_at_boot_does_not_delete_visits(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    store.record(visit(0.0))
    store.close()
    future = ManualClock(START + timedelta(days=9000))
    store = open_store(clock=future)
    future.advance(300)
    store.record(visit(300.0))
    future.advance(10)
    store.tick()
    assert len(visits(path)) == 2


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


def scribble(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)


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
def test_a_file_that_sqlite_takes_and_maskgate_did_not_write_is_set_aside(
    open_store: OpenStore, path: Path, clock: ManualClock, sql: str
) -> None:
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
def test_what_is_not_ours_is_refused_by_name(
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


def test_counts_wait_until_the_foreign_file_is_gone(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("Dear diary, " * 200)
    store = open_store()
    store.record(visit(clock.monotonic(), BARE))
    path.unlink()
    clock.advance(70)
    store.tick()
    assert store.degraded is None
    assert [verdict for _, verdict in visits(path)] == ["without_mask"]


def test_a_file_put_in_its_place_is_left_alone(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
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


def test_a_store_carries_our_id_before_its_log_is_emptied(open_store: OpenStore, path: Path) -> None:
    store = open_store()
    assert path.read_bytes()[68:72] == b"mask"
    store.close()


def test_a_store_without_the_id_is_known_by_its_tables(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
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


def test_the_lock_file_of_somebody_else_is_not_emptied(open_store: OpenStore, path: Path) -> None:
    path.parent.mkdir(parents=True)
    Path(f"{path}.lock").write_text("kept")
    open_store().close()
    assert Path(f"{path}.lock").read_text() == "kept"


def test_two_files_damaged_within_a_second_are_both_kept(open_store: OpenStore, path: Path) -> None:
    for content in (b"first ", b"second "):
        open_store().close()
        path.write_bytes(path.read_bytes()[:100] + content * 500)
        open_store().close()
    kept = {file.read_bytes()[100:105] for file in path.parent.glob("counts.db.corrupt-*")}
    assert kept == {b"first", b"secon"}


@pytest.mark.parametrize("sql", ["UPDATE visits SET verdict = 'frames'", "UPDATE visits SET ended = 9e99"])
def test_a_damaged_visit_is_noticed_when_a_clock_that_was_set_would_move_it(
    open_store: OpenStore, path: Path, clock: ManualClock, sql: str
) -> None:
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
def test_a_header_of_a_format_that_does_not_exist_is_damage_and_no_matter_of_rights(
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


def test_a_second_daemon_is_refused(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    first = open_store()
    with pytest.raises(StoreError, match="Another maskgate already writes"):
        open_store()
    first.close()
    open_store()


def test_a_newer_store_is_left_alone_and_delays_counts(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
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


def test_a_locked_file_delays_counts_and_loses_none(
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


def test_a_directory_that_cannot_be_made_delays_counts_and_loses_none(
    open_store: OpenStore, path: Path, clock: ManualClock
) -> None:
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


def test_a_failing_disk_is_retried_ever_less_often(
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, 256 KiB large."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", place], capture_output=True, check=False)
    if mount.returncode != 0:
        pytest.skip("only root may mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def count_through_trouble(store: CountStore, path: Path, clock: ManualClock, mend: Callable[[], Any]) -> str:
    """Counts while the disk is in trouble and after it is mended; nothing may be lost. Returns what was said."""
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


def test_a_disk_that_is_read_only_delays_counts_and_loses_none(
    open_store: OpenStore, small_disk: Path, clock: ManualClock
) -> None:
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


def test_a_disk_that_fills_up_delays_counts_and_loses_none(
    open_store: OpenStore, small_disk: Path, clock: ManualClock
) -> None:
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


def test_a_file_that_is_damaged_during_a_run_is_set_aside_and_what_waits_is_written_to_a_new_one(
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


def test_a_file_that_is_removed_during_a_run_is_begun_anew_and_that_is_said(
    open_store: OpenStore, path: Path, clock: ManualClock
) -> None:
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
    assert store.notice == f"The counts in {path} were removed; a new file was begun."
    with pytest.raises(StoreError, match="Another maskgate already writes"):
        open_store()


def test_what_was_counted_before_this_run_is_known_once_the_store_can_be_read(
    open_store: OpenStore, path: Path, clock: ManualClock
) -> None:
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


def test_lifetime_totals_outlive_the_visits_they_were_made_of(
    open_store: OpenStore, path: Path, clock: ManualClock
) -> None:
    store = open_store(retention_days=1)
    store.record(visit(0.0, BARE))
    clock.advance(3 * 86400)
    store.record(visit(clock.monotonic()))
    store.close()
    assert len(visits(path)) == 1
    with closing(open_for_reading(path)) as connection:
        assert lifetime_totals(connection) == dict.fromkeys(Verdict, 0) | {BARE: 1, MASKED: 1}


def test_a_visit_adds_less_than_a_block_to_the_log_on_average(
    open_store: OpenStore, path: Path, clock: ManualClock
) -> None:
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


def test_a_full_disk_delays_counts_and_loses_none(path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    first, second = ran.stdout.splitlines()
    assert first.startswith(f"Counts cannot be written to {path} (")
    assert second == "None"
    assert len(visits(path)) == 2000


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
    while store._visits:
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


def test_recording_never_waits_for_the_disk(
    open_store: OpenStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    monkeypatch.setattr(sqlite3, "connect", lambda *_, **__: pytest.fail("recording opened the file"))
    store.close()
    store.record(visit(0.0))
    store.add_frames(1)
    store._visits.clear()
    store._frames = 0


def test_the_store_is_where_it_was_set_or_in_the_state_directory() -> None:
    anywhere = CountSettings()
    assert store_path(CountSettings(path=Path("/x/y.db")), {"STATE_DIRECTORY": "/s"}) == Path("/x/y.db")
    assert store_path(anywhere, {"STATE_DIRECTORY": "/var/lib/maskgate:/other"}) == Path("/var/lib/maskgate/counts.db")
    assert store_path(anywhere, {"HOME": "/h"}) == Path("/h/.local/state/maskgate/counts.db")


@pytest.fixture
def local_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone an hour and half an hour off, with daylight saving: Newfoundland."""
    monkeypatch.setenv("TZ", "NST3:30NDT,M3.2.0,M11.1.0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def ask(path: Path, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    counts.add_arguments(parser)
    settings = load(environment={}, overrides={"counts.path": str(path)})
    return counts.run(parser.parse_args(arguments), settings)


@pytest.fixture
def filled(open_store: OpenStore, path: Path, clock: ManualClock) -> Path:
    """Three hours and a day later one more, from 2025-03-03 08:00 UTC."""
    store = open_store()
    for verdict in (MASKED, MASKED, BARE, Verdict.UNSURE):
        store.record(visit(clock.monotonic(), verdict))
        store.add_frames(1000)
        clock.advance(3600)
        store.tick()
    clock.advance(20 * 3600)
    store.record(visit(clock.monotonic(), Verdict.MASK_WORN_INCORRECTLY))
    store.close()
    return path


@pytest.mark.usefixtures("local_time")
def test_the_table_is_in_local_time(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(filled, "--since", "2025-03-01", "--by", "day") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == " ".join(HEADINGS).split()
    assert lines[1].split()[:8] == ["Mon", "2025-03-03", "2", "1", "0", "1", "4", "67%"]
    assert lines[2].split()[:8] == ["Tue", "2025-03-04", "0", "0", "1", "0", "1", "0%"]
    assert lines[3].split() == ["total", "2", "1", "1", "1", "5", "50%", "4000", "24:00"]


@pytest.mark.usefixtures("local_time")
def test_the_csv_opens_in_a_spreadsheet(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(filled, "--since", "2025-03-01", "--csv") == 0
    text = capsys.readouterr().out
    table = list(csv.DictReader(io.StringIO(text)))
    assert list(table[0]) == [
        *("start", "local", "door", "with_mask", "without_mask", "mask_worn_incorrectly", "unsure"),
        *("visits", "compliance", "frames", "uptime_seconds"),
    ]
    assert (table[0]["start"], table[0]["local"]) == ("2025-03-03T04:30:00-03:30", "2025-03-03T04:30:00")
    assert sum(int(row["visits"]) for row in table) == 5
    assert text.isascii()
    assert text.endswith("\r\n")
    assert {cell[0] for row in csv.reader(io.StringIO(text)) for cell in row if cell} & set("=+-@\t\r") == set()


def test_since_leaves_out_what_is_older(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask(filled, "--since", "2025-03-03T10:00+00:00", "--csv")
    assert sum(int(row["visits"]) for row in csv.DictReader(io.StringIO(capsys.readouterr().out))) == 3


def test_since_understands_dates_times_and_durations() -> None:
    now = datetime(2025, 1, 31, 15, 20).astimezone()
    assert parse_when("2h", now) == now - timedelta(hours=2)
    assert parse_when("7d", now) == now - timedelta(days=7)
    assert parse_when("today", now) == datetime(2025, 1, 31).astimezone()
    assert parse_when("yesterday", now) == datetime(2025, 1, 30).astimezone()
    assert parse_when("2025-01-31", now) == datetime(2025, 1, 31).astimezone()
    assert parse_when("2025-01-31T08:00", now) == datetime(2025, 1, 31, 8).astimezone()


@pytest.mark.parametrize("text", ["soon", "2025-13-01", "3", "99999999999999d", "0001-01-01"])
def test_since_that_is_no_time_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--since"):
        ask(tmp_path / "counts.db", "--since", text)


def test_nothing_counted_is_said(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask(filled)
    assert capsys.readouterr().out == "Nothing was counted in that time.\n"


def test_no_store_yet_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no counts yet at .*counts\.db; start maskgate run") as caught:
        ask(tmp_path / "counts.db")
    assert caught.value.exit_code == 5


def test_a_file_that_is_no_store_is_said(tmp_path: Path) -> None:
    (tmp_path / "counts.db").write_text("hello " * 100)
    with pytest.raises(StoreError, match="Cannot read the counts"):
        ask(tmp_path / "counts.db")


def test_counts_can_be_read_while_they_are_written(
    open_store: OpenStore, path: Path, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store()
    store.record(visit(0.0))
    clock.advance(6)
    store.tick()
    ask(path, "--since", "2025-03-01")
    assert capsys.readouterr().out.splitlines()[-1].split()[:2] == ["total", "1"]
    assert store.degraded is None


def test_counts_can_be_read_while_another_program_has_locked_the_file(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ask(filled, "--since", "2025-03-01")
    assert capsys.readouterr().out.splitlines()[-1].split()[:2] == ["total", "2"]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE hours SET hour = hour + 900000000000000000",
        "UPDATE hours SET uptime = 9e999",
        "UPDATE hours SET uptime = 'long'",
        "UPDATE hours SET with_mask = 'many'",
        "UPDATE hours SET frames = x'00'",
        "UPDATE hours SET unsure = 9223372036854775807",
    ],
)
def test_a_row_that_no_calendar_or_sum_could_hold_is_said(filled: Path, sql: str) -> None:
    scribble(filled, sql)
    with pytest.raises(StoreError, match=r"Cannot read the counts in .*: a row of it is damaged"):
        ask(filled, "--by", "day")
    assert "a row of it is damaged" in read_today(filled, START)["trouble"]


def test_a_store_that_is_damaged_inside_is_said(filled: Path) -> None:
    whole = filled.read_bytes()
    filled.write_bytes(whole[:1024] + b"\xff" * (len(whole) - 1024))
    with pytest.raises(StoreError, match="Cannot read the counts in"):
        ask(filled, "--since", "2025-03-01")


AS_NOBODY = """
import argparse, os, sys
from edge.commands import counts
from edge.config import load
from edge.errors import StoreError

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
parser = argparse.ArgumentParser()
counts.add_arguments(parser)
try:
    settings = load(environment={}, overrides={"counts.path": sys.argv[1]})
    counts.run(parser.parse_args(["--since", "2025-03-01", "--by", "day"]), settings)
except StoreError as error:
    print(error)
"""


@pytest.fixture
def ask_as_nobody(filled: Path) -> Iterator[Callable[[int], str]]:
    """Asks for the counts of ``filled``, in a directory of the given mode, without any rights; the last line said."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(shutil.copy(filled, directory))

        def ask_as_nobody(mode: int) -> str:
            copy.parent.chmod(mode)
            command = [sys.executable, "-c", AS_NOBODY, copy]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT)
            return ran.stdout.splitlines()[-1]

        yield ask_as_nobody


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives up root's rights to test")


@needs_root
def test_counts_can_be_read_where_nothing_may_be_written(ask_as_nobody: Callable[[int], str]) -> None:
    assert ask_as_nobody(0o755).split()[:5] == ["total", "2", "1", "1", "1"]


@needs_root
def test_counts_that_may_not_be_read_are_said(ask_as_nobody: Callable[[int], str]) -> None:
    assert "Permission denied" in ask_as_nobody(0o700)


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

"""``maskgate counts``: the table and the CSV in local time, and stores that cannot be read."""

from __future__ import annotations

import argparse
import csv
import io
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from edge.commands import counts
from edge.commands.counts import HEADINGS, parse_when
from edge.config import load
from edge.errors import ConfigError, StoreError
from edge.sinks.web.report import read_today
from edge.values import Verdict
from tests.sinks.counts.helpers import BARE, MASKED, ROOT, START, OpenStore, scribble, visit
from tests.stand_ins.clock import ManualClock


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
def test_a_wrong_since_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--since"):
        ask(tmp_path / "counts.db", "--since", text)


def test_nothing_counted_is_said(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask(filled)
    assert capsys.readouterr().out == "Nothing was counted in that time. Recordings and the demo are not counted.\n"


def test_a_missing_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no counts yet at .*counts\.db\. .* start maskgate run") as caught:
        ask(tmp_path / "counts.db")
    assert caught.value.exit_code == 5


def test_a_foreign_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "counts.db").write_text("hello " * 100)
    with pytest.raises(StoreError, match="Cannot read the counts"):
        ask(tmp_path / "counts.db")


def test_counts_are_read_during_a_run(
    open_store: OpenStore, path: Path, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store()
    store.record(visit(0.0))
    clock.advance(6)
    store.tick()
    ask(path, "--since", "2025-03-01")
    assert capsys.readouterr().out.splitlines()[-1].split()[:2] == ["total", "1"]
    assert store.degraded is None


def test_counts_are_read_while_locked(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
def test_a_damaged_row_is_said(filled: Path, sql: str) -> None:
    scribble(filled, sql)
    with pytest.raises(StoreError, match=r"Cannot read the counts in .*: a row of it is damaged"):
        ask(filled, "--by", "day")
    assert "a row of it is damaged" in read_today(filled, START)["trouble"]


def test_a_damaged_store_is_said(filled: Path) -> None:
    whole = filled.read_bytes()
    filled.write_bytes(whole[:1024] + b"\xff" * (len(whole) - 1024))
    with pytest.raises(StoreError, match="Cannot read the counts in"):
        ask(filled, "--since", "2025-03-01")


AS_NOBODY = """
import argparse, os, sys
from edge.commands import counts
from edge.config import load
from edge.errors import StoreError

parser = argparse.ArgumentParser()
counts.add_arguments(parser)
asked = parser.parse_args(["--since", "2025-03-01", "--by", "day"])
settings = load(environment={}, overrides={"counts.path": sys.argv[1]})
counts.run(asked, settings)  # a Python of root's cannot import any more without its rights
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    counts.run(asked, settings)
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
def test_counts_are_read_without_write_rights(ask_as_nobody: Callable[[int], str]) -> None:
    assert ask_as_nobody(0o755).split()[:5] == ["total", "2", "1", "1", "1"]


@needs_root
def test_missing_read_rights_are_said(ask_as_nobody: Callable[[int], str]) -> None:
    assert "Permission denied" in ask_as_nobody(0o700)

"""``maskgate counts forget``: visits and their share of the hours are deleted, after a question."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from edge.clock import SystemClock
from edge.errors import StoreError
from edge.sinks.counts import CountStore, database
from edge.sinks.counts.forget import forget
from edge.sinks.counts.reading import read_rows
from edge.values import Event, EventKind
from tests.commands.counts.helpers import BARE, MASKED, MONDAY, ROOT, Ask, fill, totals, visits
from tests.stand_ins.clock import ManualClock

pytestmark = pytest.mark.usefixtures("berlin")


def test_forgotten_visits_leave_their_hours_too(filled: Path, ask: Ask) -> None:
    said = ask("forget", "--since", "2025-03-03T09:31", "--until", "2025-03-03T12:00", "--yes")
    assert said == "Deleted 2 visits (1 no mask, 1 unsure).\n"
    assert visits(filled) == ["with_mask", "with_mask", "with_mask", "mask_worn_incorrectly", "with_mask"]
    assert totals(filled) == [4, 0, 1, 0]


def test_frames_and_uptime_are_not_forgotten(filled: Path, ask: Ask) -> None:
    before = json.loads(ask("--by", "day", "--json"))["total"]
    ask("forget", "--until", "now", "--yes")
    after = json.loads(ask("--by", "day", "--json"))["total"]
    assert after["visits"] == 0
    assert [after[key] for key in ("frames", "uptime_seconds")] == [before["frames"], before["uptime_seconds"]]
    assert visits(filled) == []


def test_hours_without_visits_are_forgotten(path: Path, ask: Ask) -> None:
    later = MONDAY + timedelta(days=60)
    fill(path, (MONDAY, BARE), (MONDAY + timedelta(minutes=1), MASKED), (later, MASKED), retention_days=31)
    assert visits(path) == ["with_mask"]
    assert ask("forget", "--since", "2025-03-03", "--until", "2025-03-04", "--yes").startswith("Deleted 2 visits")
    assert totals(path) == [1, 0, 0, 0]


def test_forgetting_without_a_time_is_refused(filled: Path, ask: Ask) -> None:
    assert "Say what to delete" in ask("forget", "--yes", code=2)
    assert len(visits(filled)) == 7


def test_forgetting_in_a_script_needs_yes(filled: Path, ask: Ask) -> None:
    assert "in a script, add --yes" in ask("forget", "--since", "2025-03-01", code=2)
    assert len(visits(filled)) == 7


def test_forgetting_nothing_says_so(filled: Path, ask: Ask) -> None:
    assert "nothing was deleted" in ask("forget", "--since", "2025-05-01", "--yes")


def forget_at_a_terminal(path: Path, answer: bytes) -> tuple[int, str]:
    """What ``counts forget`` says to somebody who answers so."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge", "counts", "forget", "--since", "2025-03-03", "--until", "2025-03-04"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=os.environ | {"MASKGATE_COUNTS_PATH": str(path)},
    )
    os.close(terminal)
    os.write(controller, answer)
    said = process.communicate(timeout=60)[0].decode()
    os.close(controller)
    return process.returncode, said


@pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, 4), (b"n\n", 1, 7), (b"\n", 1, 7)])
def test_it_asks_before_it_deletes(filled: Path, answer: bytes, code: int, left: int) -> None:
    returned, said = forget_at_a_terminal(filled, answer)
    assert "Delete 3 visits (1 with mask, 1 no mask, 1 unsure) since 2025-03-03 00:00 until 2025-03-04 00:00?" in said
    assert (returned, len(visits(filled))) == (code, left)


def test_a_running_door_goes_on_counting(path: Path, ask: Ask) -> None:
    clock = SystemClock()
    store = CountStore(path, 0.01, 31, clock)
    for number in range(3):
        store.record(Event(EventKind.VISIT_ENDED, clock.monotonic(), number, BARE, 1.0))
    time.sleep(0.02)
    store.tick()
    assert ask("forget", "--since", "1h", "--yes") == "Deleted 3 visits (3 no mask).\n"
    store.record(Event(EventKind.VISIT_ENDED, clock.monotonic(), 4, MASKED, 1.0))
    store.close()
    assert store.degraded is None
    assert (visits(path), totals(path)) == (["with_mask"], [1, 0, 0, 0])


def test_a_late_clock_moves_the_rest(path: Path) -> None:
    clock = ManualClock(MONDAY)
    store = CountStore(path, 1.0, 31, clock)
    for verdict in (MASKED, BARE):
        store.record(Event(EventKind.VISIT_ENDED, clock.monotonic(), 1, verdict, 1.0))
        clock.advance(60)
        store.tick()
    assert forget(path, MONDAY + timedelta(seconds=30), None) == {BARE: 1}
    clock.jump(5 * 3600)
    store.tick()
    store.close()
    assert totals(path) == [1, 0, 0, 0]
    with closing(database.open_for_reading(path)) as connection:
        assert [row.start for row in read_rows(connection, None, "hour") if row.visits] == [
            MONDAY.replace(minute=0) + timedelta(hours=5)
        ]


def test_forgotten_visits_leave_the_file(path: Path) -> None:
    fill(path, *((MONDAY + timedelta(seconds=number), BARE) for number in range(50)))
    assert path.read_bytes().count(b"without_mask") > 50
    forget(path, None, MONDAY + timedelta(days=1))
    files = b"".join(file.read_bytes() for file in path.parent.glob("counts.db*"))
    assert files.count(b"without_mask") <= 2, "only the schema names it"


def test_foreign_files_are_never_forgotten(path: Path, ask: Ask) -> None:
    path.write_text("Dear diary, " * 100)
    assert "it is another file" in ask("forget", "--until", "now", "--yes", code=5)
    assert path.read_text().startswith("Dear diary")


AS_NOBODY = """
import argparse, os
from edge.commands import counts
from edge.config import load
from edge.errors import StoreError

settings = load()
parser = argparse.ArgumentParser()
counts.add_arguments(parser)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    counts.run(parser.parse_args(["forget", "--until", "now", "--yes"]), settings)
except StoreError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root's rights to test")
def test_missing_rights_name_sudo(filled: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(filled, folder))
        copy.chmod(0o644)
        copy.parent.chmod(0o755)
        ran = subprocess.run(
            [sys.executable, "-c", AS_NOBODY],
            env=os.environ | {"MASKGATE_COUNTS_PATH": str(copy), "HOME": "/nonexistent"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=ROOT,
        )
        assert len(visits(copy)) == 7
        assert "Try sudo" in ran.stdout


def test_no_store_is_said(path: Path) -> None:
    with pytest.raises(StoreError, match="There are no counts yet"):
        forget(path, None, None)

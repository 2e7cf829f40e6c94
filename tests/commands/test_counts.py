"""``maskgate counts``: periods, forms of output, deleting; on real SQLite files."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from edge import cli
from edge.clock import SystemClock
from edge.errors import StoreError
from edge.sinks.counts import CountStore, database
from edge.sinks.counts.forget import forget
from edge.sinks.counts.reading import read_rows
from edge.values import Event, EventKind
from edge.verdicts import Verdict
from tests.stand_ins.clock import ManualClock

ROOT = Path(__file__).parents[2]
MASKED, BARE, BADLY, UNSURE = Verdict
MONDAY = datetime(2025, 3, 3, 8, 30, tzinfo=timezone.utc)

Ask = Callable[..., str]


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An hour ahead of UTC, two from 30 March 2025."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "counts.db"


def fill(path: Path, *visits: tuple[datetime, Verdict], retention_days: int = 10_000) -> None:
    """Count visits of 3 seconds that end at these moments, in order."""
    clock = ManualClock(visits[0][0])
    store = CountStore(path, 1.0, retention_days, clock)
    for at, verdict in visits:
        clock.advance((at - clock.now()).total_seconds())
        store.record(Event(EventKind.VISIT_ENDED, clock.monotonic(), 1, verdict, 3.0))
        store.add_frames(100)
        store.tick()
    store.close()


@pytest.fixture
def filled(path: Path) -> Path:
    """Three on a Monday, one on the Tuesday, two a week later, one in April."""
    fill(
        path,
        (MONDAY, MASKED),
        (MONDAY + timedelta(minutes=5), BARE),
        (MONDAY + timedelta(hours=2), UNSURE),
        (MONDAY + timedelta(days=1), MASKED),
        (MONDAY + timedelta(days=7), MASKED),
        (MONDAY + timedelta(days=7, minutes=1), BADLY),
        (MONDAY + timedelta(days=30), MASKED),
    )
    return path


@pytest.fixture
def ask(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.setenv("MASKGATE_COUNTS_PATH", str(path))
    monkeypatch.setenv("MASKGATE_MQTT_DOOR", "main-gate")

    def ask(*arguments: str, code: int = 0) -> str:
        assert cli.main(["counts", *arguments]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return ask


def first_words(text: str, words: int) -> list[list[str]]:
    return [line.split()[:words] for line in text.splitlines()[1:]]


def visits(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [verdict for (verdict,) in connection.execute("SELECT verdict FROM visits ORDER BY ended")]


def totals(path: Path) -> list[int]:
    with closing(database.open_for_reading(path)) as connection:
        return list(database.lifetime_totals(connection).values())


# Periods


def test_weeks_begin_on_monday(filled: Path, ask: Ask) -> None:
    assert first_words(ask("--by", "week"), 5) == [
        ["week", "of", "2025-03-03", "2", "1"],
        ["week", "of", "2025-03-10", "1", "0"],
        ["week", "of", "2025-03-31", "1", "0"],
        ["total", "4", "1", "1", "1"],
    ]


def test_months_are_local(filled: Path, ask: Ask) -> None:
    assert first_words(ask("--by", "month"), 3) == [["2025-03", "3", "1"], ["2025-04", "1", "0"], ["total", "4", "1"]]


def test_until_leaves_out_what_is_later(filled: Path, ask: Ask) -> None:
    before_tuesday = first_words(ask("--by", "day", "--until", "2025-03-04"), 4)
    assert before_tuesday == [["Mon", "2025-03-03", "1", "1"], ["total", "1", "1", "0"]]
    within = json.loads(ask("--by", "day", "--since", "2025-03-04", "--until", "2025-03-10", "--json"))
    assert [period["start"][:10] for period in within["periods"]] == ["2025-03-04"]


def test_until_before_since_is_refused(filled: Path, ask: Ask) -> None:
    assert "--until 2025-03-01 is not later" in ask("--since", "2025-03-02", "--until", "2025-03-01", code=2)


@pytest.mark.parametrize("change", ["started = 9e99", "verdict = 'frames'", "started = x'00'", "started = 'noon'"])
def test_a_damaged_visit_is_said(filled: Path, ask: Ask, change: str) -> None:
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        connection.execute(f"UPDATE visits SET {change} WHERE id = 2")
    assert "a row of it is damaged" in ask("--visits", code=5)


# Compliance


def test_compliance_is_masked_of_judged(filled: Path, ask: Ask) -> None:
    said = json.loads(ask("--by", "day", "--json"))
    monday = said["periods"][0]
    assert (monday["visits"], monday["judged"], monday["compliance"]) == (3, 2, 0.5)
    assert (said["total"]["judged"], said["total"]["compliance"]) == (6, pytest.approx(4 / 6, abs=1e-4))
    assert "50%" in ask("--by", "day").splitlines()[1]


def test_nobody_judged_has_no_compliance(path: Path, ask: Ask) -> None:
    fill(path, (MONDAY, UNSURE))
    assert json.loads(ask("--by", "day", "--json"))["total"]["compliance"] is None
    assert " - " in ask("--by", "day").splitlines()[1]
    assert next(csv.DictReader(io.StringIO(ask("--by", "day", "--csv"))))["compliance"] == ""


# Forms


def test_json_names_door_and_period(filled: Path, ask: Ask) -> None:
    said = json.loads(ask("--by", "week", "--json"))
    assert (said["door"], said["by"]) == ("main-gate", "week")
    assert said["periods"][0]["start"] == "2025-03-03T00:00:00+01:00"
    assert said["total"]["visits"] == 7


def test_json_of_nothing_is_whole(path: Path, ask: Ask) -> None:
    fill(path, (MONDAY, MASKED))
    said = json.loads(ask("--by", "day", "--since", "2025-05-01", "--json"))
    assert said["periods"] == []
    assert said["total"]["visits"] == 0


def test_hours_carry_the_offset_of_their_day(filled: Path, ask: Ask) -> None:
    rows = list(csv.DictReader(io.StringIO(ask("--since", "2025-03-01", "--csv"))))
    assert rows[0]["start"] == "2025-03-03T09:00:00+01:00"
    assert rows[-1]["start"] == "2025-04-02T10:00:00+02:00"
    assert {row["door"] for row in rows} == {"main-gate"}


def test_visits_are_listed_one_by_one(filled: Path, ask: Ask) -> None:
    rows = list(csv.DictReader(io.StringIO(ask("--visits", "--csv"))))
    assert list(rows[0]) == ["start", "local", "door", "seconds", "verdict"]
    assert [row["verdict"] for row in rows[:3]] == ["with_mask", "without_mask", "unsure"]
    assert (rows[0]["start"], rows[0]["seconds"]) == ("2025-03-03T09:29:57+01:00", "3.0")
    listed = json.loads(ask("--visits", "--since", "2025-03-10", "--until", "2025-03-11", "--json"))["visits"]
    assert [visit["verdict"] for visit in listed] == ["with_mask", "mask_worn_incorrectly"]
    assert "Mon 2025-03-03 09:29:57     3.0 s  with mask" in ask("--visits")


def cell_kinds(attributes: str) -> list[str]:
    """Of a cell of OpenDocument, as often as it is repeated."""
    kind = re.search(r'office:value-type="(\w+)"', attributes)
    repeated = re.search(r'number-columns-repeated="(\d+)"', attributes)
    return [kind[1]] * (int(repeated[1]) if repeated else 1) if kind else []


@pytest.mark.skipif(not shutil.which("soffice"), reason="needs LibreOffice Calc: apt install libreoffice-calc-nogui")
def test_libreoffice_reads_times_and_numbers(filled: Path, ask: Ask, tmp_path: Path) -> None:
    table = tmp_path / "hours.csv"
    table.write_bytes(ask("--since", "2025-03-01", "--csv").encode())
    profile = f"-env:UserInstallation=file://{tmp_path}/profile"
    command = ["soffice", profile, "--headless", "--convert-to", "fods", "--outdir", tmp_path, table]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    cells = re.findall(r"<table:table-cell([^>]*)>", (tmp_path / "hours.fods").read_text("utf-8"))
    kinds = [kind for cell in cells for kind in cell_kinds(cell)]
    assert kinds[:11] == ["string"] * 11
    assert kinds[11:22] == ["string", "date", "string", *["float"] * 8]


PANDAS = """
import sys
import pandas
table = pandas.read_csv(sys.argv[1], parse_dates=["local"])
moments = pandas.to_datetime(table["start"], utc=True)
print(table["local"].dt.hour[0], moments[0].isoformat(), table["visits"].sum(), table["compliance"][0])
"""


def test_pandas_reads_times_and_numbers(filled: Path, ask: Ask, tmp_path: Path) -> None:
    python = os.environ.get("PANDAS_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import pandas"], capture_output=True, check=False).returncode:
        pytest.skip("needs pandas: pip install pandas, or name a Python that has it with PANDAS_PYTHON=")
    table = tmp_path / "hours.csv"
    table.write_bytes(ask("--since", "2025-03-01", "--csv").encode())
    ran = subprocess.run([python, "-c", PANDAS, table], capture_output=True, text=True, check=True, timeout=120)
    assert ran.stdout.split() == ["9", "2025-03-03T08:00:00+00:00", "7", "0.5"]


# Deleting


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


def test_whole_hours_without_single_visits_are_forgotten(path: Path, ask: Ask) -> None:
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


def test_a_clock_set_later_moves_what_is_left(path: Path) -> None:
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


def test_forgotten_visits_are_not_left_in_the_file(path: Path) -> None:
    fill(path, *((MONDAY + timedelta(seconds=number), BARE) for number in range(50)))
    assert path.read_bytes().count(b"without_mask") > 50
    forget(path, None, MONDAY + timedelta(days=1))
    files = b"".join(file.read_bytes() for file in path.parent.glob("counts.db*"))
    assert files.count(b"without_mask") <= 2, "only the schema names it"


def test_a_store_that_is_not_ours_is_not_forgotten(path: Path, ask: Ask) -> None:
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


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_time_that_is_none_names_its_option(filled: Path, ask: Ask, option: str) -> None:
    assert f"{option} soon is not a time" in ask(option, "soon", code=2)

"""``maskgate counts``: periods, forms of output, deleting; on real SQLite files."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.commands.counts.helpers import MASKED, MONDAY, UNSURE, Ask, fill, first_words

pytestmark = pytest.mark.usefixtures("berlin")

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


def test_hours_carry_their_days_offset(filled: Path, ask: Ask) -> None:
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
@pytest.mark.slow
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


@pytest.mark.slow
def test_pandas_reads_times_and_numbers(filled: Path, ask: Ask, tmp_path: Path) -> None:
    python = os.environ.get("PANDAS_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import pandas"], capture_output=True, check=False).returncode:
        pytest.skip("needs pandas: pip install pandas, or name a Python that has it with PANDAS_PYTHON=")
    table = tmp_path / "hours.csv"
    table.write_bytes(ask("--since", "2025-03-01", "--csv").encode())
    ran = subprocess.run([python, "-c", PANDAS, table], capture_output=True, text=True, check=True, timeout=120)
    assert ran.stdout.split() == ["9", "2025-03-03T08:00:00+00:00", "7", "0.5"]


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_wrong_times_name_their_option(filled: Path, ask: Ask, option: str) -> None:
    assert f"{option} soon is not a time" in ask(option, "soon", code=2)

"""``make bench``: what it says of itself, what it leaves out and why, and that its parts work."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

from convert.tflite_file import Operation, TensorFacts
from edge.config import PeopleSettings
from edge.people import PeopleTracker
from edge.sinks.web.report import read_today
from edge.vision.pipeline import load_pipeline
from tests.bench import __main__ as bench
from tests.bench.budget import multiply_accumulates
from tests.bench.results import Quartiles, ratios
from tests.bench.scaling import fill
from tests.bench.scenes import crowds, settings
from tests.nonempty import some
from tests.stand_ins.simulate import Faults, Scene, score

ROOT = Path(__file__).parents[2]


def tensor(*shape: int) -> TensorFacts:
    return TensorFacts("", "INT8", shape, False, False, (), (), 0, ())


def test_help_teaches_every_section(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(name in said for name in bench.SECTIONS)
    assert "--quick" in said
    assert "make bench" in said


def test_an_unknown_section_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(["speed"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "there is no section 'speed'" in said
    assert "overhead" in said


def test_an_unwritable_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert bench.main(["overhead", "--out", str(tmp_path / "file" / "bench")]) == 2
    assert "choose another --out" in capsys.readouterr().err


def test_figures_are_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["overhead", "budget", "--quick", "--out", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert "bare models, ms" in output
    assert "An estimate, not a measurement" in output
    said = json.loads((tmp_path / "bench.json").read_text())
    assert said["quick"] is True
    assert said["machine"] in output
    ratios_told = [one["ratio"]["median"] for name, one in said["sections"]["overhead"].items() if "scaled" in name]
    assert len(ratios_told) == 4
    assert all(ratio > 1 for ratio in some(ratios_told))


def test_missing_parts_are_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "peers", "--quick", "--out", str(tmp_path)]
    absent = ["--peers", str(tmp_path / "none"), "--data", str(tmp_path / "val.json")]
    told = subprocess.run([*command, *absent], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "Left out" in told
    assert "name one with --peers" in told
    assert "name a COCO file with --data" in told
    assert "| maskgate |" in told


def test_every_layer_kind_counts_its_macs() -> None:
    operations = (
        Operation("CONV_2D", (tensor(1, 8, 8, 3), tensor(16, 3, 3, 3), tensor(16)), (tensor(1, 4, 4, 16),)),
        Operation("DEPTHWISE_CONV_2D", (tensor(1, 4, 4, 16), tensor(1, 3, 3, 16), tensor(16)), (tensor(1, 4, 4, 16),)),
        Operation("FULLY_CONNECTED", (tensor(1, 16), tensor(3, 16), tensor(3)), (tensor(1, 3),)),
        Operation("ADD", (tensor(1, 4), tensor(1, 4)), (tensor(1, 4),)),
    )
    assert multiply_accumulates(operations) == {
        "CONV_2D": 4 * 4 * 16 * 3 * 3 * 3,
        "DEPTHWISE_CONV_2D": 4 * 4 * 16 * 3 * 3,
        "FULLY_CONNECTED": 3 * 16,
    }


def test_a_spread_has_median_and_quartiles() -> None:
    assert Quartiles.of([1, 2, 3, 4, 5]) == Quartiles(3, 2, 4)
    assert Quartiles.of([7.0]) == Quartiles(7.0, 7.0, 7.0)
    assert ratios([2, 6, 12], [1, 2, 3]) == Quartiles(3, 2.5, 3.5)


def test_a_store_gets_the_requested_visits(tmp_path: Path) -> None:
    store = tmp_path / "counts.db"
    fill(store, 1000)
    with sqlite3.connect(store) as connection:
        assert connection.execute("SELECT count(*) FROM visits").fetchone() == (1000,)
        assert connection.execute("SELECT count(*) FROM hours").fetchone() == (5,)
    assert read_today(store, datetime.now(timezone.utc))["hours"]


def test_scenes_have_the_requested_heads() -> None:
    nobody, one, two = crowds(load_pipeline(settings()), [0, 1, 2])
    assert nobody.std() == 0
    assert (two != nobody).sum() > 1.5 * (one != nobody).sum()


def test_a_blind_gate_costs_no_visit() -> None:
    always, gated = (
        score(Scene(40, Faults(), arrivals=0.05, seed=11), PeopleTracker(PeopleSettings()), idle_every=idle)
        for idle in (0.0, 0.15)
    )
    assert abs(gated.counted - always.counted) <= 1
    assert gated.missed <= always.missed + 1


@pytest.mark.slow
@pytest.mark.parametrize("section", ["idle", "overhead", "start"])
def test_a_section_measures_this_machine(section: str, tmp_path: Path) -> None:
    assert bench.main([section, "--quick", "--out", str(tmp_path), "--peers", str(tmp_path / "none")]) == 0
    assert json.loads((tmp_path / "bench.json").read_text())["sections"][section]

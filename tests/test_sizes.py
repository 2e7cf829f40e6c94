"""The table over widths and inputs: trained by the real commands, measured as int8, and picked up where it stopped."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from convert.__main__ import main
from convert.sizes import Row, table, verdict
from edge.values import LABELS


def row(width: float, size: int, accuracy: float, milliseconds: float) -> Row:
    return Row(width, size, accuracy, 0.99, 0.01, 0.9, 2_700_000, milliseconds)


ROWS = [row(1, 96, 0.95, 1.0), row(1, 128, 0.968, 2.0), row(1, 160, 0.971, 3.0), row(1, 224, 0.97, 6.0)]


def test_the_quickest_of_those_about_as_accurate_as_the_best_is_named() -> None:
    assert "width 1 at 128" in verdict(ROWS)
    assert "width 1 at 160" in verdict([*ROWS[:1], *ROWS[2:]])


def test_the_table_has_a_line_a_model() -> None:
    assert table(ROWS).splitlines()[2] == "| 1, 96 | 95.0 % | 99.0 % | 1.0 % | 90.0 % | 2.70 | 1.00 |"


def test_a_width_that_is_no_number_is_refused_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sizes", "--weights", "wide", "--data", "d", "--validation", "v", "--out", str(tmp_path)]) == 2
    assert "--weights wide" in capsys.readouterr().err


def test_a_training_that_fails_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = str(tmp_path / "nowhere.json")
    options = ["--weights", "0.35=none", "--sizes", "32", "--data", nowhere, "--validation", nowhere]
    assert main(["sizes", *options, "--out", str(tmp_path / "out")]) == 2
    assert "python -m train mask failed" in capsys.readouterr().err


def test_a_size_is_trained_converted_and_measured_once(tmp_path: Path) -> None:
    images, annotations = [], []
    for number in range(12):
        rng = np.random.default_rng(number)
        tiles = rng.choice([0, 90, 180, 255], (9, 12, 3))
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.kron(tiles, np.ones((8, 8, 1))).astype(np.uint8))
        images.append({"id": number, "file_name": f"{number}.png"})
        kind = 1 + number % 3
        annotations.append({"id": number, "image_id": number, "category_id": kind, "bbox": [20, 10, 44, 50]})
    categories = [{"id": kind, "name": str(label)} for kind, label in enumerate(LABELS, 1)]
    data = tmp_path / "faces.json"
    data.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    out = tmp_path / "out"
    command = ["sizes", "--weights", "0.35=none", "--sizes", "32", "--data", str(data), "--validation", str(data)]
    command += ["--out", str(out), "--", "--faces", "8", "--batch", "4", "--epochs", "1", "--workers", "1"]
    assert main(command) == 0
    (measured,) = json.loads((out / "sizes.json").read_text())["rows"]
    assert (measured["width"], measured["size"]) == (0.35, 32)
    assert measured["milliseconds"] > 0
    assert measured["bytes"] == (out / "0.35-32-int8" / "mask.tflite").stat().st_size
    trained = (out / "0.35-32" / "mask.keras").stat().st_mtime_ns
    assert main(command) == 0
    assert (out / "0.35-32" / "mask.keras").stat().st_mtime_ns == trained

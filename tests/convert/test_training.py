"""Trainings by recorded commands: the table over widths and inputs, and shipped models made again."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from convert.__main__ import main
from convert.again import placed, recorded
from convert.sizes import Row, table, verdict
from edge.values import LABELS
from edge.vision.models import read_manifest
from tests.nonempty import some

ROOT = Path(__file__).parents[2]
TABLE = ["sizes", "--weights", "0.35=none", "--sizes", "32", "--data", "faces.json", "--validation", "others.json"]
TABLE += ["--out", "sizes", "--", "--faces", "8", "--batch", "4", "--epochs", "1", "--workers", "1"]


def row(width: float, size: int, accuracy: float, milliseconds: float) -> Row:
    return Row(width, size, accuracy, 0.99, 0.01, 0.9, 2_700_000, milliseconds)


ROWS = [row(1, 96, 0.95, 1.0), row(1, 128, 0.968, 2.0), row(1, 160, 0.971, 3.0), row(1, 224, 0.97, 6.0)]


def test_the_quickest_accurate_size_is_named() -> None:
    assert "width 1 at 128" in verdict(ROWS)
    assert "width 1 at 160" in verdict([*ROWS[:1], *ROWS[2:]])


def test_the_table_has_every_model() -> None:
    assert table(ROWS).splitlines()[2] == "| 1, 96 | 95.0 % | 99.0 % | 1.0 % | 90.0 % | 2.70 | 1.00 |"


def test_wrong_widths_are_refused_early(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sizes", "--weights", "wide", "--data", "d", "--validation", "v", "--out", str(tmp_path)]) == 2
    assert "--weights wide" in capsys.readouterr().err


def test_a_training_that_fails_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = str(tmp_path / "nowhere.json")
    options = ["--weights", "0.35=none", "--sizes", "32", "--data", nowhere, "--validation", nowhere]
    assert main(["sizes", *options, "--out", str(tmp_path / "out")]) == 2
    assert "python -m train mask failed" in capsys.readouterr().err


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working folder, with photos in it and a table of one small model in ``sizes``."""
    folder = tmp_path_factory.mktemp("project")
    _write_photos(folder, "faces.json", range(12))
    _write_photos(folder, "others.json", range(12, 24))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.chdir(folder)
        assert main(TABLE) == 0
        yield folder


def _write_photos(folder: Path, name: str, numbers: range) -> None:
    images, annotations = [], []
    for number in numbers:
        rng = np.random.default_rng(number)
        tiles = rng.choice([0, 90, 180, 255], (9, 12, 3))
        cv2.imwrite(str(folder / f"{number}.png"), np.kron(tiles, np.ones((8, 8, 1))).astype(np.uint8))
        images.append({"id": number, "file_name": f"{number}.png"})
        kind = 1 + number % 3
        annotations.append({"id": number, "image_id": number, "category_id": kind, "bbox": [20, 10, 44, 50]})
    categories = [{"id": kind, "name": str(label)} for kind, label in enumerate(LABELS, 1)]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    (folder / name).write_text(json.dumps(coco))


@pytest.mark.training
def test_each_size_is_measured_once(project: Path) -> None:
    sizes = project / "sizes"
    (measured,) = json.loads((sizes / "sizes.json").read_text())["rows"]
    assert (measured["width"], measured["size"]) == (0.35, 32)
    assert measured["milliseconds"] > 0
    assert measured["bytes"] == (sizes / "0.35-32-int8" / "mask.tflite").stat().st_size
    before = (sizes / "0.35-32" / "mask.keras").stat().st_mtime_ns
    assert main(TABLE) == 0
    assert (sizes / "0.35-32" / "mask.keras").stat().st_mtime_ns == before


@pytest.mark.training
def test_recorded_commands_make_a_model_again(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in project.glob("*.*"):
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    command = ["again", "mask", "--models", str(project / "sizes" / "0.35-32-int8")]
    assert main(command) == 0
    model = tmp_path / "sizes" / "0.35-32-int8" / "mask.tflite"
    assert model.stat().st_size == (project / "sizes" / "0.35-32-int8" / "mask.tflite").stat().st_size
    made = model.stat().st_mtime_ns
    capsys.readouterr()
    assert main(command) == 0
    assert model.stat().st_mtime_ns == made
    assert "python -m convert publish mask --from sizes/0.35-32-int8" in capsys.readouterr().out


def test_placeholders_become_given_folders() -> None:
    command = "python -m train mask --data 'DATA/my faces/train.json' --out runs/mask --seed 1"
    options = ["--data", "/d/my faces/train.json", "--out", "runs/mask", "--seed", "1"]
    assert placed(command, {"DATA": "/d"})[4:] == options


def test_placeholders_after_equals_signs_are_replaced() -> None:
    assert placed("train --weights yunet=PEERS/y.onnx", {"PEERS": "/p"}) == ["train", "--weights", "yunet=/p/y.onnx"]


def test_missing_folders_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--models", str(ROOT / "edge/vision/models"), "--log", str(tmp_path)]
    assert main(["again", "face", "--folder", "PEERS=p", *options]) == 2
    assert "--folder DATA=PATH" in capsys.readouterr().err
    assert main(["again", "nose", *options]) == 2
    assert "no model nose: the manifest has confirm, face, mask" in capsys.readouterr().err


def test_shipped_models_record_their_making() -> None:
    manifest = read_manifest()
    *labelling, conversion = recorded(manifest, "face")
    labels = [command for command in labelling if command.startswith("python -m train.face.fuse ")]
    trainings = [command for command in labelling if command not in labels]
    assert labels == labelling[: len(labels)]
    *trainings, scores = trainings
    assert all(command.startswith("python -m train face ") for command in some(trainings))
    assert scores.startswith("python -m train.face.scores ")
    assert conversion.startswith("python -m convert face ")
    made: set[Path] = set()
    for words in some(map(str.split, recorded(manifest, "mask"))):
        assert {Path(word).parent for word in words if word.endswith(".keras")} <= made, (
            "each is made before it is used"
        )
        if words[2:4] == ["train", "mask"]:
            made.add(Path(words[words.index("--out") + 1]))
    assert words[2:4] == ["convert", "mask"]

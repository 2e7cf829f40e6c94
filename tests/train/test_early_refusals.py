"""What can be told before TensorFlow is imported is told before: within a second, in one sentence."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from train.__main__ import main


@pytest.fixture
def without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import of Keras or TensorFlow fails from here on, also in modules that were imported before."""
    for module in ("keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, module, None)
    for module in [name for name in sys.modules if name.startswith(("train.face.", "train.mask."))]:
        package, _, name = module.rpartition(".")
        monkeypatch.setattr(sys.modules[package], name, sys.modules[module])  # given back with the module itself
        monkeypatch.delitem(sys.modules, module)


def other_file(folder: Path) -> Path:
    (folder / "passwd").write_text("root:x:0:0")
    return folder / "passwd"


def empty_folder(folder: Path) -> Path:
    (folder / "photos").mkdir()
    return folder / "photos"


@pytest.mark.usefixtures("without_keras")
@pytest.mark.parametrize("task", [["mask"], ["face"], ["mask", "--preset", "report"]])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda folder: folder / "nowhere", "There is no data at {}: give a folder of photos"),
        (other_file, "{} has no layout that is known. Give a folder with one folder per class"),
        (empty_folder, "{} (layout: folders) contains no photo: check that the photos are where it says."),
    ],
)
def test_unusable_data_is_told_at_once(  # type: ignore[no-untyped-def]
    task: list[str], data, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = data(tmp_path)
    assert main([*task, str(photos), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"train: error: {words.format(photos)}")
    assert told.count("\n") == 1


@pytest.mark.usefixtures("without_keras")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["mask", "--start-from", "no.keras"], "No model at no.keras: give --start-from the path of a model file"),
        (["mask", "--teacher", "no.keras"], "No model at no.keras: give --teacher the path of a model file"),
        (["mask", "--detector", "no.onnx"], "No model at no.onnx: give --detector the path of a model file"),
        (["face", "--weights", "no.keras"], "No model at no.keras: give --weights the path of a model file"),
        (["face", "--weights", "yunet=no.onnx"], "No model at no.onnx: give --weights the path of a model file"),
        (["face", "--teacher", "no.json"], "No model at no.json: give --teacher the path of a model file"),
        (["mask", "--resume"], "Nothing to resume in out: start without --resume"),
        (["face", "--resume"], "Nothing to resume in out: start without --resume"),
    ],
)
def test_missing_files_are_told_at_once(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--data", str(empty_folder(tmp_path)), "--out", "out"]) == 2
    assert capsys.readouterr().err.startswith(f"train: error: {told}")


def test_the_report_swallows_no_option() -> None:
    from train.mask.command import IGNORED_BY_REPORT, add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    used = {"photos", "data", "label", "preset", "weights", "size", "width", "epochs", "batch", "learning_rate", "seed"}
    used |= {"mixed_precision", "tensorboard", "workers", "out", "resume"}
    assert vars(parser.parse_args([])).keys() - used == set(IGNORED_BY_REPORT)

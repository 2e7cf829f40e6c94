"""Where results go: faults are told before an hour has been spent, and a full disk costs no finished epoch."""

from __future__ import annotations

import argparse
import errno
import resource
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError
from edge.values import LABELS
from train.__main__ import main
from train.common.checkpoints import RunFolder
from train.common.out_folder import LEAST_FREE, check_out, disk_fault
from train.common.terminal import run_program

TINY = ["--weights", "none", "--detector", "none", "--size", "32", "--width", "0.35", "--faces", "4", "--batch", "4"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label in LABELS:
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(6):
            image = np.random.default_rng(number).integers(0, 256, (40, 40, 3)).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "photos" / label / f"{number}.png"), image)
    return tmp_path / "photos"


@pytest.mark.parametrize("task", ["mask", "face"])
def test_a_file_is_no_folder(task: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").write_text("")
    assert main([task, str(photos), "--out", str(tmp_path / "run")]) == 2
    assert "run is a file: name a folder" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["mask", "face"])
def test_an_earlier_run_is_kept(task: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/metrics.json").write_text("{}")
    assert main([task, str(photos), "--out", str(tmp_path / "run")]) == 2
    assert "holds an earlier run (metrics.json): go on with --resume, name another --out" in capsys.readouterr().err


def test_files_cannot_hold_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"Cannot write to .*Not a directory"):
        check_out(tmp_path / "file" / "run", resume=False, results=())


def test_too_little_space_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = type("Usage", (), {"free": LEAST_FREE - 1})
    monkeypatch.setattr("train.common.out_folder.shutil.disk_usage", lambda _: full)
    with pytest.raises(ConfigError, match="free some, or choose another folder"):
        check_out(tmp_path, resume=False, results=())


@pytest.fixture
def little_room() -> Iterator[None]:
    """No file can grow beyond a megabyte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("eager", "little_room")
def test_a_full_disk_is_one_sentence(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = ["--epochs", "1", "--members", "1", "--warmup-epochs", "0", "--train-from", "block_16"]
    assert main(["mask", str(photos), *TINY, *short, "--out", str(tmp_path / "run")]) == 1
    assert "what was finished is kept. Free some space" in capsys.readouterr().err
    assert not list((tmp_path / "run").glob("part.*.keras"))


def test_a_run_without_an_epoch_begins_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", {})
    (tmp_path / "run").mkdir()
    folder.model.write_bytes(b"of a run that ended while it saved its first epoch")
    assert not folder.begun
    folder.metrics.write_text("{}")
    assert folder.begun


def test_ctrl_c_says_how_to_go_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("train.mask.fit.gather", stop)
    command = ["mask", str(photos), *TINY, "--out", str(tmp_path / "run")]
    assert main(command) == 130
    assert capsys.readouterr().err == (
        "train: stopped before an epoch was finished; give the same command to start again.\n"
    )
    (tmp_path / "run/metrics.json").write_text("{}")
    (tmp_path / "run/state.json").write_text("{}")
    assert main([*command, "--resume"]) == 130
    assert "train: stopped; finished epochs are in" in capsys.readouterr().err


def test_other_faults_name_the_file() -> None:
    error = OSError(errno.EIO, "Input/output error", "run/last.keras")
    assert disk_fault(error, Path("run")).startswith("run/last.keras: Input/output error; go on")


def test_one_class_is_not_enough(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mask", str(photos), *TINY, "--label", "with_mask=skip", "--label", "mask_worn_incorrectly=skip",
                 "--out", str(tmp_path / "run")]) == 2  # fmt: skip
    assert "All faces to learn from are without_mask" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "convert: stopped."),
        (
            PermissionError(errno.EACCES, "Permission denied", "a.png"),
            1,
            "convert: error: [Errno 13] Permission denied: 'a.png'.",
        ),
    ],
)
def test_no_command_ends_in_a_traceback(
    raised: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> int:
        raise raised

    assert run_program("convert", run, argparse.Namespace()) == code
    assert capsys.readouterr().err == f"{words}\n"

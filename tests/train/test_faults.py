"""What is wrong with a file is said in words, not by Python's exceptions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError
from train.common.checkpoints import saved_arrays
from train.evaluate.hard_cases import read_cases
from train.face import fuse
from train.mask.teachers import door_ratios


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no JSON from line 1, column 1"),
        ("{}", 'it has no "'),
        ("[]", "its parts have another form"),
    ],
)
@pytest.mark.parametrize("read", [read_cases, door_ratios])
def test_a_wrong_file_is_explained(read: Callable[[Path], object], content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text(content)
    with pytest.raises(ConfigError) as refused:
        read(tmp_path / "file.json")
    assert words in str(refused.value)


def test_bytes_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(ConfigError, match=r"\(not UTF-8 text\)"):
        read_cases(tmp_path / "file.json")


def test_an_absent_file_is_absent(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\(No such file or directory\)"):
        read_cases(tmp_path / "file.json")


@pytest.mark.parametrize("content", [b"", b"PK\3\4abc"], ids=["empty", "short"])
def test_arrays_that_break_off_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.npz").write_bytes(content)
    refused = pytest.raises(ConfigError, match=r"state\.npz cannot be read \(it is empty or breaks off\)")
    with refused, saved_arrays(tmp_path / "state.npz"):
        pass


def test_arrays_that_are_missing_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "state.npz", weights=np.zeros(1))
    refused = pytest.raises(ConfigError, match=r"state\.npz cannot be read \(it has no \"other\"\)")
    with refused, saved_arrays(tmp_path / "state.npz") as saved:
        assert saved["other"]


class TestFusedLabels:
    """``python -m train.face.fuse`` goes on with the file that it finds."""

    def said(self, folder: Path, content: object, capsys: pytest.CaptureFixture[str]) -> str:
        cv2.imwrite(str(folder / "a.png"), np.zeros((60, 60, 3), np.uint8))
        images, categories = [{"id": 1, "file_name": "a.png"}], [{"id": 1, "name": "face"}]
        box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 30, 30]}
        photos, labels = folder / "photos.json", folder / "labels.json"
        photos.write_text(json.dumps({"images": images, "annotations": [box], "categories": categories}))
        labels.write_text(json.dumps(content))
        (folder / "yunet.onnx").touch()
        options = ["--detector", f"yunet={folder / 'yunet.onnx'}", "--out", str(labels)]
        assert fuse.main(["--data", str(photos), *options]) == 2
        return capsys.readouterr().err

    def test_a_file_of_another_kind(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = self.said(tmp_path, {"photos": {}}, capsys)
        assert 'labels.json is not what train.face.fuse writes (it has no "detectors"): name another --out.' in said

    def test_labels_of_other_detectors(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = self.said(tmp_path, {"detectors": ["0204", "centerface"], "photos": {}}, capsys)
        assert said.endswith("labels.json is from other detectors (0204, centerface): name another --out.\n")

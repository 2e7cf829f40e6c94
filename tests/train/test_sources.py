"""Annotation files from public sources, fetched at a commit."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.values import Label
from tests.train.own_photos import ANNOTATION
from train import sources
from train.mask.data import read
from train.sources import SOURCES, main

CROPS, BOXES, SHARES = "web_crops", "street_masks", "portrait_masks"
VOC = {
    BOXES: ("JPEGImages", "annotations", "with_incorrect_mask"),
    "kaggle853": ("images", "annotations", "mask_weared_incorrect"),
    "smartmask1600": ("yolo_server/data/raw/images", "yolo_server/data/raw/original_annotations", "face"),
}
"""Folders of photos and of annotations, and a class that is not called as here."""


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((40, 60, 3), np.uint8))


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where repositories of the same layouts can be cloned from."""
    root = tmp_path / "public"
    for name, source in SOURCES.items():
        repository = root / source.repository
        fill(name, repository)
        git = ["git", "-C", str(repository), "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", "photos"], check=True)
        head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
        monkeypatch.setitem(SOURCES, name, replace(source, commit=head))
    return f"file://{root}/"


def fill(name: str, repository: Path) -> None:
    if name == CROPS:
        picture(repository / "dataset/with_mask/a.png")
        picture(repository / "dataset/without_mask/b.png")
        picture(repository / "docs/screen.png")
    elif name in VOC:
        photos, annotations, label = VOC[name]
        picture(repository / photos / "a.jpg")
        edges = {"x0": 5, "y0": 6, "x1": 25, "y1": 36}
        text = ANNOTATION.format(name="a.jpg", width=60, height=40, label=label, **edges)
        (repository / annotations).mkdir()
        (repository / annotations / "a.xml").write_text(text)
    else:
        picture(repository / "data/images/a.jpg")
        (repository / "data/labels").mkdir()
        (repository / "data/labels/a.txt").write_text("0 0.5 0.5 0.2 0.5\n1 0.2 0.5 0.1 0.5\n")


def test_each_source_becomes_an_annotation_file(
    public: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data"
    for _ in range(2):
        assert main(["--out", str(out), "--clone-from", public]) == 0
    said = capsys.readouterr().out
    for source in SOURCES.values():
        assert f"{source.repository} at {source.commit[:12]}, licence: {source.licence}" in said
    assert sorted(face.label for face in read(out / f"{CROPS}.csv")) == [Label.WITH_MASK, Label.WITHOUT_MASK]
    found = {name: read(out / f"{name}.json") for name in VOC}
    assert {name: [face.label for face in faces] for name, faces in found.items()} == {
        BOXES: [Label.MASK_WORN_INCORRECTLY],
        "kaggle853": [Label.MASK_WORN_INCORRECTLY],
        "smartmask1600": [Label.WITHOUT_MASK],
    }
    (face,) = found[BOXES]
    assert (face.bbox, face.source) == ((5, 6, 25, 36), BOXES)
    assert [face.label for face in read(out / f"{SHARES}.json")] == [Label.WITH_MASK, Label.WITHOUT_MASK]
    assert json.loads((out / f"{SHARES}.json").read_text())["annotations"][0]["bbox"] == pytest.approx([24, 10, 12, 20])


def test_what_cannot_be_fetched_is_said(public: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([CROPS, "--out", str(tmp_path / "data"), "--clone-from", f"{public}elsewhere/"]) == 2
    assert "git could not fetch" in capfd.readouterr().err.splitlines()[-1]
    assert main(["faces", "--out", str(tmp_path / "data")]) == 2
    assert f"There is no source faces: give {', '.join(SOURCES)}." in capfd.readouterr().err


def test_the_sources_are_pinned() -> None:
    for source in sources.SOURCES.values():
        assert len(source.commit) == 40
        assert source.licence

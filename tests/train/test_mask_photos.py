"""From a folder of photos to a training: what is said, refused and written before the first epoch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError
from edge.values import Label
from tests.nonempty import some
from train.__main__ import main
from train.common.dataset import Names
from train.mask.data import hold_out
from train.mask.photos import read_checked, refuse_shared
from train.mask.report import stratified


def photos(folder: Path, seeds: Sequence[int], quality: int = 95) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in some(seeds):
        coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
        image = cv2.resize(coarse, (48, 48), interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(folder / f"{seed}-{quality}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return folder


@pytest.fixture
def classic(tmp_path: Path) -> Path:
    """The two folders that most people have, with a near duplicate of every photo."""
    root = tmp_path / "photos"
    for name, first in (("With Mask", 0), ("no mask", 100)):
        photos(root / name, range(first, first + 10))
        photos(root / name, range(first, first + 10), quality=60)
    return root


def test_the_check_writes_table_and_examples(classic: Path, tmp_path: Path) -> None:
    samples, report = read_checked([classic], Names(), tmp_path / "run")
    assert len(samples) == 40
    assert len(report.near_duplicates) == 20
    found = json.loads((tmp_path / "run/dataset.json").read_text("utf-8"))
    assert found["faces"] == {"with_mask": 20, "without_mask": 20}
    assert "nearly the same photo  20 photos" in (tmp_path / "run/dataset.txt").read_text("utf-8")
    assert cv2.imread(str(tmp_path / "run/dataset.jpg")) is not None


def test_near_duplicates_stay_on_one_side(classic: Path, tmp_path: Path) -> None:
    samples, _ = read_checked([classic], Names(), tmp_path / "run")
    for training, held in (hold_out(samples, 0.3, 1), stratified(samples, 1)):
        assert held
        assert not {sample.path.stem.split("-")[0] for sample in training} & {
            sample.path.stem.split("-")[0] for sample in held
        }


def test_the_report_keeps_the_split(tmp_path: Path) -> None:
    for part, first in (("train", 0), ("test", 50)):
        photos(tmp_path / "data" / part / "mask", range(first, first + 6))
        photos(tmp_path / "data" / part / "no mask", range(first + 100, first + 106))
    samples, _ = read_checked([tmp_path / "data"], Names(), tmp_path / "run")
    training, test = stratified(samples, 1)
    assert {sample.path.parts[-3] for sample in training} == {"train"}
    assert {sample.path.parts[-3] for sample in test} == {"test"}


def test_trained_photos_cannot_validate(classic: Path, tmp_path: Path) -> None:
    _, report = read_checked([classic], Names(), tmp_path / "run")
    with pytest.raises(ConfigError, match="40 of the 40 photos of --validation are also in --data, such as"):
        refuse_shared(report, report)


def test_a_few_trained_photos_are_told(classic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos(tmp_path / "check" / "mask", range(200, 204))
    copy = tmp_path / "check" / "mask" / "copy.jpg"
    shutil.copy(next(classic.rglob("*.jpg")), copy)
    _, report = read_checked([classic], Names(), tmp_path / "run")
    _, validation = read_checked([tmp_path / "check"], Names(), tmp_path / "run", "validation")
    capsys.readouterr()
    refuse_shared(report, validation)
    assert capsys.readouterr().out.startswith(
        f"! 1 of the 5 photos of --validation are also in --data, such as {copy}:"
    )


def test_options_can_name_a_class(tmp_path: Path) -> None:
    photos(tmp_path / "data" / "ja", range(3))
    samples, _ = read_checked([tmp_path / "data"], Names.parse(["ja=with_mask"]), tmp_path / "run")
    assert {sample.label for sample in samples} == {Label.WITH_MASK}


def test_an_unwritable_folder_is_said(classic: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(ConfigError, match=r"Cannot write to .*--out"):
        read_checked([classic], Names(), tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--preset", "report", "--members", "2", "--no-paint"], "does not use --members, --no-paint"),
        (["--label", "masked"], "write NAME=LABEL"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    classic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["mask", str(classic), "--weights", "none", "--out", str(tmp_path / "run"), *options]) == 2
    assert said in capsys.readouterr().err


def test_no_photos_at_all_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mask"]) == 2
    assert "python -m train mask photos/" in capsys.readouterr().err

"""Held-out photos: chosen by group and class, written down, and read when a model is measured."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from edge.values import LABELS, BBox, Label
from train.mask.data import Sample
from train.mask.split import read_split, with_some_of_each_class, write_split


def faces(label: Label, count: int, pairs: bool = False) -> list[Sample]:
    return [Sample(Path(f"{label}{at}.jpg"), label, "door", f"{label}{at // (1 + pairs)}") for at in range(count)]


def test_each_class_holds_faces_out() -> None:
    training = [*faces(Label.WITH_MASK, 100), *faces(Label.WITHOUT_MASK, 50), *faces(Label.MASK_WORN_INCORRECTLY, 10)]
    train, held = with_some_of_each_class(training, [], 1)
    assert Counter(sample.label for sample in held) == dict(zip(LABELS, (20, 10, 2), strict=True))
    assert len(train) + len(held) == len(training)


def test_a_group_stays_on_one_side() -> None:
    train, held = with_some_of_each_class(faces(Label.WITH_MASK, 60, pairs=True), [], 1)
    assert held
    assert not {sample.group for sample in train} & {sample.group for sample in held}


def test_enough_held_out_faces_stay() -> None:
    training, held = faces(Label.WITH_MASK, 200)[30:], faces(Label.WITH_MASK, 30)
    assert with_some_of_each_class(training, held, 1) == (training, held)


def test_held_out_faces_stay_the_same() -> None:
    training = faces(Label.WITH_MASK, 60)
    first = {sample.group for sample in with_some_of_each_class(training, [], 1)[1]}
    assert first == {sample.group for sample in with_some_of_each_class(training[::-1], [], 1)[1]}
    assert first != {sample.group for sample in with_some_of_each_class(training, [], 2)[1]}


@pytest.mark.parametrize("bbox", [None, BBox(1, 2, 30, 40)])
def test_splits_are_read_as_written(tmp_path: Path, bbox: BBox | None) -> None:
    learned = [Sample(tmp_path / f"{at}.jpg", Label.WITH_MASK, "door", "g", bbox=bbox) for at in range(3)]
    held = [Sample(tmp_path / "h, 1.jpg", Label.WITHOUT_MASK, "door", "h", bbox=bbox)]
    write_split(tmp_path / "split.csv", learned, held, [])
    read = read_split(tmp_path / "split.csv")
    assert [(one.path, one.label, one.source, one.bbox, one.validation) for one in read] == [
        (one.path, one.label, one.source, bbox, one in held) for one in (*learned, *held)
    ]

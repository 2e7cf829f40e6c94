"""Which faces a run learns from and which it is measured on: chosen once, written down, and read by the conversion."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from edge.values import LABELS
from train.mask.data import Sample, read

SPLIT_FILE = "split.csv"
"""In the folder of a run, in the layout of any other data set; absolute paths."""

ENOUGH = 30
"""Faces of a class whose figures are worth reading."""

MOST_HELD = 0.2
"""Of a small class, to be measured on."""

COLUMNS = ("file", "x0", "y0", "x1", "y1", "label", "source", "group", "split")


def with_some_of_each_class(
    training: Sequence[Sample], held: Sequence[Sample], split: int
) -> tuple[list[Sample], list[Sample]]:
    """Hold out further groups where that leaves a class with too few faces to measure on.

    Args:
        training: Faces to learn from.
        held: Faces already held out.
        split: Another number takes other groups.

    Returns:
        What to train on, and what is held out.
    """
    groups: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in training:
        groups[sample.group].append(sample)
    counted = Counter(sample.label for sample in held)
    every = counted + Counter(sample.label for sample in training)
    moved: set[str] = set()
    for label in LABELS:
        wanted = min(ENOUGH, round(MOST_HELD * every[label]))
        for group in sorted(groups, key=lambda name: hashlib.sha256(f"{split}/{name}".encode()).digest()):
            faces = Counter(sample.label for sample in groups[group])
            if group not in moved and 0 < faces[label] <= wanted - counted[label]:
                moved.add(group)
                counted += faces
    return [s for s in training if s.group not in moved], [*held, *(s for s in training if s.group in moved)]


def write_split(path: Path, training: Sequence[Sample], held: Sequence[Sample], left_out: Sequence[Sample]) -> None:
    """Write down which faces a run learns from (train), holds out (val) and leaves out (test)."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    written: set[str] = set()
    for part, samples in (("train", training), ("val", held), ("test", left_out)):
        for sample in samples:
            if sample.key not in written:
                written.add(sample.key)
                box = ("",) * 4 if sample.bbox is None else tuple(f"{edge:.1f}" for edge in sample.bbox)
                rows.writerow((sample.path.resolve(), *box, sample.label.value, sample.source, sample.group, part))
    path.write_text(text.getvalue(), "utf-8")


def read_split(path: Path) -> list[Sample]:
    """The faces of a run; those that were not learned from are marked as validation."""
    return read(path)

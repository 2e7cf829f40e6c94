"""The photos of a mask training: checked, and shown on a sheet before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.values import LABELS
from train.common import checked
from train.common.checked import refuse_shared
from train.common.contact_sheet import Tile, around, evenly, write_sheet
from train.common.dataset import Names
from train.common.dataset.check import Report
from train.mask.data import Sample, load, samples_of

__all__ = ["read_checked", "refuse_shared"]

SHOWN = 16
"""Examples of each class on the sheet."""


def read_checked(paths: Sequence[Path], names: Names, out: Path, title: str = "dataset") -> tuple[list[Sample], Report]:
    """Read data sets, see `train.common.checked.read_checked`, and draw examples of each class on ``{title}.jpg``."""
    report = checked.read_checked(paths, names, out, title)
    samples = samples_of(report.photos)
    _draw(out / f"{title}.jpg", samples)
    return samples, report


def _draw(path: Path, samples: Sequence[Sample]) -> None:
    """A few faces of each class, so that a mix-up is seen before an epoch is spent on it."""
    rng = np.random.default_rng(0)
    tiles: list[Tile] = []
    for label in LABELS:
        faces = [sample for sample in samples if sample.label is label]
        chosen = [faces[index] for index in sorted(rng.permutation(len(faces))[:SHOWN])]
        tiles += evenly([_tile(sample) for sample in chosen], SHOWN)
    write_sheet(path, "Examples of each class", tiles)


def _tile(sample: Sample) -> Tile:
    image = load(sample.path)
    shown = image if sample.bbox is None else around(image, sample.bbox)
    return Tile(shown, (str(sample.label), sample.path.name[-20:]))

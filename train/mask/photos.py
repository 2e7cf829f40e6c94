"""The photos of one run: read, checked, and described in its folder before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from edge.errors import ConfigError
from edge.values import LABELS
from train.common import dataset
from train.common.contact_sheet import Tile, around, evenly, write_sheet
from train.common.dataset import Names
from train.common.dataset.check import Report, check
from train.common.options import say
from train.common.reproducible import write_json
from train.mask.data import Sample, load, samples_of

REPORT, TABLE, SHEET, LOOKS = "dataset.json", "dataset.txt", "dataset.jpg", "looks.json"
"""What the check leaves in the run's folder: all it found, the table, examples of each class, and its cache."""

SHOWN = 16
"""Examples of each class on the sheet."""


def read_checked(paths: Sequence[Path], names: Names, out: Path, title: str = "dataset") -> tuple[list[Sample], Report]:
    """Read data sets and look at every photo, saying what is usable and what is not.

    Args:
        paths: Data sets of any layout.
        names: How classes are called in them.
        out: Folder for the report; made if need be.
        title: Of the report's files, in place of ``dataset``.

    Raises:
        ConfigError: A data set cannot be used, or the folder cannot be written to.
    """
    datasets = [dataset.read(path, names) for path in paths]
    try:
        out.mkdir(parents=True, exist_ok=True)
        report = check(datasets, out / LOOKS.replace("looks", f"looks-{title}"), _progress)
        write_json(out / REPORT.replace("dataset", title), report.as_json())
        (out / TABLE.replace("dataset", title)).write_text(report.as_text() + "\n", "utf-8")
    except OSError as error:
        raise ConfigError(f"Cannot write to {out}: {error.strerror}; choose another folder with --out.") from error
    samples = samples_of(report.photos)
    _draw(out / SHEET.replace("dataset", title), samples)
    say(report.as_text())
    return samples, report


def refuse_shared(training: Report, validation: Report) -> None:
    """Refuse to report on photos that were learned from.

    Raises:
        ConfigError: Most of the validation photos are the same files as training ones.
    """
    learned = {training.looks[photo.path].digest for photo in training.photos}
    shared = sum(validation.looks[photo.path].digest in learned for photo in validation.photos)
    if shared > len(validation.photos) / 2:
        raise ConfigError(
            f"--validation: {shared} of its {len(validation.photos)} photos are also in --data, so its figures would "
            "say nothing. Leave --validation out (a tenth of --data is held out by itself), or give other photos."
        )


def _progress(paths: Sequence[Path]) -> Iterable[Path]:
    from rich.progress import track

    return track(paths, description="Looking at photos")


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

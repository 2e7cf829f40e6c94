"""The faces that a conversion works on: as the run wrote them down, or as ``--data`` and ``--validation`` name them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert import provenance
from edge.errors import ConfigError
from edge.values import Label
from train.common import dataset
from train.common.dataset.check import check
from train.mask.data import Sample, samples_of
from train.mask.split import SPLIT_FILE

HELD_OUT = "held out of the training's own photos"
"""Stands for the data set where no other was named to compare on."""


@dataclass(frozen=True)
class Chosen:
    """Faces, and lines that tell where they come from.

    Attributes:
        training: To take ranges from.
        validation: To compare on; none of them was learned from.
        data: About ``training``.
        measured: About ``validation``.
    """

    training: list[Sample]
    validation: list[Sample]
    data: tuple[str, ...]
    measured: tuple[str, ...]


def choose(args: argparse.Namespace, metrics: Mapping[str, Any], labels: Sequence[Label]) -> Chosen:
    """Find the faces for a conversion, leaving out those that cannot be read, as the training did.

    Args:
        args: Of ``python -m convert mask``.
        metrics: Of the training.
        labels: Of the model.

    Raises:
        ConfigError: There are none, or the run wrote none down and no option names any.
    """
    split = args.model.parent / SPLIT_FILE
    noted = None if args.data and args.validation else _noted(split)
    named = args.data or [Path(path) for path in metrics.get("settings", {}).get("data", [])]
    training = _read(args.data) if args.data else [sample for sample in noted or [] if not sample.validation]
    if args.validation:
        validation, where = _of_validation(_read_each(args.validation), labels), args.validation
    else:
        validation = [sample for sample in noted or [] if sample.validation and sample.label in labels]
        where = [Path(HELD_OUT)]
    if not validation:
        raise ConfigError(
            "No face to compare on has a label of the model: give --validation with photos that were not learned from."
        )
    return Chosen(
        training,
        validation,
        provenance.describe_data(named, [sample.source for sample in training], "faces"),
        provenance.describe_data(where, [sample.source for sample in validation], "faces"),
    )


def _noted(split: Path) -> list[Sample]:
    if not split.is_file():
        raise ConfigError(
            f"{split}, in which a training notes its photos, is absent: name them with --data and --validation."
        )
    return _read([split])


def _of_validation(sets: Iterable[list[Sample]], labels: Sequence[Label]) -> list[Sample]:
    """Faces with one of the labels: of a set that marks some for validation, only those."""
    faces: list[Sample] = []
    for samples in sets:
        fitting = [sample for sample in samples if sample.label in labels]
        faces += [sample for sample in fitting if sample.validation] or fitting
    return faces


def _read(paths: Sequence[Path]) -> list[Sample]:
    return [sample for samples in _read_each(paths) for sample in samples]


def _read_each(paths: Sequence[Path]) -> list[list[Sample]]:
    """The usable faces of each data set."""
    found = []
    for path in paths:
        report = check([dataset.read(path)], None, list)
        for photo, fault in report.unreadable.items():
            print(f"{photo} is left out: {fault}.", flush=True)
        found.append(samples_of(report.photos))
    return found

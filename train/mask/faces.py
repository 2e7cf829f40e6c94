"""The faces of one run: read, checked, given boxes, and split into what is learned from and what is measured on."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge.errors import ConfigError
from edge.values import LABELS, Label
from train.common.dataset import Names
from train.common.terminal import say
from train.mask.data import Sample, hold_out
from train.mask.device_boxes import Find, with_device_boxes
from train.mask.locate import YuNet, locate
from train.mask.photos import read_checked, refuse_shared
from train.mask.recipe import detector_file
from train.mask.split import SPLIT_FILE, with_some_of_each_class, write_split
from train.mask.views import LEAST_PAINTED_SIDE

LEAST_TRAINED_SIDE = 12.0
"""Annotated faces with a shorter side in pixels show no mask; they are left out."""

LEAST_REPORTED_SIDE = 40.0
"""Figures are given over annotated faces of at least this short side in pixels, and over all."""

HELD_OUT = 0.1
"""Of the groups, for calibrating the probabilities and following the training."""


@dataclass(frozen=True)
class Faces:
    """What a run works on.

    Attributes:
        train: To learn from.
        held_out: What the run holds out, and what the data itself holds back (rows of split val in ``--data``): to
            calibrate on and to choose the alarm threshold by.
        left_out: Of ``--leave-out``.
        validation: Of ``--validation``, only reported on.
        unreadable: Pictures that cannot be decoded.
    """

    train: list[Sample]
    held_out: list[Sample]
    left_out: list[Sample]
    validation: list[Sample]
    unreadable: list[Path]

    def counts(self) -> Counter[Label]:
        """Faces to train on, by class."""
        return Counter(sample.label for sample in self.train)

    def reported(self) -> dict[str, list[Sample]]:
        """The sets that figures are given for, by name, empty ones left out."""
        annotated = [s for s in self.validation if s.annotated]
        sets = {
            "held_out": self.held_out,
            "left_out": self.left_out,
            "validation": self.validation,
            "validation_annotated": annotated,
            "validation_annotated_40px": [s for s in annotated if s.short_side >= LEAST_REPORTED_SIDE],
        }
        return {name: samples for name, samples in sets.items() if samples}


def gather(args: argparse.Namespace, find: Find) -> Faces:
    """Read, check, locate and split the faces that the options name, saying what was found.

    Args:
        args: Of ``python -m train mask``.
        find: The device's detector.
    """
    names = Names.parse(args.label)
    samples, report = read_checked(args.data, names, args.out)
    _check_sources(args.leave_out, samples)
    unreadable = list(report.unreadable)
    reported: list[Sample] = []
    if args.validation:
        found, validated = read_checked(args.validation, names, args.out, "validation")
        refuse_shared(report, validated)
        reported = [replace(sample, validation=True) for sample in found]
        unreadable += validated.unreadable
    samples = [s for s in samples if s.short_side >= LEAST_TRAINED_SIDE]
    kept = with_device_boxes([*samples, *reported], find, say)
    landmarks = detector_file(args)
    if landmarks is not None:
        kept = locate(kept, YuNet(landmarks), args.out / "boxes.json", LEAST_PAINTED_SIDE)
    named = {sample.path for sample in reported}
    validation = [sample for sample in kept if sample.validation and sample.path in named]
    held_back = [sample for sample in kept if sample.validation and sample.path not in named]
    left = [sample for sample in kept if not sample.validation and sample.source in args.leave_out]
    training = [sample for sample in kept if not sample.validation and sample.source not in args.leave_out]
    if not training:
        raise ConfigError(
            "None of the --data can be trained on: every photo is unreadable, without a face, or kept from training."
        )
    _check_classes(training)
    train, held = hold_out(training, HELD_OUT, args.split)
    train, held = with_some_of_each_class(train, [*held, *held_back], args.split)
    write_split(args.out / SPLIT_FILE, train, held, left)
    for name, part in (("training", train), ("held out", held), ("left out", left), ("validation", validation)):
        counts = Counter(str(sample.label) for sample in part)
        say(f"{name}: {len(part)} faces, " + ", ".join(f"{label} {counts[label]}" for label in LABELS))
    return Faces(train, held, left, validation, unreadable)


def _check_classes(samples: Sequence[Sample]) -> None:
    found = sorted({str(sample.label) for sample in samples})
    if len(found) < 2:
        raise ConfigError(
            f"All faces to learn from are {found[0]}: add photos of another class, such as a folder without_mask/."
        )


def _check_sources(names: Sequence[str], samples: Sequence[Sample]) -> None:
    sources = {sample.source for sample in samples}
    for name in names:
        if name not in sources:
            raise ConfigError(
                f"--leave-out {name}: no face of --data has this source; there are {', '.join(sorted(sources))}."
            )

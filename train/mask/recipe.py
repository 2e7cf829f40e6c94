"""What the default recipe takes for options that are not given: a start from general features, or a fine-tuning."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge.errors import ConfigError
from train.common.start_models import MASK, SHIPPED, YUNET, start_record

FROM_FEATURES: Mapping[str, float] = {
    "epochs": 8,
    "warmup_epochs": 1,
    "members": 4,
    "keep_start": 0.2,
    "faces": 3200,
    "learning_rate": 3e-4,
}

FROM_SHIPPED: Mapping[str, float] = {
    "epochs": 6,
    "warmup_epochs": 0,
    "members": 1,
    "keep_start": 0.75,
    "faces": 800,
    "learning_rate": 1e-4,
}
"""Minutes on a few photos. Three quarters of the start stay in the mean, so that other places are not forgotten
(WiSE-FT, https://arxiv.org/abs/2109.01903); docs/evidence/evaluation.md tells how that share was chosen."""

REPORT_WEIGHTS = "imagenet"


def complete(args: argparse.Namespace) -> None:
    """Decide on the start and set what was not given.

    Raises:
        ConfigError: Two starts are given.
    """
    if args.weights is not None and args.start_from is not None:
        raise ConfigError("--weights and --start-from are both something to start from: give one of them.")
    if args.preset == "report":
        args.weights = args.weights or REPORT_WEIGHTS
        return
    if args.weights is None and args.start_from is None:
        args.start_from = Path(SHIPPED)
    further = args.start_from == Path(SHIPPED)
    for name, value in (FROM_SHIPPED if further else FROM_FEATURES).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    args.weights = args.weights or "none"


def start_of(args: argparse.Namespace) -> dict[str, str]:
    """What the weights start from, for the run's metrics: model, and where it is a file, its hash; licence if known."""
    path = start_file(args)
    if path is None:
        words = {"imagenet": "ImageNet weights of Keras Applications (Apache-2.0)", "none": "random numbers"}
        return start_record(Path(args.weights), words.get(args.weights, Path(args.weights).name))
    return start_record(path, "the shipped mask model of maskgate" if args.start_from == Path(SHIPPED) else path.name)


def start_file(args: argparse.Namespace) -> Path | None:
    """The file of ``--start-from``."""
    named: Path | None = args.start_from
    return MASK if named == Path(SHIPPED) else named


def named_models(args: argparse.Namespace) -> Iterator[tuple[Path, str]]:
    """Files that options name, each with its option."""
    options = {"--start-from": [start_file(args)], "--detector": [detector_file(args)], "--teacher": args.teacher}
    for option, paths in options.items():
        yield from ((path, option) for path in paths if path is not None)


def detector_file(args: argparse.Namespace) -> Path | None:
    """The file of ``--detector``; None to look for no landmarks."""
    named: Path | None = args.detector
    if named is None:
        return YUNET
    return None if named == Path("none") else named

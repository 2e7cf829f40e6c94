"""Where a model comes from: what its training wrote down, told without the paths of the machine it ran on."""

from __future__ import annotations

import argparse
import json
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from convert.tflite_file import ModelFacts
from edge.errors import ConfigError
from edge.vision.models import SHIPPED_MANIFEST, read_manifest
from train.common.reproducible import METRICS_FILE

PACKAGES = ("python", "tensorflow", "keras", "numpy")
"""Whose versions are worth telling: what trained the model, not whatever else was installed."""

MODEL_SUFFIX = ".keras"

KNOWN_FOLDERS = ("data", "weights")
"""Folders outside the project whose contents keep their place: ``/somewhere/data/faces`` becomes ``DATA/faces``."""

RUNS = "runs"
"""Where trainings write; wherever it was, its contents belong into the project's own: ``/somewhere/runs/face``."""


def read_metrics(path: Path, *needed: str) -> dict[str, Any]:
    """Read the ``metrics.json`` of a training.

    Raises:
        ConfigError: It is absent, no JSON object, or lacks one of the keys ``needed``.
    """
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"{path}, which says how the model was trained, cannot be read ({reason}): "
            "keep it next to the model, or name it with --metrics."
        ) from error
    absent = [key for key in needed if not isinstance(metrics, dict) or key not in metrics]
    if absent:
        raise ConfigError(f"{path} does not say {', '.join(absent)}: name the metrics.json of this model's training.")
    return dict(metrics)


def stages(path: Path, *needed: str) -> list[dict[str, Any]]:
    """Read the metrics of a training and of those that it built on, each after what it built on.

    A training builds on another where its command names a ``.keras`` file: to go on from it, or to learn its answers.
    The ``metrics.json`` of the other one is expected next to that file, unless the shipped models' manifest tells of a
    training into that folder.

    Args:
        path: Of the last training's ``metrics.json``.
        needed: Keys that the last one must have in addition to ``command``.

    Raises:
        ConfigError: One of them cannot be read, or they build on one another in a circle.
        ModelError: The shipped models' manifest cannot be read.
    """
    return _with_earlier(read_metrics(path, "command", *needed), (path.resolve(),))


def _with_earlier(metrics: dict[str, Any], through: tuple[Path, ...]) -> list[dict[str, Any]]:
    """A training after those that it built on; ``through`` are the metrics that led to it."""
    found: list[dict[str, Any]] = []
    for start in _built_on(metrics["command"]):
        earlier = (start.parent / METRICS_FILE).resolve()
        if earlier in through:
            raise ConfigError(
                f"{earlier} says that its training built on itself: keep each training in its own folder."
            )
        told = _told_into(start.parent) or _with_earlier(read_metrics(earlier, "command"), (*through, earlier))
        found += [stage for stage in told if stage not in found]
    return [*found, metrics]


def _built_on(command: str) -> list[Path]:
    """The models that a training went on from or learned from."""
    return [word for word in map(Path, _values(command)) if word.suffix == MODEL_SUFFIX]


def _told_into(folder: Path) -> list[dict[str, Any]]:
    """What the shipped manifest tells of the training into ``folder`` and before, where its metrics are gone."""
    if (folder / METRICS_FILE).exists() or not SHIPPED_MANIFEST.exists():
        return []
    for entry in read_manifest().models.values():
        told = list(entry.figures["training"])
        for number, training in enumerate(told):
            if str(folder) in _values(training["command"]):
                return told[: number + 1]
    return []


def portable_command(command: str) -> str:
    """A command line in which every path outside the project is a placeholder: ``--data DATA/faces/train.json``."""
    return " ".join(_portable_argument(argument) for argument in shlex.split(command))


def portable_path(path: PurePath) -> str:
    """A path as it stands, if it lies within the project; otherwise from a placeholder on."""
    if not path.is_absolute() and path.parts[:1] != ("..",):
        return str(path)
    if RUNS in path.parts[:-1]:
        return "/".join(path.parts[path.parts.index(RUNS) :])
    for folder in KNOWN_FOLDERS:
        if folder in path.parts[:-1]:
            start = len(path.parts) - path.parts[::-1].index(folder)
            return "/".join((folder.upper(), *path.parts[start:]))
    return f"{path.parent.name.upper() or 'ROOT'}/{path.name}"


def describe_data(paths: Iterable[Path], sources: Sequence[str], unit: str) -> tuple[str, ...]:
    """Where data comes from, a line each: the files, then how much of each source: ``street_masks: 872 photos``.

    Args:
        paths: Of the data sets.
        sources: The source of each photo or face, or "".
        unit: What is counted: photos, faces.
    """
    counts = Counter(source or "unnamed source" for source in sources)
    files = [portable_path(path) for path in paths]
    return (*files, *(f"{source}: {count} {unit}" for source, count in sorted(counts.items())))


def training_figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What a training's metrics say of it: command, seed, seconds, versions, and the figures of the epoch kept.

    What a manifest tells of a training is that already.
    """
    if "best" in metrics:
        return dict(metrics)
    history = metrics.get("history") or []
    best = metrics.get("best_epoch", metrics.get("kept_epoch"))
    kept = ("seed", "seconds", "parameters", "best_epoch", "kept_epoch", "uncalibrated")
    versions = metrics.get("versions", {})
    return {
        "command": portable_command(metrics["command"]),
        **{key: metrics[key] for key in kept if metrics.get(key) not in (None, "")},
        "versions": {package: versions[package] for package in PACKAGES if package in versions},
        "epochs": len(history),
        "best": next((epoch for epoch in history if epoch.get("epoch") == best), None),
    }


def conversion_figures(
    command: str, pictures: int, seed: int, versions: Mapping[str, str], facts: ModelFacts
) -> dict[str, Any]:
    """How a model was converted, and what came out."""
    return {
        "command": portable_command(command),
        "pictures": pictures,
        "seed": seed,
        "versions": dict(versions),
        "bytes": facts.size,
        "operations": facts.operation_counts,
    }


def figures(
    args: argparse.Namespace,
    stages: Sequence[Mapping[str, Any]],
    pictures: int,
    facts: ModelFacts,
    validation: Mapping[str, Any],
) -> dict[str, Any]:
    """All that a manifest entry says of how a model came about and what it is worth.

    Args:
        args: Of ``python -m convert face|mask``.
        stages: Metrics of each training; see ``stages``.
        pictures: How many the ranges were taken from.
        facts: Of the converted model.
        validation: The data compared on, and what was found; see ``convert.parity``.
    """
    from convert import quantize

    return {
        "training": [training_figures(stage) for stage in stages],
        "conversion": conversion_figures(args.command_line, pictures, args.seed, quantize.versions(), facts),
        "validation": dict(validation),
    }


def _values(command: str) -> list[str]:
    """The words of a command line, those after ``--option=`` too."""
    return [word.partition("=")[2] if word.startswith("-") else word for word in shlex.split(command)]


def _portable_argument(argument: str) -> str:
    option, equals, value = argument.partition("=")
    if equals and "/" in value:
        return shlex.quote(f"{option}={portable_path(PurePath(value))}")
    return shlex.quote(portable_path(PurePath(argument))) if "/" in argument else shlex.quote(argument)

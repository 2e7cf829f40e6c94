"""``python -m convert sizes``: mask classifiers of several widths and inputs, trained alike, measured in one table.

Each is trained and converted by the commands that anybody would type, in a process of its own, and kept: a second run
goes on where the first was stopped.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from convert import publish, tables
from edge.errors import ConfigError
from edge.runtime import Model, open_model
from edge.vision.models import MaskEntry, load_model
from train.common.reproducible import write_json

LOOKS = 200
"""At each model, in turn with the others."""

FACES = "40_up"
"""Of validation: those of 40 pixels and more."""

BOXES, LAST_WRITTEN = "boxes.json", "curves_rates.png"
"""Of a training: where faces are, and the file that tells that it came to its end."""

WITHIN = 0.003
"""Margin to the best accuracy: the fastest model within it is the one to ship."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model, as int8.

    Attributes:
        width: Multiplier of MobileNetV2's channel counts.
        size: Of the square input, in pixels.
        accuracy: Over the three labels, in [0, 1].
        bare_alarmed: Of bare faces, labelled anything but with_mask.
        masked_wrongly_alarmed: Of masked ones.
        badly_worn_flagged: Of badly worn ones.
        bytes: Of the file.
        milliseconds: CPU time for one face, on one thread.
    """

    width: float
    size: int
    accuracy: float
    bare_alarmed: float
    masked_wrongly_alarmed: float
    badly_worn_flagged: float
    bytes: int
    milliseconds: float


def run(args: argparse.Namespace) -> int:
    """Train and convert what is missing, measure all, print the table and write it.

    Returns:
        0.

    Raises:
        ConfigError: The options do not serve, or a training or conversion failed.
        ModelError: A converted model cannot be run.
    """
    weights = dict(_weights(text) for text in args.weights)
    pairs = list(product(sorted(weights), sorted(set(args.sizes))))
    for width, size in pairs:
        _make(args, width, weights[width], size)
    milliseconds = _time([_converted(args.out, *pair)[1] for pair in pairs])
    rows = [
        _row(pair, _converted(args.out, *pair)[0], lasted) for pair, lasted in zip(pairs, milliseconds, strict=True)
    ]
    write_json(args.out / "sizes.json", {"command": args.command_line, "rows": [asdict(row) for row in rows]})
    print(f"{table(rows)}\n\n{verdict(rows)}\nWrote {args.out / 'sizes.json'}")
    return 0


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    head = ["width, input", "accuracy", "bare alarmed", "masked wrongly", "badly worn", "MB", "ms"]
    return tables.table(
        head,
        [
            [
                f"{row.width:g}, {row.size}",
                tables.percent(row.accuracy),
                tables.percent(row.bare_alarmed),
                tables.percent(row.masked_wrongly_alarmed),
                tables.percent(row.badly_worn_flagged),
                f"{row.bytes / 1e6:.2f}",
                f"{row.milliseconds:.2f}",
            ]
            for row in rows
        ],
    )


def verdict(rows: Sequence[Row]) -> str:
    """The fastest of those that are about as accurate as the best."""
    best = max(row.accuracy for row in rows)
    chosen = min((row for row in rows if row.accuracy >= best - WITHIN), key=lambda row: row.milliseconds)
    return (
        f"The quickest within {100 * WITHIN:.1f} points of the best accuracy ({tables.percent(best)}): "
        f"width {chosen.width:g} at {chosen.size}."
    )


def _make(args: argparse.Namespace, width: float, weights: str, size: int) -> None:
    folder, converted = _folders(args.out, width, size)
    data = [word for path in args.data for word in ("--data", str(path))]
    data += [word for path in args.validation for word in ("--validation", str(path))]
    if (converted / publish.MANIFEST).exists():
        return
    if not (folder / LAST_WRITTEN).exists():
        _share_boxes(args.out, folder)
        shape = ["--width", f"{width:g}", "--size", str(size), "--weights", weights, "--out", str(folder)]
        resume = ["--resume"] if (folder / "state.json").exists() else []
        _call("train", "mask", *data, *shape, *args.training, *resume)
    _call("convert", "mask", *data, "--model", str(folder / "mask.keras"), "--output", str(converted), "--anyway")


def _share_boxes(out: Path, folder: Path) -> None:
    """Spare a training the search for faces in its pictures, where another has made it."""
    found = next(out.glob(f"*/{BOXES}"), None)
    if found and not (folder / BOXES).exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, folder / BOXES)


def _call(*words: str) -> None:
    print(f"python -m {' '.join(words)}", flush=True)
    if subprocess.run([sys.executable, "-m", *words], check=False).returncode:  # noqa: S603 - our own commands
        raise ConfigError(f"python -m {words[0]} {words[1]} failed, see above: what was finished is kept.")


def _folders(out: Path, width: float, size: int) -> tuple[Path, Path]:
    """Where a training goes, and what becomes of it."""
    return out / f"{width:g}-{size}", out / f"{width:g}-{size}-int8"


def _converted(out: Path, width: float, size: int) -> tuple[MaskEntry, Model]:
    file = load_model(f"{_folders(out, width, size)[1] / publish.MANIFEST}#mask", MaskEntry)
    return file.entry, open_model(file.content, threads=1, name=str(file.path))


def _time(models: Sequence[Model]) -> list[float]:
    """The median of `LOOKS` at random pictures, of each model in turn, in milliseconds of CPU time."""
    rng = np.random.default_rng(1)
    pictures = [rng.integers(-128, 128, model.input.shape, np.int8) for model in models]
    times: list[list[float]] = [[] for _ in models]
    for _ in range(LOOKS):
        for model, picture, taken in zip(models, pictures, times, strict=True):
            begin = time.process_time()
            model.invoke(picture)
            taken.append(1e3 * (time.process_time() - begin))
    return [statistics.median(taken) for taken in times]


def _row(pair: tuple[float, int], entry: MaskEntry, milliseconds: float) -> Row:
    figures: Mapping[str, Any] = entry.figures["validation"][FACES]["int8"]
    rates = {name: figures[name] for name in tables.MASK_RATES}
    return Row(*pair, **rates, bytes=entry.figures["conversion"]["bytes"], milliseconds=milliseconds)


def _weights(text: str) -> tuple[float, str]:
    width, _, weights = text.partition("=")
    try:
        return float(width), weights or "imagenet"
    except ValueError as error:
        raise ConfigError(
            f"--weights {text} is not understood: give a width and a file, as 0.35=weights.h5."
        ) from error

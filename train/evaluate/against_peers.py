"""Measures maskgate beside published models in one run: the same photos, the same matching, one thread each.

python -m train.evaluate.against_peers --data DIR/val.json --peers DIR --out runs/peers
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np

from edge import config
from edge.commands.check import STILL_MAX_FACES
from edge.errors import ConfigError, MaskgateError
from edge.runtime import open_model
from edge.values import Face, Frame, Image
from edge.vision.face_detector import Detector, FaceDetector
from edge.vision.mask_classifier import MaskClassifier
from edge.vision.models import FaceEntry, MaskEntry, load_model
from edge.vision.pipeline import Pipeline
from train.common import plots
from train.evaluate.measure import (
    SAME_FACE,
    SIZES,
    SWEEP_THRESHOLD,
    Outcome,
    Photo,
    assess,
    figures,
    match,
    open_photo,
    read_photos,
    recall,
)
from train.evaluate.peers import THREADS, System, published
from train.evaluate.report import markdown_table, write_json

T = TypeVar("T")

OURS = "maskgate"
YARDSTICK = "YuNet 320 + EscVM"
"""Times are told in multiples of its detector's."""

LOOKS = 3
"""At a photo when timing; the quickest counts: the first makes a net ready for a photo of another size."""

ALL_SIZES = "all sizes"
PANELS = {**SIZES, ALL_SIZES: (0.0, float("inf"))}


class Point(NamedTuple):
    """Of a detector at one threshold: the share of faces found, and boxes a photo where no face is annotated."""

    recall: float
    unmatched: float


class Times(NamedTuple):
    """Milliseconds of processor time a photo, median: to find its faces, and to find and judge them."""

    find: float
    both: float


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one system."""

    system: System
    outcomes: Sequence[Outcome]
    times: Times


class Once(Detector):
    """A ``Detector`` that looks at a picture once, for all the systems that share it."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._image: Image | None = None
        self._faces: list[Face] = []

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        """The faces in a picture; see ``Detector``. All calls for one picture must be for the same threshold."""
        if frame.image is not self._image:
            self._image, self._faces = frame.image, self._detector.detect(frame, threshold)
        return self._faces


def shipped(settings: config.Config) -> System:
    """The configured int8 models, as ``maskgate check`` runs them, on one thread.

    Raises:
        ModelError: A model is missing, altered or not what it should be, or no runtime can run it.
    """
    face, mask = load_model(settings.face.model, FaceEntry), load_model(settings.mask.model, MaskEntry)
    models = [open_model(one.content, settings.runtime.backend, THREADS, name=str(one.path)) for one in (face, mask)]
    threshold = settings.face.still_threshold
    return System(
        OURS,
        FaceDetector(models[0], face.entry, settings.face.nms_iou, STILL_MAX_FACES),
        MaskClassifier(models[1], mask.entry),
        threshold,
        f"photo letterboxed to {face.entry.input.width}x{face.entry.input.height}, score {threshold}, "
        f"NMS IoU {settings.face.nms_iou}; crops {mask.entry.margin} of the box wider on each side",
    )


def measure(systems: Sequence[System], photos: Sequence[Photo]) -> dict[str, list[Outcome]]:
    """Run every system over every photo, each photo decoded once.

    Raises:
        ConfigError: A picture cannot be read.
    """
    shared = {id(system.detector): Once(system.detector) for system in systems}
    pipelines = [Pipeline(shared[id(one.detector)], one.classifier, SWEEP_THRESHOLD) for one in systems]
    outcomes: dict[str, list[Outcome]] = {system.name: [] for system in systems}
    for photo in photos:
        image = open_photo(photo)
        for system, pipeline in zip(systems, pipelines, strict=True):
            outcomes[system.name].append(assess(photo, image, pipeline, system.threshold, SAME_FACE))
    return outcomes


def time_systems(systems: Sequence[System], photos: Sequence[Photo]) -> dict[str, Times]:
    """Time every system at its own threshold, in turn photo by photo, so that a busy moment hits them all alike.

    Processor time, not the clock on the wall: what else the machine does must not count.

    Raises:
        ConfigError: A picture cannot be read.
    """
    spent: dict[str, list[Times]] = {system.name: [] for system in systems}
    for photo in photos:
        image = open_photo(photo)
        looked: dict[int, tuple[list[Face], float]] = {}
        for system in systems:
            if id(system.detector) not in looked:
                looked[id(system.detector)] = _quickest(
                    partial(system.detector.detect, Frame.still(image), system.threshold)
                )
            faces, find = looked[id(system.detector)]
            _, judge = _quickest(partial(system.classifier.classify, image, faces))
            spent[system.name].append(Times(find, find + judge))
    return {
        name: Times(median(one.find for one in all_of), median(one.both for one in all_of))
        for name, all_of in spent.items()
    }


def curve(outcomes: Sequence[Outcome], low: float, high: float) -> list[Point]:
    """Recall of the faces of a size against unmatched boxes of any size, at every threshold from high to low.

    Args:
        outcomes: Of one detector, swept down to ``SWEEP_THRESHOLD``.
        low: Least shorter side of a face, in pixels.
        high: The shorter side is below this.
    """
    scores, found, unmatched, faces = [], [], [], 0
    for outcome in outcomes:
        pairs = match(outcome.photo.bboxes, outcome.swept, SAME_FACE)
        owner = {index: truth for truth, index in zip(outcome.photo.truths, pairs, strict=True)}
        faces += sum(low <= truth.bbox.short_side < high for truth in outcome.photo.truths)
        for index, face in enumerate(outcome.swept):
            truth = owner.get(index)
            ignored = truth is None and any(face.bbox.iou(region) >= SAME_FACE for region in outcome.photo.ignored)
            scores.append(face.score)
            found.append(truth is not None and low <= truth.bbox.short_side < high)
            unmatched.append(truth is None and not ignored)
    order = np.argsort(-np.array(scores))
    shares = np.cumsum(np.array(found, float)[order]) / max(1, faces)
    boxes = np.cumsum(np.array(unmatched, float)[order]) / len(outcomes)
    return [Point(share, box) for share, box in zip(shares.tolist(), boxes.tolist(), strict=True)]


def unmatched_at(points: Sequence[Point], least: float) -> float | None:
    """Unmatched boxes a photo where a curve first reaches a recall; None where it never does."""
    return next((point.unmatched for point in points if point.recall >= least), None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    args = _parser().parse_args(arguments)
    try:
        _run(args)
    except MaskgateError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _run(args: argparse.Namespace) -> None:
    photos = read_photos(args.data)[: args.limit]
    if not photos:
        raise ConfigError(f"{args.data} has no photo; name a COCO file with faces as --data.")
    systems = [shipped(config.load().config), *published(args.peers)]
    _make_folder(args.out)
    cv2.setNumThreads(THREADS)
    print(f"Running {len(systems)} systems over {len(photos)} photos; that takes some minutes ...", file=sys.stderr)
    times = time_systems(systems, photos[:: max(1, len(photos) // args.timed)])
    outcomes = measure(systems, photos)
    rows = [Row(system, outcomes[system.name], times[system.name]) for system in systems]
    print(report(rows, len(photos)))
    plot = args.out / "recall.png"
    draw(rows, plot)
    print(f"\nRecall against unmatched boxes: {plot}")
    if args.json:
        write_json(args.json, machine_readable(rows, args.data.name))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"Cannot write to {folder}: {error.strerror}; choose another --out.") from error


def report(rows: Sequence[Row], photos: int) -> str:
    """The tables, for people."""
    settings = "\n".join(f"* {row.system.name}: {row.system.settings}." for row in rows)
    return "\n\n".join(
        [
            f"{photos} photos; a face is found at IoU {SAME_FACE}; masks are judged on faces found of 40 px and more; "
            f"AP by pycocotools, all sizes. Times: processor time, one thread, interleaved, median, on {machine()}.",
            _main_table(rows),
            "Unmatched boxes a photo where a detector reaches that recall:\n\n" + _equal_recall_table(_detectors(rows)),
            "Settings:\n\n" + settings,
        ]
    )


def draw(rows: Sequence[Row], path: Path) -> None:
    """Plot recall against unmatched boxes a photo, a panel a size, a line a detector."""
    panels = {
        f"faces of {name}" if name != ALL_SIZES else name: {
            _detector_name(row): curve(row.outcomes, *bounds) for row in _detectors(rows)
        }
        for name, bounds in PANELS.items()
    }
    plots.trade_off(path, panels, "unmatched boxes a photo", "recall at IoU 0.3")


def machine_readable(rows: Sequence[Row], data: str) -> dict[str, Any]:
    """Every figure of the tables, JSON-ready."""
    return {
        "data": data,
        "photos": len(rows[0].outcomes),
        "iou": SAME_FACE,
        "machine": machine(),
        "versions": {"opencv": cv2.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "systems": [_row_json(row, _yardstick(rows)) for row in rows],
    }


def machine() -> str:
    """What ran this: processor, cores, system."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return f"{named[0] if named else model} ({platform.machine()}, {os.cpu_count()} cores), {platform.system()}"


def _main_table(rows: Sequence[Row]) -> str:
    head = (
        "System",
        "bare alarmed",
        "masked wrongly alarmed",
        "badly worn flagged",
        *(f"recall {name}" for name in SIZES),
        "unmatched / photo",
        "AP at IoU 0.3",
        "AP at IoU 0.5",
        "find, ms",
        f"of {YARDSTICK.partition(' +')[0]}'s",
        "find and judge, ms",
    )
    yardstick = _yardstick(rows)
    return markdown_table(head, [_cells(_row_json(row, yardstick)) for row in rows])


def _cells(row: Mapping[str, Any]) -> list[str]:
    shares = [row["bare_flagged"], row["masked_flagged"], row["incorrect_flagged"], *row["recall"].values()]
    return [
        row["system"],
        *(_three(share) for share in shares),
        f"{row['unmatched_per_photo']:.2f}",
        _three(row["ap_30"]),
        _three(row["ap_50"]),
        f"{row['ms_find']:.1f}",
        f"{row['find_ratio']:.2f}",
        "" if row["ms_find_and_judge"] is None else f"{row['ms_find_and_judge']:.1f}",
    ]


def _row_json(row: Row, yardstick: float) -> dict[str, Any]:
    found = figures(row.outcomes, SAME_FACE)._asdict()
    judged = ("bare_flagged", "masked_flagged", "incorrect_flagged")
    return {
        "system": row.system.name,
        "settings": row.system.settings,
        "threshold": row.system.threshold,
        **{name: found[name] if row.system.judges else None for name in judged},
        "recall": {name: recall(row.outcomes, *bounds).value for name, bounds in SIZES.items()},
        **{name: found[name] for name in ("unmatched_per_photo", "ap_30", "ap_50")},
        "ms_find": row.times.find,
        "find_ratio": row.times.find / yardstick,
        "ms_find_and_judge": row.times.both if row.system.judges else None,
    }


def _equal_recall_table(rows: Sequence[Row]) -> str:
    """At the recalls that maskgate reaches at its own threshold, size by size."""
    ours = next(row for row in rows if row.system.name == OURS)
    levels = {name: recall(ours.outcomes, *bounds).value for name, bounds in PANELS.items()}
    measured = {name: level for name, level in levels.items() if level is not None}
    head = ("Detector", *(f"{name}: recall {level:.3f}" for name, level in measured.items()))
    lines = [
        (
            _detector_name(row),
            *(_two(unmatched_at(curve(row.outcomes, *PANELS[name]), level)) for name, level in measured.items()),
        )
        for row in rows
    ]
    return markdown_table(head, lines)


def _detectors(rows: Sequence[Row]) -> list[Row]:
    """The first row of each detector."""
    return list({id(row.system.detector): row for row in reversed(rows)}.values())[::-1]


def _detector_name(row: Row) -> str:
    return row.system.name.partition(" +")[0]


def _yardstick(rows: Sequence[Row]) -> float:
    return next(row.times.find for row in rows if row.system.name == YARDSTICK)


def _quickest(work: Callable[[], T]) -> tuple[T, float]:
    """What some work gives, and the milliseconds of processor time of the quickest of ``LOOKS``."""
    spent = []
    for _ in range(LOOKS):
        start = time.process_time()
        given = work()
        spent.append((time.process_time() - start) * 1e3)
    return given, min(spent)


def _three(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _two(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train.evaluate.against_peers", description=__doc__.splitlines()[0])
    add: Callable[..., Any] = parser.add_argument
    add("--data", type=Path, required=True, help="a COCO file with face boxes, or a folder with a val.json")
    add("--peers", type=Path, required=True, help="the folder with the published models")
    add("--out", type=Path, default=Path("runs/peers"), help="the plot goes there (default: runs/peers)")
    add("--limit", type=int, help="only the first so many photos")
    add("--timed", type=int, default=100, help="photos to take times on (default: 100)")
    add("--json", type=Path, metavar="FILE", help="also write the figures there")
    return parser


if __name__ == "__main__":
    sys.exit(main())

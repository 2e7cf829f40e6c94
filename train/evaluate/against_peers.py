"""Measures maskgate and published models in one run: the same photos, the same matching, one thread each.

python -m train.evaluate.against_peers --data DIR/val.json --peers DIR --out runs/peers
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import cv2

from edge import config
from edge.commands.check import STILL_MAX_FACES
from edge.errors import ConfigError
from edge.runtime import open_model
from edge.values import Face, Frame, Image
from edge.vision.face_detector import Detector
from edge.vision.models import FaceEntry, MaskEntry, load_model, load_shapes
from edge.vision.pipeline import Pipeline, confirmed, open_classifier, open_detector
from train.common.matching import SAME_FACE
from train.common.terminal import run_program
from train.evaluate.measure import SWEEP_THRESHOLD, Outcome, assess
from train.evaluate.peers import THREADS, System, published
from train.evaluate.peers_report import OURS, Row, Times, draw, machine_readable, report
from train.evaluate.photos import Photo, open_photo, read_photos
from train.evaluate.report import write_json

T = TypeVar("T")


LOOKS = 3
"""Runs per photo when timing; the fastest counts, because the first prepares a network for another photo size."""


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
    """The configured int8 models, as ``maskgate check --fast`` runs them, on one thread.

    Raises:
        ModelError: A model is missing, altered or not what it should be, or no runtime can run it.
    """
    one_thread = settings.model_copy(update={"runtime": settings.runtime.model_copy(update={"threads": THREADS})})
    face, mask = load_model(settings.face.model, FaceEntry), load_model(settings.mask.model, MaskEntry)
    finds, judges = (
        open_model(one.content, settings.runtime.backend, THREADS, name=str(one.path)) for one in (face, mask)
    )
    threshold = settings.face.still_threshold
    files = load_shapes(face)
    sizes = [f"{one.entry.input.width}x{one.entry.input.height}" for one in files]
    return System(
        OURS,
        confirmed(one_thread, open_detector(one_thread, files, finds, STILL_MAX_FACES)),
        open_classifier(one_thread, mask, judges),
        threshold,
        f"photo letterboxed to {' or '.join(sizes)}, score {threshold}, NMS IoU {settings.face.nms_iou}, "
        f"doubtful faces looked at again; crops {mask.entry.margin} of the box wider on each side",
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    return run_program("train.evaluate.against_peers", _run, _parser().parse_args(arguments))


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


def _quickest(work: Callable[[], T]) -> tuple[T, float]:
    """The result of some work, and the CPU milliseconds of the fastest of ``LOOKS`` runs."""
    spent = []
    for _ in range(LOOKS):
        start = time.process_time()
        given = work()
        spent.append((time.process_time() - start) * 1e3)
    return given, min(spent)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train.evaluate.against_peers", description=__doc__.splitlines()[0])
    add: Callable[..., Any] = parser.add_argument
    add("--data", type=Path, required=True, help="a COCO file with face boxes, or a folder with a val.json")
    add("--peers", type=Path, required=True, help="folder with the published models")
    add("--out", type=Path, default=Path("runs/peers"), help="folder for the plot (default: runs/peers)")
    add("--limit", type=int, help="only the first LIMIT photos")
    add("--timed", type=int, default=100, help="photos for the timings (default: 100)")
    add("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())

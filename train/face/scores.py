"""``python -m train.face.scores``: set what the scores of a trained face detector mean, so that thresholds can stay.

A door's live video takes scores from 0.5 on, stills from 0.4 on. The logits of the scores are scaled and shifted so
that at 0.5 few photos without a face get a box, and at 0.4 as many unmatched boxes are drawn as a still may have. The
order of the scores does not change, nor does average precision.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from train.common.logistic import logit
from train.common.options import add_hold_out
from train.common.reproducible import METRICS_FILE, command, versions, write_json
from train.common.terminal import run_program

if TYPE_CHECKING:
    from train.face.data import Photo

LIVE, STILL = 0.5, 0.4
"""The scores whose meaning is set."""

FALSE_SHARE = 0.015
"""Of the photos without a face, those with a box at ``LIVE``. Training saw most of them: elsewhere it is more."""

STILL_UNMATCHED = 0.2
"""Unmatched boxes per held-out photo at ``STILL``, faces that only the teachers saw left out."""

STEPS = np.linspace(0.2, 0.9, 141)
"""Scores of the model as trained that are tried."""


class Meaning(NamedTuple):
    """The new logit of a score is ``scale`` times the old one, plus ``shift``."""

    scale: float
    shift: float


def meaning(live: float, still: float) -> Meaning:
    """What makes the score ``live`` of the model as trained ``LIVE``, and ``still`` ``STILL``.

    Raises:
        ConfigError: The first is not the higher one: the detector draws too many boxes for any threshold.
    """
    if live <= still:
        raise ConfigError(f"At a score of {still:.2f} there are too few boxes already: train the detector further.")
    scale = float((logit(LIVE) - logit(STILL)) / (logit(live) - logit(still)))
    return Meaning(scale, float(logit(LIVE) - scale * logit(live)))


def lowest(steps: NDArray[np.floating[Any]], values: Sequence[float], most: float) -> float:
    """The lowest of ``steps`` from which on the value, which falls with it, is at most ``most``.

    Raises:
        ConfigError: There is none.
    """
    good = [float(step) for step, value in zip(steps, values, strict=True) if value <= most]
    if not good:
        raise ConfigError("Too many boxes are drawn at any score: train the detector further.")
    return min(good)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the model with its new scores. Returns the exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return run_program("train.face.scores", _run, _parser().parse_args(arguments))


def _run(args: argparse.Namespace) -> None:
    from train.common.checkpoints import read_model, save_model
    from train.face.data import split_photos
    from train.face.fit import MODEL_FILE
    from train.face.photos import read_photos, read_split
    from train.face.teacher import FUSED, read_found, teach

    started = time.monotonic()
    detector = read_model(args.weights, "--weights")
    photos = [photo for path in args.data for photo in read_photos(path)]
    faces = split_photos(photos, [], args.hold_out, args.seed, read_split(args.keep_split) if args.keep_split else None)
    held = teach(faces.held_out, read_found(faces.held_out, args.teacher), FUSED)
    empty = [photo for photo in (*faces.training, *held) if not len(photo.boxes) and not len(photo.ignore)]
    if not empty:
        raise ConfigError("No photo of --data is without a face: add some, so that false boxes can be counted.")
    live = lowest(STEPS, _false_shares(empty[:: -(-len(empty) // args.most)], detector), FALSE_SHARE)
    still = lowest(STEPS, _unmatched([photo for photo in held if len(photo.boxes)], detector), STILL_UNMATCHED)
    found = meaning(live, still)
    set_meaning(detector, found)
    save_model(detector, args.out / MODEL_FILE)
    said = {"live": live, "still": still, "scale": round(found.scale, 4), "shift": round(found.shift, 4)}
    metrics = {
        "task": "face",
        "command": command("train.face.scores"),
        "seed": args.seed,
        "versions": versions(),
        "scores": said,
    }
    write_json(args.out / METRICS_FILE, {**metrics, "seconds": round(time.monotonic() - started, 1)})
    print(f"As trained {live:.3f} is now {LIVE}, {still:.3f} is now {STILL}. Wrote {args.out / MODEL_FILE}")


def set_meaning(detector: Any, chosen: Meaning) -> None:
    """Change the last layer of each stride's scores, in place."""
    from train.face.model import STRIDES

    for stride in STRIDES:
        layer = detector.get_layer(f"logit_{stride}")
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel * chosen.scale, bias * chosen.scale + chosen.shift])


def _false_shares(photos: Sequence[Photo], detector: Any) -> list[float]:
    best = np.array([max((face.score for face in faces), default=0.0) for faces in _found(photos, detector)])
    return [float(np.mean(best >= step)) for step in STEPS]


def _unmatched(photos: Sequence[Photo], detector: Any) -> list[float]:
    from train.face.figures import unmatched_boxes

    found = _found(photos, detector)
    pairs = list(zip(photos, found, strict=True))
    return [sum(unmatched_boxes(photo, faces, step) for photo, faces in pairs) / len(pairs) for step in STEPS]


def _found(photos: Sequence[Photo], detector: Any) -> list[Any]:
    from train.face.data import read_image
    from train.face.figures import detect

    _, height, width, _ = detector.input_shape
    return detect((read_image(photo.path) for photo in photos), detector.predict_on_batch, width, height)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train.face.scores", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--weights", type=Path, required=True, metavar="KERAS", help="the trained detector")
    add("--data", action="append", type=Path, required=True, metavar="COCO", help="as in the training")
    add("--teacher", type=Path, required=True, metavar="JSON", help="output of train.face.fuse, as in the training")
    add_hold_out(parser)
    add("--seed", type=int, default=7, help="as in the training (default: %(default)s)")
    add("--most", type=int, default=400, help="photos without a face to use (default: %(default)s)")
    add("--out", type=Path, default=Path("runs/face-scores"), metavar="DIR", help="default: %(default)s")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

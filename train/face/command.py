"""``python -m train face``: the face detector, from annotated photos to a Keras model with its figures."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import ConfigError
from train.common.options import add_shared, parse_draws, require_at_least

if TYPE_CHECKING:
    from train.face.data import Faces

EPILOG = """\
data:
  COCO json, pictures relative to its folder; every category counts as a face; boxes with "ignore" or "iscrowd"
  count neither way. --data may be repeated.

what is written to --out (default runs/face, which git ignores):
  face.keras        the best epoch so far on held-out photos, from the first epoch on: averaged weights,
                    RGB in [-1, 1] to score and bbox maps of strides 8, 16 and 32
  backup/           what --resume continues from; teacher.json: what the teacher found; hardness.json: how hard
                    each face was for --weights
  metrics.json      command, settings, seconds, versions, figures of every epoch; curves_*.png

examples:
  python -m train face --data faces/train.json --validation faces/val.json --teacher yunet.onnx
  python -m train face --data faces/train.json --resume           goes on where it was stopped
"""

AT_LEAST = {"epochs": 1, "batches": 1, "batch": 1, "train_size": 32, "workers": 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``python -m train face``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    _add_data(parser)
    _add_training(parser.add_argument_group("training"))
    add_shared(parser, Path("runs/face"), seed=7)


def _add_data(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", action="append", type=Path, required=True, metavar="COCO", help="photos to train on; may be repeated")
    add("--hold-out", type=float, default=0.05, help="share of --data to choose the epoch by (default: %(default)s)")
    add(
        "--teacher",
        type=Path,
        metavar="FILE",
        help="YuNet (ONNX), or the output of python -m train.face.fuse (JSON): redraws all boxes in its way, adds "
        "faces that are not annotated where it is sure, and ignores them where it is not",
    )
    add(
        "--weights",
        metavar="MODEL",
        help="what to start from: a trained face.keras, or yunet=PATH, YuNet's ONNX file (default: random weights)",
    )
    add(
        "--seek-hard",
        type=float,
        default=0.0,
        metavar="TIMES",
        help="draw a face that --weights misses this many times more often, and uncertain ones in proportion "
        "(default: 0)",
    )
    add(
        "--draw",
        action="append",
        default=[],
        metavar="SOURCE=TIMES",
        help="draw the photos of a source this many times more often; may be repeated (default: by the square root of "
        "each source's number of faces)",
    )
    add(
        "--negatives",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of photos without a face (default: each such photo counts like one with a face)",
    )


def _add_training(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--size",
        type=int,
        nargs=2,
        default=(320, 320),
        metavar=("W", "H"),
        help="model input in pixels (default: 320 320)",
    )
    add(
        "--train-size",
        type=int,
        default=320,
        help="side of the training images in pixels; a smaller one trains faster, but large faces are found less "
        "reliably (default: %(default)s)",
    )
    add("--epochs", type=int, default=16, help="default: %(default)s")
    add("--batches", type=int, default=200, help="batches per epoch (default: %(default)s)")
    add("--batch", type=int, default=8, help="images per batch (default: %(default)s)")
    add("--learning-rate", type=float, default=3e-3, help="its peak (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Train as the options say.

    Returns:
        0.

    Raises:
        ConfigError: The options or the data cannot be used.
    """
    _check(args)
    draw = parse_draws(args.draw)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from train.face.data import gather, source_weights
    from train.face.fit import Run, Settings

    settings = Settings(
        data=tuple(str(path) for path in args.data),
        teacher=args.teacher and str(args.teacher),
        weights=args.weights,
        size=(args.size[0], args.size[1]),
        train_size=args.train_size,
        epochs=args.epochs,
        batches=args.batches,
        batch=args.batch,
        learning_rate=args.learning_rate,
        hold_out=args.hold_out,
        seek_hard=args.seek_hard,
        draw=draw,
        negatives=args.negatives,
        seed=args.seed,
    )
    training = Run(settings, args.out, args.workers, args.resume, tensorboard=args.tensorboard)
    faces = gather(args.data, args.validation, args.hold_out, args.seed)
    source_weights(
        faces.training, draw=settings.draw, negatives=settings.negatives
    )  # a source that is not there is told before anybody looks
    if args.teacher:
        faces = _taught(faces, args)
    training.fit(faces)
    training.report(faces.validation)
    return 0


def _taught(faces: Faces, args: argparse.Namespace) -> Faces:
    from train.face.teacher import FUSED, YUNET, drawn_alike, look, read_found, teach

    if args.teacher.suffix == ".onnx":
        trust = YUNET
        seen, held = (
            look(part, args.teacher, args.out / "teacher.json", print) for part in (faces.training, faces.held_out)
        )
    else:
        trust = FUSED
        seen, held = (read_found(part, args.teacher) for part in (faces.training, faces.held_out))
    return replace(
        faces, training=teach(faces.training, seen, trust), held_out=drawn_alike(faces.held_out, held, trust)
    )


def _check(args: argparse.Namespace) -> None:
    require_at_least(args, AT_LEAST)
    if not 0 < args.hold_out < 1:
        raise ConfigError(f"--hold-out is {args.hold_out}: give a fraction between 0 and 1.")
    if args.seek_hard < 0 or (args.seek_hard and not args.weights):
        raise ConfigError(f"--seek-hard is {args.seek_hard}: give a number from 0 on, and the --weights it looks with.")
    if not 0 <= args.negatives < 1:
        raise ConfigError(f"--negatives is {args.negatives}: give a fraction from 0 on and below 1, such as 0.12.")
    if args.learning_rate <= 0:
        raise ConfigError(f"--learning-rate is {args.learning_rate}: give a number above 0, such as 0.003.")

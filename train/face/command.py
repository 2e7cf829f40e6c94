"""``python -m train face``: the face detector, from annotated photos to a Keras model with its figures."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import ConfigError
from train.common import accelerator, options
from train.common.checkpoints import must_exist
from train.common.dataset import FaceNames
from train.common.out_folder import check_out
from train.common.reproducible import METRICS_FILE
from train.common.start_models import SHIPPED
from train.common.terminal import say

if TYPE_CHECKING:
    from train.face.data import Faces
    from train.face.fit import Settings

EPILOG = """\
data:
  COCO .json, Pascal VOC (a folder with .xml files), YOLO (data.yaml) or a .csv with x0,y0,x1,y1. Every category counts
  as a face; boxes with "ignore" or "iscrowd" count neither way. Several data sets may be given.

what is written to --out (default runs/face, which git ignores):
  face.keras        the best epoch so far on held-out photos, from the first epoch on: averaged weights,
                    RGB in [-1, 1] to score and bbox maps of strides 8, 16 and 32
  backup/           what --resume continues from; teacher.json: what the teacher found; hardness.json: how hard
                    each face was for --weights
  metrics.json      command, settings, seconds, versions, figures of every epoch; curves_*.png
  dataset.*         the check of the photos: a table, everything found, photos with their boxes
  augmented.jpg     varied pictures as training shows them; split.json: which photos are held out

examples:
  python -m train face photos.json                                trains the shipped model further
  python -m train face --data faces/train.json --validation faces/val.json --weights none --teacher yunet.onnx
  python -m train face --data faces/train.json --resume           goes on where it was stopped
"""

FROM_SHIPPED = {"epochs": 6, "batches": 100, "learning_rate": 3e-4}
FROM_OTHERS = {"epochs": 16, "batches": 200, "learning_rate": 3e-3}
"""What is taken for options that are not given."""

RESULTS = (METRICS_FILE, "face.keras")
"""Any of which tells that a run is there."""

DISTIL_SIDE = 320
"""Of the pictures that the file of --distil takes, in pixels."""

AT_LEAST = {"epochs": 1, "batches": 1, "batch": 1, "train_size": 32, "workers": 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``python -m train face``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    options.add_face_photos(parser)
    _add_start(parser.add_argument_group("starting point and teachers"))
    _add_draws(parser.add_argument_group("which photos are drawn"))
    _add_training(parser.add_argument_group("training"))
    options.add_run(parser, Path("runs/face"), seed=7)
    options.add_reports(parser)


def _add_start(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--teacher",
        type=Path,
        metavar="FILE",
        help="YuNet (ONNX), or the output of python -m train.face.fuse (JSON): redraws all boxes in its way, adds "
        "faces that are not annotated where it is sure, and ignores them where it is not",
    )
    add(
        "--thorough",
        action="append",
        default=[],
        metavar="SOURCE",
        help="a source whose annotators left out hardly a face: what only --teacher finds there is at most ignored, "
        "never learned as a face; may be repeated (default: none)",
    )
    add(
        "--weights",
        metavar="MODEL",
        help="what to start from: shipped, a trained face.keras, yunet=PATH for the ONNX file of YuNet, or none "
        "(default: shipped)",
    )
    add(
        "--distil",
        type=Path,
        metavar="FILE",
        help="yunet_n_320.onnx: where no face is annotated, learn its scores instead of 0",
    )


def _add_draws(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--seek-hard",
        type=float,
        default=0.0,
        metavar="TIMES",
        help="draw a face that --weights misses this many times more often, and uncertain ones in proportion "
        "(default: 0)",
    )
    options.add_draw(group, "the photos", "each source's number of faces")
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
    add("--epochs", type=int, help="default: 6 from shipped, else 16")
    add("--batches", type=int, help="batches per epoch (default: 100 from shipped, else 200)")
    add("--batch", type=int, default=8, help="images per batch (default: %(default)s)")
    add("--learning-rate", type=float, help="its peak (default: 3e-4 from shipped, else 3e-3)")


def run(args: argparse.Namespace) -> int:
    """Train as the options say.

    Returns:
        0.

    Raises:
        ConfigError: The options or the data cannot be used.
    """
    _check(args)
    check_out(args.out, args.resume, RESULTS)
    draw = options.parse_draws(args.draw)
    from train.face.data import require_sources, source_weights
    from train.face.photos import gather

    faces = gather(
        args.data,
        args.validation,
        fraction=args.hold_out,
        seed=args.seed,
        out=args.out,
        names=FaceNames.parse(args.label),
        keep=args.keep_split,
    )
    # A source that is not there is told before anybody looks.
    source_weights(faces.training, draw=draw, negatives=args.negatives)
    require_sources(faces.training, args.thorough, "--thorough")
    say(accelerator.use(mixed_precision=False))
    from train.face.fit import Run

    training = Run(_settings(args, draw), args.out, args.workers, args.resume, tensorboard=args.tensorboard)
    if args.teacher:
        faces = _taught(faces, args)
    training.fit(faces)
    training.report(faces.validation)
    return 0


def _settings(args: argparse.Namespace, draw: dict[str, float]) -> Settings:
    from train.face.fit import Settings

    return Settings(
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
        keep_split=args.keep_split and str(args.keep_split),
        seek_hard=args.seek_hard,
        draw=draw,
        thorough=tuple(args.thorough),
        negatives=args.negatives,
        distil=args.distil and str(args.distil),
        seed=args.seed,
    )


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
        faces,
        training=teach(faces.training, seen, trust, args.thorough),
        held_out=drawn_alike(faces.held_out, held, trust),
    )


def _complete(args: argparse.Namespace) -> None:
    """Decide on the start and set what was not given."""
    options.require_photos(args, "python -m train face photos.json")
    args.weights = args.weights or SHIPPED
    for name, value in (FROM_SHIPPED if args.weights == SHIPPED else FROM_OTHERS).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    args.weights = None if args.weights == "none" else args.weights


def _check(args: argparse.Namespace) -> None:
    _complete(args)
    options.require_at_least(args, AT_LEAST)
    options.require_share(args, "hold_out")
    options.require_split(args)
    options.require_learning_rate(args)
    if args.seek_hard < 0 or (args.seek_hard and not args.weights):
        raise ConfigError(f"--seek-hard is {args.seek_hard}: give a number from 0 on, and the --weights it looks with.")
    if not 0 <= args.negatives < 1:
        raise ConfigError(f"--negatives is {args.negatives}: give a fraction from 0 on and below 1, such as 0.12.")
    if args.distil and args.train_size != DISTIL_SIDE:
        raise ConfigError(f"--distil needs a --train-size of {DISTIL_SIDE}, which its file is made for.")
    _check_files(args)


def _check_files(args: argparse.Namespace) -> None:
    weights = (args.weights or "").removeprefix("yunet=")
    named = {
        "--weights": "" if weights == SHIPPED else weights,
        "--teacher": args.teacher,
        "--distil": args.distil,
    }
    for option, path in named.items():
        if path:
            must_exist(Path(path), option)

"""``python -m train mask``: the mask classifier, from labelled pictures to a Keras model with its figures.

The default recipe (`train.mask.fit`) keeps three classes in the order of `edge.values.LABELS`: MobileNetV2, head first,
then the upper layers on a cosine schedule, several times from there, over views that are cut, varied and degraded alike
for all classes; the mean of the weights is kept. ``--preset report`` follows the student report instead
(`train.mask.report`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.errors import ConfigError
from train.common import accelerator, options
from train.common.checkpoints import must_exist
from train.common.out_folder import check_out
from train.common.reproducible import METRICS_FILE
from train.common.start_models import SHIPPED
from train.mask import recipe

EPILOG = """\
data layouts (several may be given and mixed):
  folders           with_mask/, without_mask/, mask_worn_incorrectly/, in any usual spelling (Mask, No Mask,
                    mask_weared_incorrect ...; others with --label), also below or above train/, val/, test/
  .csv              file,label[,source,group,split], or with boxes file,x0,y0,x1,y1,label
  COCO .json        boxes in whole photos; a category face is one whose mask state is not annotated
  Pascal VOC        a folder with .xml files; YOLO: a data.yaml, or the folder it is in
  Photos that the data keeps for validation or test are only reported on.

what is written to --out (default runs/mask, which git ignores):
  mask.keras        the members' mean with the least held-out loss so far; takes RGB in [-1, 1], gives probabilities
  last.keras        the last epoch with its optimiser; state.json, *.npz: what --resume continues from
  metrics.json      command, seed, seconds, versions and figures, after each epoch; curves*.png, confusion*.png
  views.jpg         what training shows the model; errors*.jpg: the worst errors
  tensorboard/      with --tensorboard: figures for tensorboard --logdir
  boxes.json        faces that --detector found, so that the next run need not look again
  dataset.*         the check of the photos: a table, everything found, examples of each class

examples:
  python -m train mask photos/                                    trains the shipped model further, in minutes
  python -m train mask --data faces/train.json --data masks/labels.csv --validation faces/val.json --weights imagenet
  python -m train mask --data faces/train.json --resume           goes on where it was stopped
  python -m train mask photos/ --preset report                    two folders: with_mask, without_mask
"""

IGNORED_BY_REPORT = (
    "leave_out",
    "split",
    "start_from",
    "teacher",
    "detector",
    "margin",
    "warmup_epochs",
    "patience",
    "members",
    "keep_start",
    "faces",
    "train_from",
    "no_paint",
    "validation",
    "draw",
    "hidden",
)
"""Options that mean nothing to the report's recipe."""

RESULTS = (METRICS_FILE, "state.json", "mask.keras")
"""Any of which tells that a run is there."""

AT_LEAST = {"size": 32, "epochs": 1, "faces": 1, "batch": 1, "workers": 1}
AT_LEAST |= {"warmup_epochs": 0, "members": 1, "patience": 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``python -m train mask``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    _add_data(parser)
    _add_start(parser.add_argument_group("starting point"))
    _add_model(parser.add_argument_group("model"))
    _add_training(parser.add_argument_group("training"))
    options.add_run(parser, Path("runs/mask"), seed=1)
    options.add_reports(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    options.add_photos(parser, "data sets to train on; the layouts are below")
    add(
        "--label",
        action="append",
        default=[],
        metavar="NAME=LABEL",
        help="maps a class of the data to a label, to face (state unknown) or to skip; may be repeated",
    )
    add(
        "--leave-out",
        action="append",
        default=[],
        metavar="SOURCE",
        help="a source of --data to measure on but not to train on",
    )
    add(
        "--split",
        type=int,
        default=1,
        metavar="NUMBER",
        help="which tenth is held out for calibration; use the same one for a model and its teachers "
        "(default: %(default)s)",
    )
    add(
        "--detector",
        type=Path,
        metavar="PATH|none",
        help="YuNet .onnx: finds faces in crops, and the landmarks for painted masks (default: the project's own copy)",
    )


def _add_start(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--preset", choices=("default", "report"), default="default", help="the recipe; report: the student report's")
    add(
        "--weights",
        metavar="imagenet|PATH|none",
        help="start from general image features instead (report: imagenet); needs thousands of photos",
    )
    add(
        "--start-from",
        type=Path,
        metavar="shipped|MODEL",
        help="the model to fine-tune: the shipped one, a .keras of a run, or a converted .tflite; with --hidden, a "
        "larger one (default: shipped)",
    )
    add(
        "--teacher",
        action="append",
        type=Path,
        default=[],
        metavar="MODEL",
        help="mask.keras of an earlier run, whose answers to learn; may be repeated, with other seeds",
    )


def _add_model(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--size", type=int, help="input side in pixels (default: 128; report: 224)")
    add("--width", type=float, default=1.0, help="channel multiplier of MobileNetV2 (default: %(default)s)")
    add(
        "--hidden",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="share of the channels inside the backbone's blocks to keep, by their effect in --start-from "
        "(default: %(default)s)",
    )


def _add_training(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    options.add_draw(group, "the faces", "each source's size")
    add(
        "--margin",
        type=float,
        default=0.2273,
        help="margin on each side of a face, relative to the longer side of the device's box (default: %(default)s)",
    )
    add("--epochs", type=int, help="per member, with warm-up (default: 6 from shipped, else 8; report: 20)")
    add("--warmup-epochs", type=int, help="epochs with a frozen backbone (default: 0 from shipped, else 1)")
    add("--members", type=int, help="trainings whose weights are averaged (default: 1 from shipped, else 4)")
    add(
        "--keep-start",
        type=float,
        metavar="SHARE",
        help="share of the weights after warm-up in that average (default: 0.75 from shipped, else 0.2)",
    )
    add("--faces", type=int, help="faces drawn per epoch (default: 800 from shipped, else 3200)")
    add("--batch", type=int, default=32, help="faces per batch (default: %(default)s)")
    add("--patience", type=int, metavar="EPOCHS", help="stop when the held-out loss has not fallen for EPOCHS epochs")
    add("--learning-rate", type=float, help="its peak (default: 1e-4 from shipped, else 3e-4; report: 1e-4)")
    add(
        "--train-from",
        default="block_4",
        metavar="LAYER",
        help="first backbone layer to train, or all (default: %(default)s)",
    )
    add("--no-paint", action="store_true", help="do not paint masks or hands on bare faces")
    add("--mixed-precision", action="store_true", help="compute in 16 bits on a GPU; refused if Keras sees none")


def run(args: argparse.Namespace) -> int:
    """Train as the options say.

    Returns:
        0.

    Raises:
        ConfigError: The options or the data cannot be used.
    """
    _check(args)
    check_out(args.out, args.resume, RESULTS)
    args.draw = options.parse_draws(args.draw)
    if args.mixed_precision:  # a missing GPU is told before the photos are looked at
        accelerator.use(mixed_precision=True)
    if args.preset == "report":
        from train.mask import report as mask_report

        mask_report.ReportRun(args).run()
    else:
        from train.mask.fit import Run

        Run(args).run()
    return 0


def _check(args: argparse.Namespace) -> None:
    options.require_photos(args, "python -m train mask photos/")
    if args.preset == "report":
        _refuse_ignored(args)
    recipe.complete(args)
    options.require_at_least(args, AT_LEAST)
    options.require_learning_rate(args)
    for path, option in recipe.named_models(args):
        must_exist(path, option)
    if not 0 < args.width <= 2:
        raise ConfigError(f"--width is {args.width}: give a number above 0 and up to 2, such as 0.5.")
    if not 0 <= args.margin <= 2:
        raise ConfigError(f"--margin is {args.margin}: give a fraction of the face between 0 and 2.")
    if not 0 < args.hidden <= 1 or (args.hidden < 1 and args.start_from in (None, Path(SHIPPED))):
        raise ConfigError(
            f"--hidden is {args.hidden}: give a share up to 1, and the model to take it of as --start-from."
        )
    if args.keep_start is not None and not 0 <= args.keep_start < 1:
        raise ConfigError(f"--keep-start is {args.keep_start}: give a share of at least 0 and below 1.")


def _refuse_ignored(args: argparse.Namespace) -> None:
    """Refuse options that the report's recipe would swallow."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    set_ = [name for name in IGNORED_BY_REPORT if getattr(args, name) != parser.get_default(name)]
    if set_:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in set_)
        raise ConfigError(f"--preset report does not use {named}: leave it out, or take the default recipe.")

"""``python -m train confirm``: the model that looks again at what the face model doubts."""

from __future__ import annotations

import argparse
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
    from train.confirm.fit import Settings

EPILOG = """\
The shipped face model searches the photos for whatever may be a face. Each such box is cut out, and the model learns to
tell the faces from the rest: fists, lettering, the backs of heads. A device asks it only about faces of doubtful score.

data: as for python -m train face; and the same --hold-out and --seed
hold out the same photos, as does --keep-split with the split.json of that run.

what is written to --out (default runs/confirm, which git ignores):
  confirm.keras     the best epoch so far on held-out photos, RGB in [-1, 1] to the probability of a face
  backup/           what --resume continues from
  metrics.json      command, settings, seconds, versions, figures of every epoch; curves_loss.png
  dataset.*         the check of the photos; split.json: which photos are held out

example:
  python -m train confirm --data faces/train.json --data more/negatives/train.json
"""

RESULTS = (METRICS_FILE, "confirm.keras")
"""Any of which tells that a run is there."""

AT_LEAST = {"epochs": 1, "faces": 64, "batch": 2, "size": 32, "workers": 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``python -m train confirm``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    options.add_face_photos(parser)
    add("--teacher", type=Path, metavar="JSON", help="output of python -m train.face.fuse: faces nobody annotated")
    add("--thorough", action="append", default=[], metavar="SOURCE", help="as for python -m train face")
    add(
        "--start-from", default=SHIPPED, metavar="MODEL",
        help="mask classifier whose features to start from: shipped, or a .keras file; or the confirm.keras of an "
        "earlier run, to go on from (default: %(default)s)",
    )  # fmt: skip
    add("--hidden", type=float, default=0.55, help="share of the channels inside its blocks (default: %(default)s)")
    add("--size", type=int, default=64, help="input side in pixels (default: %(default)s)")
    add("--margin", type=float, default=0.4, help="around the box, of its longer side (default: %(default)s)")
    options.add_draw(parser, "the candidates", "each source's number of candidates")
    add("--epochs", type=int, default=12, help="default: %(default)s")
    add("--faces", type=int, default=16000, help="candidates drawn per epoch (default: %(default)s)")
    add("--batch", type=int, default=64, help="candidates per batch (default: %(default)s)")
    add("--learning-rate", type=float, default=6e-4, help="its peak (default: %(default)s)")
    options.add_run(parser, Path("runs/confirm"), seed=7)


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
    from train.confirm.candidates import find
    from train.face.data import require_sources
    from train.face.photos import gather

    photos = gather(
        args.data,
        [],
        fraction=args.hold_out,
        seed=args.seed,
        out=args.out,
        names=FaceNames.parse(args.label),
        keep=args.keep_split,
    )
    require_sources(photos.training, [*args.thorough, *draw], "--thorough or --draw")
    say(accelerator.use(mixed_precision=False))
    from train.confirm.fit import Run

    training = Run(_settings(args, draw), args.out, args.workers, args.resume)
    training.fit(
        find(photos.training, args.teacher, args.thorough, closely=True),
        find(photos.held_out, args.teacher, args.thorough),
    )
    return 0


def _settings(args: argparse.Namespace, draw: dict[str, float]) -> Settings:
    from train.confirm.fit import Settings

    return Settings(
        data=tuple(str(path) for path in args.data),
        teacher=args.teacher and str(args.teacher),
        thorough=tuple(args.thorough),
        start_from=args.start_from,
        hidden=args.hidden,
        size=args.size,
        margin=args.margin,
        epochs=args.epochs,
        batches=args.faces // args.batch,
        batch=args.batch,
        learning_rate=args.learning_rate,
        hold_out=args.hold_out,
        keep_split=args.keep_split and str(args.keep_split),
        draw=draw,
        seed=args.seed,
    )


def _check(args: argparse.Namespace) -> None:
    options.require_photos(args, "python -m train confirm photos.json")
    options.require_at_least(args, AT_LEAST)
    options.require_share(args, "hold_out")
    options.require_split(args)
    options.require_share(args, "hidden", whole=True)
    options.require_learning_rate(args)
    if args.batch % 2:
        raise ConfigError(f"--batch is {args.batch}: give an even number, half of it for faces.")
    named = {"--teacher": args.teacher, "--start-from": args.start_from}
    for option, path in named.items():
        if path and str(path) != SHIPPED:
            must_exist(Path(path), option)

"""The command ``python -m train``. Keras is imported only once training begins, so that help is instant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from train.common.out_folder import disk_fault, stopped
from train.common.terminal import run_program

EPILOG = """\
Each task explains its data layouts, options and files: python -m train mask --help.

what you need:       pip install '.[train]'
where results go:    runs/mask, runs/face and runs/confirm (checkpoints every epoch; all take --resume)
what comes next:     python -m convert makes the int8 .tflite files that the device runs

examples:
  python -m train mask --data faces/train.json --data masks/labels.csv --validation faces/val.json
  python -m train mask --preset report --data dataset
  python -m train face --help
"""


def parser() -> argparse.ArgumentParser:
    """The command line of all tasks."""
    from train.confirm import command as confirm
    from train.face import command as face
    from train.mask import command as mask

    top = argparse.ArgumentParser(
        prog="python -m train",
        description="Train the models of maskgate with Keras 3 (any backend: set KERAS_BACKEND).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tasks = top.add_subparsers(dest="task", required=True, metavar="mask|face|confirm")
    for name, module, words in (
        ("mask", mask, "the classifier: with_mask, without_mask, mask_worn_incorrectly"),
        ("face", face, "the face detector"),
        ("confirm", confirm, "the confirmation: whether what the face detector doubts is a face"),
    ):
        task = tasks.add_parser(name, help=words, description=f"Train {words}.")
        module.add_arguments(task)
        task.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a training command; the exit code. An operator's error is one sentence on stderr."""
    args = parser().parse_args(argv)
    return run_program(
        "train",
        args.run,
        args,
        fault=partial(disk_fault, out=args.out),
        stopped=partial(stopped, args.out),
    )


if __name__ == "__main__":
    sys.exit(main())

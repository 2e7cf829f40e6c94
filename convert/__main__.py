"""The command ``python -m convert``. TensorFlow is imported only once a conversion begins, so that help is instant."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from edge.errors import ModelError
from train.common import accelerator
from train.common.reproducible import METRICS_FILE
from train.common.terminal import run_program

SHIPPED = Path("edge/vision/models")

EPILOG = """\
what you need:       pip install '.[train]'
what comes before:   python -m train writes runs/mask/mask.keras, runs/face/face.keras and runs/confirm/confirm.keras,
                     each with a metrics.json
what comes next:     python -m convert publish makes the converted models the shipped ones,
                     python -m convert edgetpu compiles them for Google's Edge TPU
a shipped model:     python -m convert again face makes it again from the data, by all the commands that made it
which size to train: python -m convert sizes trains and measures mask classifiers of several widths and inputs

examples:
  python -m convert face --data faces/train.json --validation faces/val.json
  python -m convert mask                          compares on the photos that the training held out
  python -m convert mask --model runs/door/mask.keras --validation check/
  python -m convert publish
  python -m convert edgetpu --report
"""

TASK_EPILOG = """\
Takes ranges from training pictures that went through the device's own preprocessing, quantizes to int8 inside, at
the input and at the outputs, and refuses what the device cannot run: another shape, an operation outside the list,
anything left in float. Then runs float and int8 through the device's own code on the validation pictures.

what is written to --output (a manifest in it lets the device run the model before it is published):
  {name}.tflite, manifest.json     the model, and what the device needs to know of it
  {name}.md                        its model card
  {name}-parity.json, .md          float against int8
"""


CONFIRM_EPILOG = """\
Quantizes to int8, then settles the rule by which a doubtful score changes: on the photos that the training held out,
and for the face model that is shipped now. After another face model was published, do both again.

what is written to --output
  confirm.tflite, manifest.json    the model, and what the device needs to know of it
  confirm.md                       its model card
  confirm-parity.json, .md         float against int8, and what the second look changes

example:
  python -m convert confirm
  python -m convert publish confirm --confirms face
"""

SIZES_EPILOG = """\
Options after -- go to python -m train mask as they are, the same for every size: --detector, --faces, --epochs, --seed.
What is finished is kept in --out, so that a second run goes on where the first was stopped.

example:
  python -m convert sizes --sizes 96 128 160 224 --weights 1=imagenet --weights 0.35=imagenet \\
      --data faces/train.json --data masks/labels.csv --validation faces/val.json -- --faces 3200 --epochs 8
"""

AGAIN_EPILOG = """\
The manifest records each command with placeholders for folders outside the project; --folder says where yours are.
Finished commands are noted in --log, and a training that was stopped is resumed: repeat the command to go on.
Hours for face, minutes for mask. Files are written where the commands say, below runs.

example:
  python -m convert again face --folder DATA=../data --folder PEERS=../peers --folder WEIGHTS=../weights
"""

EDGETPU_EPILOG = """\
Predicts for each operation whether the Edge TPU runs it, then compiles all models together with Google's
edgetpu_compiler, so that they share the Edge TPU's memory, and each alone for comparison. Refuses a result that is not
the same model or leaves too much on the CPU. docs/how-to/edgetpu.md says how to get the compiler.

what is written to --models:
  {name}_edgetpu.tflite            for the device; maskgate takes it where it finds an Edge TPU
  manifest.json                    the entry of each model names the file and its hash
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m convert",
        description="Turn a trained Keras model into the int8 .tflite file that the device runs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tasks = top.add_subparsers(dest="task", required=True, metavar="face|mask|confirm|publish|edgetpu|sizes|again")
    face = tasks.add_parser("face", help="convert the face detector")
    face.add_argument(
        "--size", type=int, nargs=2, default=(320, 320), metavar=("WIDTH", "HEIGHT"),
        help="input in pixels, multiples of 32 (default: 320 320)",
    )  # fmt: skip
    face.add_argument(
        "--shape", type=int, nargs=2, action="append", default=[], metavar=("WIDTH", "HEIGHT"),
        help="another input size for the same weights, for frames of other proportions than --size; may be repeated: "
        "320 256 for 4:3, 320 192 for 16:9",
    )  # fmt: skip
    mask = tasks.add_parser("mask", help="convert the mask classifier")
    for name, task in (("face", face), ("mask", mask)):
        _add_conversion(task, name)
    _add_confirmation(
        tasks.add_parser("confirm", help="convert the model that looks again at what the face detector doubts")
    )
    _add_publication(tasks.add_parser("publish", help="ship converted models"))
    _add_edgetpu(tasks.add_parser("edgetpu", help="compile converted models for Google's Edge TPU"))
    _add_sizes(tasks.add_parser("sizes", help="train mask classifiers of several widths and inputs, and compare them"))
    _add_again(
        tasks.add_parser("again", help="rebuild a shipped model with the commands that its manifest entry records")
    )
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a conversion command; the exit code. An operator's error is one sentence on stderr."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    args = parser().parse_args(arguments)
    args.command_line = shlex.join(["python", "-m", "convert", *arguments])
    return run_program("convert", COMMANDS.get(args.task, _convert), args)


def _convert(args: argparse.Namespace) -> int:
    if not args.model.is_file():
        photos = "photos/" if args.task == "mask" else "photos.json"
        raise ModelError(
            f"There is no trained model {args.model}: train one with make train ARGS='{args.task} {photos}', or name "
            "another with --model."
        )
    from convert.provenance import read_metrics

    read_metrics(args.metrics or args.model.with_name(METRICS_FILE), "command")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    accelerator.import_keras()
    if args.task == "face":
        from convert import face

        return face.run(args)
    if args.task == "confirm":
        from convert import confirm

        return confirm.run(args)
    from convert import mask

    return mask.run(args)


def _publish(args: argparse.Namespace) -> int:
    from convert.publish import helped, publish

    before = helped(args.target)
    names = publish(
        args.names, args.source, args.target, first_look=args.first_look, confirms=args.confirms, card=args.card
    )
    print(f"Published {' and '.join(names)} from {args.source} to {args.target}")
    after = helped(args.target)
    for name, lost in before.items():
        if name not in after:
            print(lost)
    return 0


def _edgetpu(args: argparse.Namespace) -> int:
    from convert.edgetpu import command as edgetpu

    return edgetpu.run(args)


def _sizes(args: argparse.Namespace) -> int:
    from convert import sizes

    return sizes.run(args)


def _again(args: argparse.Namespace) -> int:
    from convert import again

    return again.run(args)


COMMANDS = {"publish": _publish, "edgetpu": _edgetpu, "sizes": _sizes, "again": _again}
"""Those that need no TensorFlow in this process."""


def _add_model(task: argparse.ArgumentParser, name: str) -> None:
    task.description = f"Convert the {name} model, check it, and measure what quantization costs."
    task.epilog = TASK_EPILOG.format(name=name)
    task.formatter_class = argparse.RawDescriptionHelpFormatter
    default = Path(f"runs/{name}/{name}.keras")
    add = task.add_argument
    add("--model", type=Path, default=default, metavar="KERAS", help="trained model (default: %(default)s)")
    add("--name", type=_name, default=name, help="name of the model in the manifest (default: %(default)s)")
    add(
        "--metrics", type=Path, metavar="JSON", help="figures of its training (default: metrics.json next to the model)"
    )
    add("--output", type=Path, default=Path("runs/convert"), metavar="DIR", help="default: %(default)s")
    add("--pictures", type=_positive, default=300, help="images to calibrate the ranges on (default: %(default)s)")
    add("--seed", type=int, default=7, help="random seed (default: %(default)s)")


def _add_confirmation(task: argparse.ArgumentParser) -> None:
    _add_model(task, "confirm")
    task.epilog = CONFIRM_EPILOG


def _add_conversion(task: argparse.ArgumentParser, name: str) -> None:
    _add_model(task, name)
    add = task.add_argument
    add(
        "--data", type=Path, action="append", default=[], metavar="PATH",
        help="what it was trained on (default: as the training noted)",
    )  # fmt: skip
    add(
        "--validation", type=Path, action="append", default=[], metavar="PATH",
        help="what to compare on (default: the photos that the training held out)",
    )  # fmt: skip
    add("--anyway", action="store_true", help="also convert a model that the figures say is of no use")
    add("--cases", type=Path, metavar="JSON", help="hard cases to count by name, such as tests/hard_cases.json")
    add("--limit", type=_positive, metavar="N", help="compare on only N of the validation images (default: all)")


def _add_publication(task: argparse.ArgumentParser) -> None:
    add = task.add_argument
    add("names", nargs="*", metavar="NAME", help="face, mask, ... (default: all that were converted)")
    add("--from", type=Path, default=Path("runs/convert"), dest="source", metavar="DIR", help="default: %(default)s")
    add(
        "--card", type=Path, metavar="TEMPLATE",
        help="words of the card; convert/cards/mask.md: the story of the shipped models (default: of this model only)",
    )  # fmt: skip
    add("--to", type=Path, default=SHIPPED, dest="target", metavar="DIR", help="default: %(default)s")
    add(
        "--first-look", metavar="NAME",
        help="smaller mask model in --to that judges every face first, so that the published one is only asked where "
        "that one is unsure",
    )  # fmt: skip
    add(
        "--confirms", metavar="NAME",
        help="face model in --to whose doubts the published confirmation model looks at again",
    )  # fmt: skip


def _add_edgetpu(task: argparse.ArgumentParser) -> None:
    task.description = "Compile converted models for Google's Edge TPU, and check what came out."
    task.epilog = EDGETPU_EPILOG
    task.formatter_class = argparse.RawDescriptionHelpFormatter
    add = task.add_argument
    add("names", nargs="*", metavar="NAME", help="models that share an Edge TPU (default: face mask)")
    add("--models", type=Path, default=SHIPPED, metavar="DIR", help="folder of the manifest (default: %(default)s)")
    add("--compiler", type=Path, metavar="PROGRAM", help="default: edgetpu_compiler on the PATH")
    add("--most-on-cpu", type=_natural, default=0, metavar="N", help="operations that may stay on the CPU (default: 0)")
    add("--report", action="store_true", help="print the prediction without compiling")


def _add_sizes(task: argparse.ArgumentParser) -> None:
    task.description = "Train mask classifiers of several widths and inputs alike, and measure them as int8."
    task.epilog = SIZES_EPILOG
    task.formatter_class = argparse.RawDescriptionHelpFormatter
    add = task.add_argument
    add("--sizes", type=_positive, nargs="+", default=[96, 128, 160, 224], metavar="PX", help="default: 96 128 160 224")
    add(
        "--weights", action="append", required=True, metavar="WIDTH=PATH",
        help="a width and the weights of its backbone (imagenet, none or a file); may be repeated",
    )  # fmt: skip
    add("--data", type=Path, action="append", required=True, metavar="PATH", help="photos to train on")
    add("--validation", type=Path, action="append", required=True, metavar="PATH", help="photos to measure on")
    add("--out", type=Path, default=Path("runs/sizes"), metavar="DIR", help="default: %(default)s")
    add("training", nargs="*", metavar="-- OPTION", help="options of python -m train mask")


def _add_again(task: argparse.ArgumentParser) -> None:
    task.description = "Make a shipped model again from the data, by the commands that its manifest entry records."
    task.epilog = AGAIN_EPILOG
    task.formatter_class = argparse.RawDescriptionHelpFormatter
    add = task.add_argument
    add("name", metavar="NAME", help="face, mask, ...")
    add("--folder", action="append", default=[], metavar="NAME=PATH", help="value of a placeholder; may be repeated")
    add("--models", type=Path, default=SHIPPED, metavar="DIR", help="folder of the manifest (default: %(default)s)")
    add("--log", type=Path, default=Path("runs"), metavar="DIR", help="where progress is stored (default: %(default)s)")


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below 0")
    return number


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not made of small letters, digits and hyphens")
    return text


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


if __name__ == "__main__":
    sys.exit(main())

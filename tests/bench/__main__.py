"""Measures what maskgate costs, and what others cost beside it, and prints tables: ``make bench``."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np

from edge.errors import MaskgateError
from tests.bench.results import Options, Section
from train.evaluate.peers_report import machine

SECTIONS = {
    "peers": "against the report's pipeline and published models, on the same pictures",
    "overhead": "the pipeline's time over that of the bare models",
    "start": "process start to the first verdict, and the slowest imports",
    "memory": "of the whole process, and whether it grows",
    "idle": "processor time at an empty door and at a busy one, and how soon it wakes",
    "scaling": "people, picture sizes, threads, clients of the screens, rows in the store",
    "budget": "multiply-accumulates, instructions, an estimate for boards",
    "people": "how well people are followed and counted, and what that costs",
    "web": "what those who look at the screens cost the loop",
    "counts": "what counting writes to an SD card",
}
EXAMPLES = """\
sections:
{sections}

examples:
  make bench                                     everything: about 15 minutes
  make bench ARGS='overhead idle'                these two
  make bench ARGS=--quick                        a minute: whether it works, not how fast it is
  make bench PEERS=peers/ DATA=faces/val.json    with the published models and your own photos

Each comparison takes turns in one run, so that whatever else the machine does falls on all alike. Figures are medians
with the middle half. Times are of this machine and of no other; compare ratios.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen sections; returns the exit code."""
    args = _parser().parse_args(arguments)
    options = Options(args.out, args.quick, args.peers, args.weights, args.data)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"Cannot write to {options.out}: {error.strerror}; choose another --out.", file=sys.stderr)
        return 2
    print(f"On {machine()}.\n")
    said = {
        "machine": machine(),
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "quick": options.quick,
        "versions": {"python": platform.python_version(), "opencv": cv2.__version__, "numpy": np.__version__},
        "sections": {},
    }
    for name in args.sections or SECTIONS:
        print(f"{name}: {SECTIONS[name]} ...", file=sys.stderr, flush=True)
        begin = time.monotonic()
        try:
            section = importlib.import_module(f"tests.bench.{name}").run(options)
        except MaskgateError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return error.exit_code
        _print(name, section)
        said["sections"][name] = {**section.data, "notes": section.notes, "seconds": round(time.monotonic() - begin, 1)}
        (options.out / "bench.json").write_text(json.dumps(said, indent=2) + "\n", "utf-8")
    print(f"The same for programs: {options.out / 'bench.json'}")
    return 0


def _print(name: str, section: Section) -> None:
    print(f"## {name}\n")
    for table in section.tables:
        print(f"{table}\n")
    for note in section.notes:
        print(f"{note}\n")
    for path in section.plots:
        print(f"Plot: {path}")
    print(flush=True)


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:10} {about}" for name, about in SECTIONS.items())
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=__doc__,
        epilog=EXAMPLES.format(sections=listed),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", type=_section, help="what to measure (default: all)")
    parser.add_argument("--quick", action="store_true", help="few rounds: tests that it works, not how fast it is")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder for plots and JSON (%(default)s)")
    parser.add_argument("--peers", type=Path, help="folder with the published models; without it they are left out")
    parser.add_argument("--weights", type=Path, help="ImageNet weights of the report's model (default: random)")
    parser.add_argument("--data", type=Path, help="a COCO file with photos, or a folder with a val.json")
    return parser


def _section(name: str) -> str:
    if name not in SECTIONS:
        raise argparse.ArgumentTypeError(f"there is no section {name!r}; there are: {', '.join(SECTIONS)}")
    return name


if __name__ == "__main__":
    sys.exit(main())

"""Try to kill maskgate: every fault is injected into a running daemon, which must come out of it by itself.

A line is printed as soon as its fault has been tried; ``!`` marks one that was not survived. All of it is also written
as JSON. The long form takes about an hour; nothing else of weight should run meanwhile. The short form, for CI, takes
about two minutes. Network traffic stays on this machine.

    make soak                               everything, at length
    make soak ARGS=--short                  everything that is quick, once
    make soak ARGS='--only camera'          one group, or every fault with that word in its name
    make soak ARGS='--only frames --frames 2000000'
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edge.cli import INTERRUPTED
from tests.soak.faults import FAULTS, Fault, forget_compiled
from tests.soak.report import HEADING, Line, row, write

GROUPS = {
    "camera": "cameras",
    "power": "power",
    "disk": "disks",
    "network": "network",
    "machine": "machine",
    "frames": "frames",
}
"""What fails, in the order of the table, and the module of this folder with its faults."""
SHORT_FRAMES, LONG_FRAMES = 80_000, 2_000_000
AT_ONCE = 4


def main() -> int:
    """The exit code: 0 where everything that was tried was survived, 1 where not."""
    for name in GROUPS.values():
        importlib.import_module(f"tests.soak.{name}")
    args = _arguments()
    in_order = sorted(FAULTS, key=lambda one: list(GROUPS).index(one.group))
    chosen = [one for one in in_order if _wanted(one, args.only) and (one.short if args.short else one.long)]
    if args.list:
        for one in chosen:
            print(f"{one.group:8} {one.name:44} {one.short if args.short else one.long:5} times")
        return 0
    if not chosen:
        print(f"maskgate soak: no fault has {args.only!r} in its name; --list shows them.", file=sys.stderr)
        return 2
    frames = args.frames or (SHORT_FRAMES if args.short else LONG_FRAMES)
    print(HEADING, flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began, lines = time.monotonic(), []
    try:
        for line in _try_all(chosen, args.short, args.seed, frames, args.jobs):
            lines.append(line)
            print(row(line), flush=True)
    except KeyboardInterrupt:
        print("Stopped before the end.", file=sys.stderr)
        return INTERRUPTED
    finally:
        forget_compiled()
    seconds = round(time.monotonic() - began)
    path = write(lines, args.output, form="short" if args.short else "long", seed=args.seed, seconds=seconds)
    survived, tried = sum(line.survived for line in lines), sum(line.tried for line in lines)
    print(f"\nSurvived {survived} of {tried} in {seconds} s. Written to {path}.")
    return 0 if all(line.well for line in lines) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="quick faults only, once each")
    parser.add_argument("--only", metavar="WORD", default="", help="a group, or part of a fault's name")
    parser.add_argument("--list", action="store_true", help="list what would be tried, and how often")
    parser.add_argument(
        "--frames", type=int, metavar="N", help=f"of the simulated day ({LONG_FRAMES:,}; short {SHORT_FRAMES:,})"
    )
    parser.add_argument("--seed", type=int, default=1, help="random seed (%(default)s)")
    parser.add_argument("--jobs", type=int, default=AT_ONCE, help="faults to try in parallel (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("build/soak"), help="folder for the JSON (%(default)s)")
    return parser.parse_args()


def _wanted(one: Fault, word: str) -> bool:
    return word == one.group or word in one.name


def _try_all(chosen: Sequence[Fault], short: bool, seed: int, frames: int, jobs: int) -> Iterator[Line]:
    """Each fault's line, in order; those that may, share the machine."""
    pool = ThreadPoolExecutor(jobs)
    try:
        yield from pool.map(lambda one: one.run(short, seed, frames), [one for one in chosen if not one.alone])
    finally:
        pool.shutdown(cancel_futures=True)
    for one in chosen:
        if one.alone:
            yield one.run(short, seed, frames)


if __name__ == "__main__":
    sys.exit(main())

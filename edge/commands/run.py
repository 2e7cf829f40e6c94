"""The arguments of ``maskgate run``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from edge.cameras.sources import explained

if TYPE_CHECKING:
    from edge.config import Settings

SUMMARY = "watch a door, or play a recording"
ABOUT = (
    "Watch a door through a camera until Ctrl-C, or play a recording to its end: find faces, judge "
    "masks, alert and count."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        dest="camera.source",
        metavar="S",
        help=explained(),
    )
    parser.add_argument("--port", dest="web.port", metavar="N", help="serve the pages on this port (default: 8080)")
    parser.add_argument(
        "--host", dest="web.host", metavar="ADDRESS", help="serve the pages on this address (default: 127.0.0.1)"
    )
    parser.add_argument(
        "--loop",
        dest="camera.loop",
        action="store_const",
        const=True,
        help="repeat a recording or the demo at its own pace until Ctrl-C",
    )
    parser.add_argument("--window", action="store_true", help="show the live picture; q quits (needs opencv-python)")
    parser.add_argument("--events", metavar="FILE", help="write events as JSON Lines to FILE; - is standard output")
    parser.add_argument("--max-frames", type=_count, metavar="N", help="stop after N frames")
    parser.add_argument(
        "--realtime", action="store_true", help="play a recording at its own pace instead of as fast as possible"
    )
    parser.add_argument(
        "--wait",
        action="store_true",
        help="wait for a missing camera instead of an error or the demo clip (for a service)",
    )
    parser.add_argument(
        "--count",
        dest="counts.recordings",
        action="store_const",
        const=True,
        help="also count visits in a recording or the demo",
    )
    parser.add_argument("--quiet", action="store_true", help="print only warnings")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Watch the door, and return the exit code."""
    from edge.door import wiring as daemon

    options = daemon.Options(
        events=args.events,
        max_frames=args.max_frames,
        realtime=args.realtime,
        wait=args.wait,
        window=args.window,
        quiet=args.quiet,
    )
    return daemon.run(settings, options)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)

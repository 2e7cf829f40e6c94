"""``maskgate bench``: the time per frame on this machine, with the configured models and runtime.

maskgate bench
maskgate bench --seconds 30 --json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

from edge.board import model_name, slowed_by
from edge.cameras import InputSize
from edge.cameras.demo import DEMO_CLIP
from edge.cameras.video import VideoFile
from edge.clock import SystemClock
from edge.config import Settings
from edge.people import PeopleTracker
from edge.sinks.counts import store_path
from edge.spread import Spread
from edge.values import Frame, Image
from edge.vision.pipeline import Live, Pipeline, load_pipeline
from edge.vision.preprocess import shrunk

SUMMARY = "measure the speed of this machine"
ABOUT = "Play the demo clip through the configured models, and report how long each step takes on this machine."

WARM_UP = 2.0
"""Warm-up in seconds: caches fill, CPUs clock up, an Edge TPU is opened."""
KEPT = 150
"""Frames of the demo clip that are repeated; more would only take memory."""


@dataclass(slots=True)
class Times:
    """Milliseconds per image, or of ``judge`` a face, in the order in which they were taken."""

    find: list[float] = field(default_factory=list)
    judge: list[float] = field(default_factory=list)
    follow: list[float] = field(default_factory=list)
    frame: list[float] = field(default_factory=list)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=_seconds, default=10.0, help="seconds to measure (default: 10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Measure, print, and return the exit code.

    Raises:
        ModelError: The models cannot be used.
    """
    config = settings.config
    clock = SystemClock()
    pipeline = load_pipeline(config, live=Live(clock, store_path(config.counts).parent))
    out, err = sys.stdout, sys.stderr
    print(f"Playing the demo clip for {WARM_UP + args.seconds:g} s ...", file=err, flush=True)
    frames = list(_demo(pipeline.input_size))
    try:
        measure(pipeline, PeopleTracker(config.people), frames, WARM_UP)
        times = measure(pipeline, PeopleTracker(config.people), frames, args.seconds)
        said = report(pipeline, times, frames[0].image)
    finally:
        pipeline.close()
    print(json.dumps(said) if args.json else _table(said), file=out)
    return 0


def measure(pipeline: Pipeline, people: PeopleTracker, frames: Sequence[Frame], seconds: float) -> Times:
    """Play frames over and over, as the loop at the door does, and time each stage.

    Args:
        pipeline: Finds and judges.
        people: Says whom to judge.
        frames: At their own times.
        seconds: For how long; the last frame is finished.
    """
    times = Times()
    end = time.perf_counter() + seconds
    lasts = frames[-1].captured_at + frames[1].captured_at - frames[0].captured_at
    for number, frame in enumerate(cycle(frames)):
        if time.perf_counter() >= end:
            break
        height, width = frame.image.shape[:2]
        at = frame.captured_at + number // len(frames) * lasts
        begin = time.perf_counter()
        faces = pipeline.detect(frame)
        found = time.perf_counter()
        plan = people.match(faces, at, (width, height))
        chosen = time.perf_counter()
        readings = pipeline.judge(frame.image, plan.to_judge)
        judged = time.perf_counter()
        people.update(plan, readings)
        done = time.perf_counter()
        times.find.append((found - begin) * 1e3)
        if readings:
            times.judge.append((judged - chosen) * 1e3 / len(readings))
        times.follow.append((chosen - found + done - judged) * 1e3)
        times.frame.append((done - begin) * 1e3)
    return times


def report(pipeline: Pipeline, times: Times, image: Image) -> dict[str, Any]:
    """Every figure, JSON-ready."""
    stages = {"find": times.find, "judge": times.judge, "follow": times.follow, "frame": times.frame}
    spreads = {name: Spread.of(values) for name, values in stages.items() if len(values) > 1}
    return {
        "board": model_name(),
        "runtime": "Edge TPU" if pipeline.accelerated else pipeline.runtime,
        "width": image.shape[1],
        "height": image.shape[0],
        "frames": len(times.frame),
        "fps": round(len(times.frame) / sum(times.frame) * 1e3, 1),
        "ms": {
            name: {"median": round(one.median, 3), "p10": round(one.low, 3), "p90": round(one.high, 3)}
            for name, one in spreads.items()
        },
        "troubles": [
            *([pipeline.trouble] if pipeline.trouble else []),
            *(f"The board slows itself down ({cause}); see maskgate doctor." for cause in slowed_by()),
        ],
    }


def _table(said: dict[str, Any]) -> str:
    words = {
        "find": "find the faces of a picture",
        "judge": "judge a face",
        "follow": "follow people",
        "frame": "all of a picture",
    }
    lines = [f"{said['board']}, {said['runtime']}, {said['width']}x{said['height']}, {said['frames']} pictures"]
    lines += [f"{'milliseconds':28} {'median':>8} {'a tenth below':>14} {'a tenth above':>14}"]
    lines += [
        f"{text:28} {one['median']:8.2f} {one['p10']:14.2f} {one['p90']:14.2f}"
        for text, one in ((words[name], one) for name, one in said["ms"].items())
    ]
    lines += [f"{said['fps']:.0f} frames per second, without decoding."]
    return "\n".join([*lines, *said["troubles"]])


def _demo(input_size: InputSize) -> Iterator[Frame]:
    """The first pictures of the demo clip, with what a camera's own thread makes of them."""
    clip = VideoFile(DEMO_CLIP, "demo")
    try:
        while (frame := clip.read()) and frame.sequence < KEPT:
            height, width = frame.image.shape[:2]
            yield replace(frame, small=shrunk(frame.image, *input_size(width, height)))
    finally:
        clip.close()


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error
    if not 0.1 <= value <= 3600:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{text} is not from 0.1 to 3600")
    return value

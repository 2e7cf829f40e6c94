"""``maskgate run`` with people made of numbers in front of it: ``python -m tests.soak.simulated [OPTIONS] run ...``.

The command, the loop, the tracker, the store, the screens and MQTT are the real ones. The camera shows an empty
picture, and the readings of ``tests.stand_ins.simulate`` take the place of the two models: a frame costs what the loop
around the models costs. Scene time passes as fast as frames are taken, at a given multiple of real time, or with it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edge import cli
from edge.cameras.choose import Choice
from edge.clock import Clock, SystemClock
from edge.door import wiring as daemon
from edge.sinks.counts import database, keeper
from edge.values import Face, Frame, Image, Reading, StageTimes
from tests.stand_ins.simulate import HEIGHT, WIDTH, Faults, Scene, Walker

PROGRAM = ("-m", "tests.soak.simulated")
FPS = 20.0
FRAMES_A_VISIT = 160
"""Fewer than a walker takes on average, so that there are walkers enough for a number of frames."""
PICTURES = 8
GAP = 3.0
"""Seconds between two walkers of a procession: more than a visit's end takes."""


class Procession(Scene):
    """Walkers one after another, so that every one of them can be seen and there is no doubt about the true count."""

    def _walker(self, number: int, start: float) -> Walker:
        return super()._walker(number, max(start, self.walkers[-1].end + GAP) if self.walkers else start)


def procession(frames: int, seed: int) -> Procession:
    """A procession that fills so many frames: missed detections and wrong readings, no boxes where nobody is."""
    faults = Faults(missed=0.1, wrong=0.05, jitter=0.03, false_boxes=0.0)
    return Procession(frames // FRAMES_A_VISIT + 2, faults, FPS, arrivals=1e9, seed=seed)


class SceneClock:
    """Shows the time of the newest frame, counted from the start of the process."""

    def __init__(self) -> None:
        self._begun = datetime.now(timezone.utc)
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at

    def now(self) -> datetime:
        return self._begun + timedelta(seconds=self.at)


@dataclass
class Stage:
    """A camera and a pipeline in one, that play a scene.

    Attributes:
        scene: What is played.
        rate: Scene seconds a second; 0 for as fast as it goes; None to leave the pace to the machine's clock.
        clock: Set to each frame's time, where it is a scene's.
    """

    scene: Iterator[tuple[float, list[Reading], list[int | None]]]
    rate: float | None
    clock: Clock

    name = "a simulated door"
    live = False
    runtime = "simulated readings"
    times = StageTimes()
    trouble: str | None = None
    accelerated: bool | None = None

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        self._pictures: list[Image] = [
            np.full((HEIGHT, WIDTH, 3), rng.integers(60, 200), np.uint8) for _ in range(PICTURES)
        ]
        self._readings: dict[Face, Reading] = {}
        self._begun = time.monotonic()
        self._frames = 0

    def read(self) -> Frame | None:
        following = next(self.scene, None)
        if following is None:
            return None
        at, readings, _ = following
        self._readings = {reading.face: reading for reading in readings}
        if self.rate:
            time.sleep(max(0.0, self._begun + at / self.rate - time.monotonic()))
        if isinstance(self.clock, SceneClock):
            self.clock.at = at
        self._frames += 1
        return Frame(self._pictures[self._frames % PICTURES], at, self._frames - 1)

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def detect(self, frame: Frame) -> list[Face]:
        return list(self._readings)

    def judge(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        return [self._readings[face] for face in faces]

    def close(self) -> None:
        """Nothing is held."""


def set_the_stage(scene: Scene, rate: float | None) -> None:
    """Let the next ``maskgate run`` of this process watch ``scene``."""
    clock: Clock = SystemClock() if rate is None else SceneClock()
    stage = Stage(iter(scene), rate, clock)
    replaced: dict[str, Any] = {
        "open_camera": lambda settings, clock, size: Choice(stage, lambda: stage, ()),
        "load_pipeline": lambda config, live: stage,
        "SystemClock": lambda: clock,
    }
    vars(daemon).update(replaced)


def acknowledge(path: Path) -> None:
    """Write into ``path``, after each commit of the store, how many visits it holds, and commit often."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    transaction: Callable[..., None] = database.transaction

    def and_tell(connection: Any, work: Callable[..., None]) -> None:
        transaction(connection, work)
        (visits,) = connection.execute("SELECT COUNT(*) FROM visits").fetchone()
        os.write(file, b"%d\n" % visits)

    database.transaction = and_tell
    keeper.COUNTS_EVERY = 0.002


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000, help="that the scene fills at least (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the scene (%(default)s)")
    parser.add_argument("--crowd", action="store_true", help="people at random, not one after another")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--rate", type=float, default=0.0, help="scene seconds a second; 0: as fast as it goes")
    pace.add_argument("--real-time", action="store_true", help="on the machine's own clock")
    parser.add_argument("--acks", type=Path, help="file that is told of every commit")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="run, with its arguments")
    args = parser.parse_args()
    if args.crowd:
        scene: Scene = Scene(args.frames // 50, fps=FPS, arrivals=0.4, seed=args.seed)
    else:
        scene = procession(args.frames, args.seed)
    set_the_stage(scene, None if args.real_time else args.rate)
    if args.acks:
        acknowledge(args.acks)
    return cli.main(args.command)


if __name__ == "__main__":
    sys.exit(main())

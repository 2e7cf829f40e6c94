"""What an empty doorway costs beside a busy one, and how soon whoever comes is found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import cycle

import numpy as np

from edge.alerts.none import NoAlert
from edge.alerts.policy import AlertPolicy
from edge.cameras.source import LatestFrame
from edge.clock import SystemClock
from edge.control import Commands
from edge.door.loop import Door
from edge.door.motion import MotionGate
from edge.people import PeopleTracker
from edge.sinks.together import Sinks
from edge.values import Face, Frame, Image
from edge.vision.pipeline import Pipeline, load_pipeline
from tests.bench.results import Options, Quartiles, Section, Table, ratios
from tests.bench.scenes import crowds, demo, loaded, settings, with_nobody

FPS = 30
NOISE = 3.0
"""Standard deviation of a sensor's noise, in grey levels."""


class Played:
    """A live camera that shows pictures over and over at 30 frames a second."""

    name, live = "played", True

    def __init__(self, images: Sequence[Image]) -> None:
        self._images = cycle(images)
        self._next = time.monotonic()
        self._sequence = 0

    def read(self) -> Frame:
        self._next = max(self._next + 1 / FPS, time.monotonic() - 1 / FPS)
        time.sleep(max(0.0, self._next - time.monotonic()))
        self._sequence += 1
        return Frame(next(self._images), time.monotonic(), self._sequence)

    def close(self) -> None:
        """Nothing is held."""


class Watched:
    """A pipeline that notes when it first found somebody."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.runtime, self.trouble, self.accelerated = pipeline.runtime, pipeline.trouble, pipeline.accelerated
        self.judge, self.close, self.input_size = pipeline.judge, pipeline.close, pipeline.input_size
        self.looks, self.found_at = 0, 0.0

    @property
    def times(self) -> object:
        return self._pipeline.times

    def detect(self, frame: Frame) -> list[Face]:
        faces = self._pipeline.detect(frame)
        self.looks += 1
        self.found_at = self.found_at or (time.monotonic() if faces else 0.0)
        return faces


def run(options: Options) -> Section:
    """Spells of an empty and of a busy door, in turn."""
    pipeline = load_pipeline(settings())
    empty = grainy(with_nobody(pipeline))
    busy = [frame.image for frame in demo() if pipeline.detect(frame)]
    spells = {
        "busy (demo clip, one or two people)": (busy, True),
        "busy (ten people)": (grainy(crowds(pipeline, [10])[0]), True),
        "empty, every picture looked at": (empty, False),
        "empty, as shipped": (empty, True),
    }
    seconds = options.some(8, 1)
    shares: dict[str, list[float]] = {name: [] for name in spells}
    looks: dict[str, list[float]] = {name: [] for name in spells}
    for _ in range(options.some(5, 1)):
        for name, (images, gated) in spells.items():
            share, rate = spell(pipeline, images, gated, seconds)
            shares[name].append(100 * share)
            looks[name].append(rate)
    delays = [wake_up(pipeline, empty, busy) for _ in range(options.some(20, 2))]
    return _section(shares, looks, delays)


def _section(shares: dict[str, list[float]], looks: dict[str, list[float]], delays: list[float]) -> Section:
    """What was measured, as tables and for programs; ``shares`` in per cent of a core, ``delays`` in milliseconds."""
    first = next(iter(shares))
    rows = [
        (
            name,
            Quartiles.of(shares[name]).told(1),
            f"{Quartiles.of(looks[name]).median:.0f}",
            ratios(shares[name], shares[first]).told(),
        )
        for name in shares
    ]
    head = ("door", "CPU, % of a core", "searches per second", "relative to the first row")
    spells = Table(f"A camera of 640x480 at {FPS} frames per second, in memory, without decoding:", head, rows)
    wake_ups = Table(
        "From the first frame of somebody at an empty door to the detected face:",
        ("tries", "median, ms", "longest, ms"),
        [(str(len(delays)), f"{Quartiles.of(delays).median:.0f}", f"{max(delays):.0f}")],
    )
    section = Section([spells, wake_ups])
    section.data = {
        "cpu_percent": {name: Quartiles.of(values).json() for name, values in shares.items()},
        "of_busy": {name: ratios(shares[name], shares[first]).json() for name in shares},
        "wake_ms": {"median": Quartiles.of(delays).median, "longest": max(delays), "tried": len(delays)},
    }
    return section


def grainy(image: Image, pictures: int = 30) -> list[Image]:
    """The same view with a sensor's noise, different each time."""
    rng = np.random.default_rng(0)
    return [np.clip(image + rng.normal(0, NOISE, image.shape), 0, 255).astype(np.uint8) for _ in range(pictures)]


def spell(pipeline: Pipeline, images: Sequence[Image], gated: bool, seconds: float) -> tuple[float, float]:
    """Share of one core that the whole process takes, and looks for faces a second."""
    watched = Watched(pipeline)
    door, source = _door(Played(images), watched, gated, round(seconds * FPS))
    begin, spent = time.monotonic(), time.process_time()
    door.run()
    spent, passed = time.process_time() - spent, time.monotonic() - begin
    source.close()
    return spent / passed, watched.looks / passed


def wake_up(pipeline: Pipeline, empty: Sequence[Image], busy: Sequence[Image]) -> float:
    """Milliseconds from the first picture with somebody to their face found."""
    nobody = np.random.default_rng().integers(FPS, FPS + 8)
    camera = Played([*(image for image, _ in zip(cycle(empty), range(nobody), strict=False)), *busy[:60]])
    watched = Watched(pipeline)
    arrivals: list[float] = []
    read = camera.read

    def noting() -> Frame:
        frame = read()
        if frame.sequence == nobody + 1:
            arrivals.append(frame.captured_at)
        return frame

    camera.read = noting  # type: ignore[method-assign]
    door, source = _door(camera, watched, True, int(nobody) + 20)
    door.run()
    source.close()
    return (watched.found_at - arrivals[0]) * 1e3


def _door(camera: Played, pipeline: Watched, gated: bool, frames: int) -> tuple[Door, LatestFrame]:
    clock, config, commands = SystemClock(), settings(), Commands()
    source = LatestFrame(
        camera, lambda: camera, clock, stale_after=3.0, reopen_after=1.0, input_size=pipeline.input_size
    )
    door = Door(
        source=source,
        pipeline=pipeline,  # type: ignore[arg-type]
        people=PeopleTracker(config.people),
        alerts=AlertPolicy(config.alerts, NoAlert("a benchmark"), clock),
        sinks=Sinks([], commands),
        clock=clock,
        commands=commands,
        settings=loaded(),
        max_frames=frames,
        gate=MotionGate(config.face.idle_every) if gated else None,
    )
    return door, source

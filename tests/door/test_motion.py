"""An empty doorway is looked at now and then; a person who comes is looked at in the first picture that shows them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.alerts.none import NoAlert
from edge.alerts.policy import AlertPolicy
from edge.cameras.demo import DEMO_CLIP
from edge.cameras.recording import Recording
from edge.cameras.video import VideoFile
from edge.config import Config, MaskSettings, Settings
from edge.control import Commands
from edge.door.loop import Door, Judge
from edge.door.motion import MotionGate
from edge.people import PeopleTracker
from edge.sinks import Sink
from edge.sinks.counts import CountStore
from edge.sinks.counts.keeper import CountKeeper
from edge.sinks.together import Sinks
from edge.values import BBox, Event, Face, Frame, Image, Reading, StageTimes
from edge.vision.pipeline import load_pipeline
from edge.vision.preprocess import shrunk
from tests.stand_ins.clock import ManualClock

FPS = 30
IDLE_EVERY = 0.15
WALL = np.random.default_rng(0).integers(60, 200, (480, 640, 3), np.uint8)


def noisy(image: Image, seed: int, deviation: float = 4.0) -> Image:
    grain = np.random.default_rng(seed).normal(0, deviation, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def looked_at(images: Sequence[Image], occupied: bool = False) -> list[float]:
    """When a gate let pictures through, in seconds."""
    gate = MotionGate(IDLE_EVERY)
    frames = [Frame(image, number / FPS, number) for number, image in enumerate(images)]
    return [frame.captured_at for frame in frames if gate.opens(frame, occupied)]


# What is let through


@pytest.mark.slow
def test_still_doorways_are_looked_at_rarely() -> None:
    opened = looked_at([noisy(WALL, seed) for seed in range(3 * FPS)])
    assert len(opened) <= 3 / IDLE_EVERY + 1
    assert max(b - a for a, b in pairwise(opened)) <= 0.2


def test_slow_light_is_no_motion() -> None:
    dusk = [np.clip(WALL.astype(int) - second // 3, 0, 255).astype(np.uint8) for second in range(3 * FPS)]
    assert len(looked_at(dusk)) <= 3 / IDLE_EVERY + 1


@given(x=st.integers(0, 616), y=st.integers(0, 456), side=st.integers(24, 200), lighter=st.booleans())
@settings(max_examples=40, deadline=None)
def test_newcomers_are_looked_at_at_once(x: int, y: int, side: int, lighter: bool) -> None:
    gate = MotionGate(IDLE_EVERY)
    assert gate.opens(Frame(WALL, 0.0, 0), False)
    somebody = WALL.astype(int)
    somebody[y : y + side, x : x + side] += 25 if lighter else -25
    assert gate.opens(Frame(somebody.astype(np.uint8), 1 / FPS, 1), False)


def test_occupied_doors_look_at_every_frame() -> None:
    assert len(looked_at([WALL] * 20, occupied=True)) == 20


def test_unnoticed_people_are_found_soon() -> None:
    opened = looked_at([WALL] * 60)
    assert max(b - a for a, b in pairwise(opened)) <= 0.2


@pytest.mark.parametrize("other", [WALL[:240, :320], WALL[:, :480]], ids=["smaller", "narrower"])
def test_another_picture_size_is_searched(other: Image) -> None:
    gate = MotionGate(IDLE_EVERY)
    gate.opens(Frame(WALL, 0.0, 0), False)
    assert gate.opens(Frame(other, 0.01, 1), False)


def test_a_clock_set_back_is_harmless() -> None:
    gate = MotionGate(IDLE_EVERY)
    gate.opens(Frame(WALL, 1000.0, 0), False)
    assert gate.opens(Frame(WALL, 1.0, 1), False)


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (700, 3), (1080, 1920)])
def test_pictures_of_any_shape_are_compared(shape: tuple[int, int]) -> None:
    gate = MotionGate(IDLE_EVERY)
    dark, light = np.zeros((*shape, 3), np.uint8), np.full((*shape, 3), 200, np.uint8)
    gate.opens(Frame(dark, 0.0, 0), False)
    assert not gate.opens(Frame(dark, 0.01, 1), False)
    assert gate.opens(Frame(light, 0.02, 2), False)


def test_the_small_picture_agrees() -> None:
    gate = MotionGate(IDLE_EVERY)
    darker = WALL.copy()
    darker[200:260, 300:340] //= 2
    for number, (image, expected) in enumerate(((WALL, True), (WALL, False), (darker, True))):
        assert gate.opens(Frame(image, number / 100, number, shrunk(image, 320, 320)), False) is expected


# At the door


class Somebody:
    """A pipeline that finds a masked face in pictures that are not dark, and counts how often it is asked."""

    times = StageTimes()
    runtime = "made for this test"
    trouble: str | None = None
    accelerated: bool | None = None

    def __init__(self) -> None:
        self.looks = 0

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def configure(self, settings: MaskSettings) -> None:
        """Nothing depends on them."""

    def detect(self, frame: Frame) -> list[Face]:
        self.looks += 1
        return [Face(BBox(200, 100, 280, 200), 0.9)] if frame.image[0, 0, 0] > 50 else []

    def judge(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        return [Reading(face, (0.9, 0.05, 0.05)) for face in faces]

    def close(self) -> None:
        """Nothing is held."""


class Scripted:
    """A camera that shows what it is told, at 30 frames a second."""

    name, live = "scripted", False

    def __init__(self, images: Sequence[Image]) -> None:
        self._frames = deque(Frame(image, number / FPS, number) for number, image in enumerate(images))

    def read(self) -> Frame | None:
        return self._frames.popleft() if self._frames else None

    def close(self) -> None:
        """Nothing is held."""


class Telling(Sink):
    """Remembers what it was told, and counts the frames."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.frames = 0

    def tell(self, events: Sequence[Event]) -> None:
        self.told += events

    def frame(self, times: object) -> None:
        self.frames += 1


def watch(
    camera: Scripted | VideoFile, pipeline: Judge, gate: MotionGate | None, *others: Sink
) -> tuple[Door, Telling]:
    """Play a scene to its end."""
    clock, sink, commands = ManualClock(), Telling(), Commands()
    door = Door(
        source=Recording(camera, clock, False, commands.stopped),
        pipeline=pipeline,
        people=PeopleTracker(Config().people),
        alerts=AlertPolicy(Config().alerts, NoAlert("a test"), clock),
        sinks=Sinks([sink, *others], commands),
        clock=clock,
        commands=commands,
        settings=Settings(Config(), {}, None),
        gate=gate,
    )
    door.run()
    return door, sink


def test_skipped_frames_still_count(tmp_path: Path) -> None:
    empty = np.zeros((480, 640, 3), np.uint8)
    keeper = CountKeeper(CountStore(tmp_path / "counts.db", 5.0, 31, ManualClock()))
    pipeline = Somebody()
    door, sink = watch(Scripted([empty] * 90), pipeline, MotionGate(IDLE_EVERY), keeper)
    assert pipeline.looks <= 90 / 3
    assert door.progress.frames == 90
    assert sink.frames == 90
    assert door.progress.camera.last_frame_at is not None
    keeper.close()


def test_the_gate_does_not_change_visits() -> None:
    empty, somebody = np.zeros((480, 640, 3), np.uint8), np.full((480, 640, 3), 120, np.uint8)
    scene = [empty] * 61 + [somebody] * 45 + [empty] * 90
    gated, always = (watch(Scripted(scene), Somebody(), gate)[1].told for gate in (MotionGate(IDLE_EVERY), None))
    assert [event.kind for event in gated] == [event.kind for event in always]
    assert gated == always
    assert gated


@pytest.mark.slow
def test_the_gate_keeps_demo_visits() -> None:
    pipeline = load_pipeline(Config())
    gated, always = (watch(VideoFile(DEMO_CLIP), pipeline, gate)[1].told for gate in (MotionGate(IDLE_EVERY), None))
    assert gated == always
    assert gated

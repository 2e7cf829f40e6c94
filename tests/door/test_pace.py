"""A board that slows itself down is given fewer pictures, and all of them again once it is well."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from edge.cameras.source import LatestFrame
from edge.door.pace import LEAST, LOOK_EVERY, STEP, WELL_FOR, BoardWatch, Pace
from edge.values import Frame
from tests.stand_ins.clock import ManualClock


class Scene:
    """A camera of 30 frames a second at a board that manages ``rate`` of them, seen every ten seconds."""

    def __init__(self, rate: float) -> None:
        self.pace, self.rate = Pace(30.0), rate
        self.now = self.frames = 0.0
        self.pace.interval(0.0, 0, False)

    def look(self, slowed: bool) -> float | None:
        """The limit after the next ten seconds."""
        self.now += LOOK_EVERY
        self.frames += LOOK_EVERY * min(self.rate, self.pace.limit or 30.0)
        self.pace.interval(self.now, int(self.frames), slowed)
        return self.pace.limit


def test_healthy_boards_take_every_frame() -> None:
    scene = Scene(rate=20)
    assert [scene.look(slowed=False) for _ in range(20)] == [None] * 20
    assert scene.pace.interval(scene.now, 0, False) == 0.0


def test_steps_start_from_real_rates() -> None:
    assert Scene(rate=12).look(slowed=True) == pytest.approx(12 * STEP)


def test_the_rate_has_a_lower_limit() -> None:
    scene = Scene(rate=12)
    limits = [scene.look(slowed=True) for _ in range(10)]
    assert limits == sorted(limits, key=lambda limit: -(limit or 0))
    assert limits[-1] == LEAST
    assert scene.pace.interval(scene.now, 0, True) == pytest.approx(1 / LEAST)


def test_the_rate_recovers_step_by_step() -> None:
    scene = Scene(rate=30)
    low = scene.look(slowed=True)
    assert low == pytest.approx(30 * STEP)
    minutes = int(WELL_FOR / LOOK_EVERY)
    assert [scene.look(slowed=False) for _ in range(minutes - 1)] == [low] * (minutes - 1)
    assert scene.look(slowed=False) is None


def test_returning_heat_restarts_the_minute() -> None:
    scene = Scene(rate=30)
    scene.look(slowed=True)
    for _ in range(4):
        scene.look(slowed=False)
    lower = scene.look(slowed=True)
    assert [scene.look(slowed=False) for _ in range(4)] == [lower] * 4


def test_the_rate_changes_only_between_looks() -> None:
    pace = Pace(30.0)
    for step in range(90):
        pace.interval(step / 10, step, True)
    assert pace.limit is None


def test_the_watch_reports_its_last_reading() -> None:
    seen = iter([("under voltage",), (), ()])
    looked = threading.Event()

    def look() -> tuple[str, ...]:
        cause = next(seen, ())
        if not cause:
            looked.set()
        return cause

    watch = BoardWatch(look, every=0.01)
    assert looked.wait(10)
    watch.close()
    watch.close()
    assert watch.slowed_by == ()


class Counting:
    """A camera that shows something new every few milliseconds."""

    name, live = "counting", True

    def __init__(self) -> None:
        self.sent = 0

    def read(self) -> Frame:
        time.sleep(0.002)
        self.sent += 1
        return Frame(np.full((4, 4, 3), 16 + self.sent % 200, np.uint8), 0.0, self.sent)

    def close(self) -> None:
        """Nothing is held."""


def test_paced_frames_are_not_dropped_ones() -> None:
    camera, clock = Counting(), ManualClock()
    source = LatestFrame(camera, lambda: camera, clock, stale_after=3.0, reopen_after=1.0)
    source.pace(0.5)
    assert source.next(10.0) is not None
    sent = camera.sent
    deadline = time.monotonic() + 10
    while camera.sent < sent + 20 and time.monotonic() < deadline:
        assert source.next(0.01) is None
    clock.advance(0.5)
    assert source.next(10.0) is not None
    assert source.dropped == 0
    assert source.events() == []
    source.close()

"""The newest frame of a live camera: losses, frozen and dark pictures, hanging drivers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edge.cameras import Camera
from edge.cameras.freshness import is_dark
from edge.cameras.source import LatestFrame
from edge.clock import SystemClock
from edge.errors import CameraError
from edge.values import Event, EventKind, Frame, Image
from edge.vision.preprocess import resize
from tests.cameras.helpers import plain
from tests.nonempty import some


class ScriptedCamera:
    """A live camera that does what a script says, one call a read."""

    name = "scripted"
    live = True

    def __init__(self, *script: Callable[[], Frame]) -> None:
        self._script = iter(script)
        self.closed = False

    def read(self) -> Frame:
        step = next(self._script, None)
        if step is None:
            raise CameraError("scripted: unplugged.")
        return step()

    def close(self) -> None:
        self.closed = True


def gives(image: Image, after: float = 0.0) -> Callable[[], Frame]:
    def step() -> Frame:
        time.sleep(after)
        return Frame(image, time.monotonic(), 0)

    return step


def noise(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def hangs(release: threading.Event) -> Callable[[], Frame]:
    def step() -> Frame:
        release.wait(20)
        raise CameraError("let go")

    return step


def watch(
    source: LatestFrame, until: Callable[[list[EventKind], list[Frame]], bool], limit: float = 60.0
) -> tuple[list[EventKind], list[Frame]]:
    """Take frames and events as the loop does, until they are as expected or ``limit`` seconds have passed."""
    events: list[EventKind] = []
    frames: list[Frame] = []
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline and not until(events, frames):
        frame = source.next(0.02)
        frames += [frame] if frame else []
        events += [event.kind for event in source.events()]
    return events, frames


def latest(camera: Camera, reopen: Callable[[], Camera], **options: Any) -> LatestFrame:
    """Of which nothing is late on a busy machine, unless a test asks for less patience."""
    usual = {"stale_after": 30.0, "reopen_after": 0.02, "frozen_after": 0.2, "hung_after": 30.0}
    return LatestFrame(camera, reopen, SystemClock(), **(usual | options))


def first_event(source: LatestFrame) -> Event:
    """What is said first; the camera is closed."""
    events: list[Event] = []
    deadline = time.monotonic() + 60
    while not events and time.monotonic() < deadline:
        source.next(0.02)
        events = source.events()
    source.close()
    return events[0]


BACKOFF = (0.04, 0.08, 0.16, 0.32, 0.64)
"""Least pauses between attempts to open a camera, the first right after the loss left out, in seconds."""


class TestLiveCamera:
    def test_the_newest_frame_wins(self) -> None:
        release = threading.Event()
        pictures = (gives(noise(n), after=0.1 if n == 0 else 0.0) for n in range(5))
        source = latest(ScriptedCamera(*pictures, hangs(release)), ScriptedCamera)
        source.next(0.0)
        deadline = time.monotonic() + 60
        while source.dropped < 4 and time.monotonic() < deadline:
            time.sleep(0.005)
        frame = source.next(1.0)
        release.set()
        source.close()
        assert frame is not None
        assert np.array_equal(frame.image, noise(4))
        assert frame.sequence == 4
        assert source.dropped == 4

    def test_a_frame_is_given_once(self) -> None:
        release = threading.Event()
        source = latest(ScriptedCamera(gives(noise(1)), hangs(release)), ScriptedCamera)
        assert source.next(1.0) is not None
        assert source.next(0.01) is None
        release.set()
        source.close()

    def test_the_reader_scales_for_the_detector(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
        own = np.zeros((180, 320, 3), np.uint8)
        steps = [lambda: Frame(image, 0.0, 0), lambda: Frame(image[:360], 0.0, 1, own), gives(noise(1))]
        frames = []
        for step in steps:
            source = latest(ScriptedCamera(step), ScriptedCamera, input_size=lambda width, height: (320, 320))
            frames += [source.next(1.0)]
            source.close()
        scaled, cameras_own, small_already = (frame.small for frame in frames if frame)
        assert scaled is not None
        assert np.array_equal(scaled, resize(image, 320, 240))
        assert cameras_own is own
        assert small_already is None

    def test_unplugged_cameras_are_reopened_with_backoff(self) -> None:
        attempts: list[float] = []

        def reopen() -> Camera:
            attempts.append(time.monotonic())
            if len(attempts) < 6:
                raise CameraError("There is no /dev/video0; plug the camera in.")
            return ScriptedCamera(*(gives(noise(n), after=0.01) for n in range(100, 400)))

        source = latest(ScriptedCamera(gives(noise(0))), reopen, stale_after=0.4)
        events, _ = watch(source, lambda seen, _: EventKind.CAMERA_BACK in seen)
        source.close()
        assert events == [EventKind.CAMERA_LOST, EventKind.CAMERA_BACK]
        pauses = np.diff(attempts[:6])
        assert [pause >= least for pause, least in zip(pauses, BACKOFF, strict=True)] == [True] * len(BACKOFF)

    def test_the_event_says_what_is_wrong(self) -> None:
        unplugged = latest(ScriptedCamera(), ScriptedCamera, stale_after=0.2)
        assert first_event(unplugged).detail == "scripted: unplugged."

    def test_frozen_cameras_are_reopened(self) -> None:
        frozen = ScriptedCamera(*(gives(noise(7), after=0.01) for _ in range(500)))
        source = latest(frozen, lambda: ScriptedCamera(*(gives(noise(n), after=0.01) for n in range(500))))
        events, _ = watch(source, lambda seen, _: EventKind.CAMERA_BACK in seen)
        source.close()
        assert frozen.closed
        assert events == [EventKind.CAMERA_LOST, EventKind.CAMERA_BACK]

    def test_repeating_rings_are_frozen(self) -> None:
        ring = ScriptedCamera(*(gives(noise(n % 4), after=0.01) for n in range(500)))
        source = latest(ring, lambda: ScriptedCamera(*(gives(noise(n), after=0.01) for n in range(100, 600))))
        events, _ = watch(source, lambda seen, _: EventKind.CAMERA_BACK in seen)
        source.close()
        assert ring.closed
        assert events == [EventKind.CAMERA_LOST, EventKind.CAMERA_BACK]

    def test_short_stillness_is_shown(self) -> None:
        still = ScriptedCamera(*(gives(noise(n // 10), after=0.01) for n in range(60)))
        events, frames = watch(latest(still, ScriptedCamera, frozen_after=5), lambda _, frames: len(frames) >= 40)
        assert events == []
        assert len(frames) >= 40

    def test_new_times_beat_repeated_pixels(self) -> None:
        def stamped(number: int) -> Callable[[], Frame]:
            return lambda: Frame(noise(7), time.sleep(0.01) or time.monotonic(), 0, stamp=number / 25)

        quiet = ScriptedCamera(*(stamped(number) for number in range(120)))
        events, frames = watch(latest(quiet, ScriptedCamera), lambda _, frames: len(frames) >= 80)
        assert events == []
        assert len(frames) >= 80

    def test_repeated_pixels_and_times_are_frozen(self) -> None:
        ring = ScriptedCamera(
            *((lambda n=n: Frame(noise(n % 4), time.sleep(0.01) or 0.0, 0, stamp=n % 4)) for n in range(500))
        )
        assert first_event(latest(ring, ScriptedCamera)).detail == "scripted repeats the same picture."

    def test_new_pixels_beat_repeated_times(self) -> None:
        still = ScriptedCamera(
            *((lambda n=n: Frame(noise(n), time.sleep(0.01) or 0.0, 0, stamp=0.0)) for n in range(120))
        )
        events, _ = watch(latest(still, ScriptedCamera), lambda _, frames: len(frames) >= 80)
        assert events == []

    def test_freeze_detection_can_be_off(self) -> None:
        still = ScriptedCamera(*(gives(noise(7), after=0.01) for _ in range(60)))
        events, _ = watch(latest(still, ScriptedCamera, frozen_after=0), lambda _, frames: len(frames) >= 40)
        assert events == []

    def test_covered_lenses_are_not_reopened(self) -> None:
        black = (gives(plain((3, 3, 3)), after=0.01) for _ in range(60))
        light = (gives(noise(n), after=0.01) for n in range(500))
        camera = ScriptedCamera(*black, *light)
        source = latest(camera, ScriptedCamera, dark_after=0.2)
        events, frames = watch(source, lambda seen, _: EventKind.CAMERA_BACK in seen)
        assert events == [EventKind.CAMERA_LOST, EventKind.CAMERA_BACK]
        assert len(frames) > 40
        assert not camera.closed
        source.close()

    def test_what_it_says_of_black_pictures(self) -> None:
        black = ScriptedCamera(*(gives(plain((3, 3, 3)), after=0.01) for _ in range(60)))
        said = first_event(latest(black, ScriptedCamera, dark_after=0.1)).detail
        assert said == "scripted shows nothing but black; is its lens covered, or the light off?"

    def test_dark_rooms_are_not_frozen(self) -> None:
        dark = ScriptedCamera(*(gives(plain((3, 3, 3)), after=0.01) for _ in range(60)))
        source = latest(dark, ScriptedCamera)
        events, frames = watch(source, lambda _, frames: len(frames) >= 40)
        source.close()
        assert events == []
        assert len(frames) >= 40

    @pytest.mark.parametrize(
        ("lit", "dark"), [(0.0, True), (0.005, True), (0.3, False)], ids=["black", "hot pixels", "a lamp lights a wall"]
    )
    def test_what_is_black(self, lit: float, dark: bool) -> None:
        rng = np.random.default_rng(0)
        image = rng.integers(0, 12, (480, 640, 3), dtype=np.uint8)
        image[rng.random((480, 640)) < lit] = 200
        assert is_dark(image) is dark

    def test_hanging_reads_are_left_behind(self) -> None:
        release = threading.Event()
        source = latest(
            ScriptedCamera(gives(noise(0)), hangs(release)),
            lambda: ScriptedCamera(*(gives(noise(n), after=0.01) for n in range(100, 400))),
            stale_after=0.5,
            hung_after=1.0,
        )
        before = source.hung
        events, frames = watch(source, lambda seen, frames: EventKind.CAMERA_BACK in seen and len(frames) > 5)
        during = source.hung
        release.set()
        watch(source, lambda *_: not source.hung)
        after = source.hung
        source.close()
        assert events == [EventKind.CAMERA_LOST, EventKind.CAMERA_BACK]
        assert len(frames) > 5
        assert (before, during, after) == (False, True, False)

    def test_hung_readers_do_not_pile_up(self) -> None:
        release = threading.Event()
        before = threading.active_count()
        source = latest(ScriptedCamera(hangs(release)), lambda: ScriptedCamera(hangs(release)), hung_after=0.02)
        watch(source, lambda *_: threading.active_count() - before >= 5, limit=0.5)
        left = threading.active_count() - before
        release.set()
        source.close()
        assert left <= 3

    def test_opens_again_in_another_way(self) -> None:
        before = ScriptedCamera(*(gives(noise(n) | 1, after=0.005) for n in range(1000)))
        after = ScriptedCamera(*(gives(noise(n) & 254, after=0.005) for n in range(1000)))
        source = latest(before, ScriptedCamera)
        watch(source, lambda _, frames: len(frames) == 3)
        source.open_again(lambda: after)
        events, frames = watch(source, lambda _, frames: len(frames) == 3)
        source.close()
        assert (events, before.closed) == ([], True)
        assert not any((frame.image & 1).any() for frame in some(frames))

    def test_lost_if_not_opened_again(self) -> None:
        def refuse() -> Camera:
            raise CameraError("scripted: refused.")

        source = latest(
            ScriptedCamera(*(gives(noise(n), after=0.005) for n in range(1000))), ScriptedCamera, stale_after=0.3
        )
        watch(source, lambda _, frames: len(frames) == 3)
        source.open_again(refuse)
        assert first_event(source).detail == "scripted: refused."

    def test_closing_lets_go_of_the_camera(self) -> None:
        camera = ScriptedCamera(*(gives(noise(n), after=0.005) for n in range(1000)))
        source = latest(camera, ScriptedCamera)
        source.next(1.0)
        source.close()
        assert camera.closed

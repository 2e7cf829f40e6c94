"""The camera: a real daemon with the real models at a network camera that breaks, and comes back."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from edge.cameras.source import HUNG_AFTER
from edge.config import CameraSettings
from tests.soak.appliance import Appliance, expect, expect_nothing_lost, running, wait_for
from tests.soak.faults import Trial, fault
from tests.soak.network_camera import NetworkCamera, network_camera
from tests.soak.video_camera import video_camera

SHIPPED = CameraSettings()
QUICK = CameraSettings(frozen_after=2.0, dark_after=2.0, reopen_after=0.2)
"""Of the short form."""
SLACK = 8.0
"""What a busy machine may add to each of them, in seconds."""


@contextlib.contextmanager
def door(trial: Trial, camera: NetworkCamera, program: tuple[str, ...] = ("-m", "edge")) -> Iterator[Appliance]:
    """A daemon that watches ``camera`` and is well; at the end it must stop cleanly with nothing lost."""
    with watching(trial, camera.url, program) as appliance:
        yield appliance


@contextlib.contextmanager
def watching(trial: Trial, source: str, program: tuple[str, ...] = ("-m", "edge")) -> Iterator[Appliance]:
    """The same of a source."""
    settings = {f"camera.{name}": value for name, value in limits(trial).model_dump(exclude_unset=True).items()}
    with running(Appliance(trial.folder, {"camera.source": source} | settings, program)) as appliance:
        wait_for(appliance.is_well, "the door is watched")
        yield appliance
        expect(appliance.stop() == 0, f"it ended with code {appliance.process.returncode}: {appliance.last_words()}")
        expect_nothing_lost(appliance)


def limits(trial: Trial) -> CameraSettings:
    """What the camera is judged by: as shipped, but for the short form."""
    return QUICK if trial.short else SHIPPED


def lose(appliance: Appliance, word: str, within: float) -> float:
    """Fail unless the door goes out of service in time and says why; the seconds that took."""
    began = time.monotonic()
    wait_for(lambda: appliance.health().get("status") == "out of service", "it is out of service", within + SLACK)
    wait_for(lambda: appliance.complains(word), f"it says {word!r}", SLACK)
    return time.monotonic() - began


def recover(trial: Trial, appliance: Appliance, lost_after: float, within: float = 16.0) -> float:
    """Fail unless it is well again by itself in time, and goes on; the seconds that took."""
    began = time.monotonic()
    wait_for(appliance.is_well, "it is well again", within + SLACK)
    took = time.monotonic() - began
    trial.note("lost after (s)", lost_after)
    trial.note("back after (s)", took)
    appliance.goes_on()
    return took


def break_down(trial: Trial, what: str, word: str, within: float) -> None:
    """Let a working camera break in one way, and repair it."""
    with network_camera() as camera, door(trial, camera) as appliance:
        camera.fault = what
        lost_after = lose(appliance, word, within)
        time.sleep(0 if trial.short else trial.rng.uniform(0, 9))  # longer than OpenCV's own time limits, at times
        camera.fault = None
        recover(trial, appliance, lost_after)


@fault("camera", "unplugged and back", short=1, long=5)
def unplugged(trial: Trial) -> None:
    with network_camera() as camera, door(trial, camera) as appliance:
        camera.unplug()
        lost_after = lose(appliance, "", limits(trial).stale_after)
        time.sleep(trial.rng.uniform(0, 3))
        camera.plug_in()
        recover(trial, appliance, lost_after)


@fault("camera", "frozen: the same bytes again and again", short=1, long=5)
def frozen(trial: Trial) -> None:
    break_down(trial, "frozen", "repeats the same picture", limits(trial).frozen_after)


@fault("camera", "stale: old pictures of a ring as new", short=1, long=5)
def stale(trial: Trial) -> None:
    break_down(trial, "ring", "repeats the same picture", limits(trial).frozen_after)


@fault("camera", "black: a covered lens", short=1, long=5)
def black(trial: Trial) -> None:
    with network_camera() as camera, door(trial, camera) as appliance:
        camera.fault = "black"
        lost_after = lose(appliance, "nothing but black", limits(trial).dark_after)
        appliance.goes_on(20)  # the watchdog is fed by processed frames
        camera.fault = None
        recover(trial, appliance, lost_after)


@fault("camera", "connected, but sends nothing more", short=1, long=5)
def silent(trial: Trial) -> None:
    break_down(trial, "silent", "", limits(trial).stale_after)


@fault("camera", "a picture that announces 2 GB and does not end", short=1, long=5)
def endless(trial: Trial) -> None:
    with network_camera() as camera, door(trial, camera) as appliance:
        memory = appliance.resident()
        camera.fault = "endless"
        lost_after = lose(appliance, "16 MB", limits(trial).stale_after)
        trial.note("memory grew (MiB)", grown := appliance.resident() - memory)
        expect(grown < 80, f"memory grew by {grown:.1f} MiB")
        camera.fault = None
        recover(trial, appliance, lost_after)


@fault("camera", "the decoder of a network video is killed", short=1, long=10)
def decoder_killed(trial: Trial) -> None:
    with video_camera(trial.folder) as source, watching(trial, source) as appliance:
        appliance.goes_on()
        (decoder,) = children(appliance)
        os.kill(decoder, trial.rng.choice((signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)))
        began = time.monotonic()
        wait_for(lambda: [one for one in children(appliance) if one != decoder], "it is started again")
        wait_for(appliance.is_well, "it is well again")
        trial.note("back after (s)", time.monotonic() - began)
        appliance.goes_on()


@fault("camera", "a quiet hall: the same pixels at new times", short=0, long=1)
def quiet(trial: Trial) -> None:
    with video_camera(trial.folder, still=True) as source, watching(trial, source) as appliance:
        watch_health(appliance, 120)
        expect(not appliance.told("camera_lost"), "a quiet hall was held to be a frozen camera")


@fault("camera", "time stamps that jump by hours, both ways", short=1, long=3)
def jumping(trial: Trial) -> None:
    with video_camera(trial.folder, hours_ahead=2) as source, watching(trial, source) as appliance:
        watch_health(appliance, 8 if trial.short else 60)
        appliance.goes_on()
        expect(not appliance.told("camera_lost"), "a camera whose clock was set was held to be lost")


@fault("camera", "told to end while it is silent", short=2, long=18)
def ended_while_silent(trial: Trial) -> None:
    with network_camera() as camera, door(trial, camera) as appliance:
        camera.fault = "silent"
        time.sleep(trial.rng.uniform(0, 1 if trial.short else 12))  # also while it is opened again
        began = time.monotonic()
        expect(appliance.stop() == 0, f"it ended with code {appliance.process.returncode}: {appliance.last_words()}")
        trial.note("ended after (s)", time.monotonic() - began)


def children(appliance: Appliance) -> list[int]:
    """Processes of a daemon."""
    pid = appliance.process.pid
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text("ascii").split()]


@fault("camera", "read() that blocks for ever", short=0, long=3)
def blocking(trial: Trial) -> None:
    block = trial.folder / "block"
    with (
        network_camera() as camera,
        door(trial, camera, ("-m", "tests.soak.blocking_camera", str(block))) as appliance,
    ):
        block.touch()
        lost_after = lose(appliance, "", limits(trial).stale_after)
        block.unlink()  # for the reader that comes after; the one that blocks stays blocked
        took = recover(trial, appliance, lost_after, HUNG_AFTER)
        expect(took > 1, "the read that blocked has returned: nothing was tried")


@fault("camera", "picture size changes in mid-stream", short=1, long=5)
def resized(trial: Trial) -> None:
    with network_camera() as camera, door(trial, camera) as appliance:
        for size in ((1280, 720), (320, 240), (1080, 1920), (640, 480)):
            camera.size = size
            appliance.goes_on(8)
            expect(appliance.is_well(), f"at {size[0]} x {size[1]} it says {appliance.health()}")


@fault("camera", "1 picture a second", short=1, long=3)
def slow(trial: Trial) -> None:
    with network_camera() as camera, door(trial, camera) as appliance:
        camera.fps = 1.0
        wait_for_last_of_many(appliance)
        before, began = appliance.frames(), time.monotonic()
        watch_health(appliance, 6 if trial.short else 30)
        rate = (appliance.frames() - before) / (time.monotonic() - began)
        trial.note("judged (a second)", rate)
        expect(0.6 <= rate <= 1.4, f"of 1 picture a second {rate:.2f} were judged")
        expect(not appliance.told("camera_lost"), "a slow camera was held to be lost")


def wait_for_last_of_many(appliance: Appliance) -> None:
    """Until pictures that were sent before, at a higher rate, are judged: on a busy machine they queue up."""
    deadline, judged = time.monotonic() + 60, math.inf
    while judged > 3:
        expect(time.monotonic() < deadline, "pictures from before are still being judged after a minute")
        before = appliance.frames()
        time.sleep(2)
        judged = appliance.frames() - before


@fault("camera", "120 pictures a second", short=1, long=3)
def fast(trial: Trial) -> None:
    with network_camera() as camera, door(trial, camera) as appliance:
        camera.fps = 120.0
        time.sleep(2)
        before, sent, memory, began = appliance.frames(), camera.sent, appliance.resident(), time.monotonic()
        watch_health(appliance, 6 if trial.short else 30)
        seconds = time.monotonic() - began
        grown = appliance.resident() - memory
        trial.note("sent (a second)", (camera.sent - sent) / seconds)
        trial.note("judged (a second)", (appliance.frames() - before) / seconds)
        trial.note("memory grew (MiB)", grown)
        expect(grown < 8, f"memory grew by {grown:.1f} MiB in {seconds:.0f} s")
        expect(not appliance.told("camera_lost"), "a fast camera was held to be lost")


def watch_health(appliance: Appliance, seconds: float) -> None:
    """Fail unless the door is well all the time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        health = appliance.health()
        expect(health.get("status") == "ok", f"it says {health}")
        time.sleep(0.25)

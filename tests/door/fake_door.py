"""A door made for tests: colours in place of people, a pipeline that reads them, a camera and a lamp."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge import cli
from edge.alerts import Alert
from edge.config import MaskSettings, load
from edge.door import wiring as daemon
from edge.door.wiring import Options
from edge.errors import CameraError
from edge.values import BBox, Face, Frame, Image, Reading, StageTimes

NOBODY, MASKED, BARE = (200, 0, 0), (0, 200, 0), (0, 0, 200)
FACE = Face(BBox(60, 40, 140, 120), 0.9)
FPS = 10


def picture(colour: tuple[int, int, int]) -> Image:
    return np.full((160, 200, 3), colour, np.uint8)


class FakePipeline:
    """Finds one face in pictures that are not blue; a green one is masked, a red one is bare."""

    times = StageTimes()
    runtime = "a runtime made for this test"
    trouble: str | None = None
    accelerated: bool | None = None

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def detect(self, frame: Frame) -> list[Face]:
        return [] if frame.image[80, 100].argmax() == 0 else [FACE]

    def judge(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        masked = image[80, 100].argmax() == 1
        return [Reading(face, (0.95, 0.04, 0.01) if masked else (0.02, 0.97, 0.01)) for face in faces]

    def configure(self, settings: MaskSettings) -> None:
        """Verdicts follow the colour alone."""

    def close(self) -> None:
        """Nothing is held."""


class FakeAlert(Alert):
    """Remembers what it was told."""

    name = "a lamp made for this test"

    def __init__(self) -> None:
        self.told: list[str] = []

    def alarm(self, on: bool) -> None:
        self.told.append(f"alarm {'on' if on else 'off'}")

    def welcome(self, on: bool) -> None:
        self.told.append(f"welcome {'on' if on else 'off'}")

    def close(self) -> None:
        self.told.append("closed")


def run(clip: Path, store: Path, count: bool = True, **options: Any) -> int:
    overrides = {"camera.source": str(clip), "counts.path": store, "counts.recordings": count}
    settings = load(environment={"HOME": str(store.parent)}, overrides=overrides)
    return daemon.run(settings, Options(**options))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def stored_visits(store: Path) -> list[str]:
    with sqlite3.connect(store) as connection:
        return [verdict for (verdict,) in connection.execute("SELECT verdict FROM visits ORDER BY started")]


def stop_timeout() -> float:
    """Seconds after which the unit's end is forced."""
    unit = (Path(__file__).parents[2] / "systemd/maskgate.service").read_text()
    return float(unit.partition("TimeoutStopSec=")[2].split()[0])


DRIVER = f"{sys.executable} -c 'from tests.door import fake_door; fake_door.main()'"


def main() -> None:
    """The command with the fake pipeline, as a process of its own."""
    daemon.load_pipeline = lambda config, live: FakePipeline()  # type: ignore[assignment,return-value]
    sys.exit(cli.main())


class Doorway:
    """A live camera at 50 frames a second whose scene a test sets; None hangs until the scene changes.

    Attributes:
        exposures: What it was opened again with.
    """

    name = "doorway"
    live = True

    def __init__(self) -> None:
        self.scene: tuple[int, int, int] | None = NOBODY
        self.unplugged = False
        self.sequence = 0
        self.exposures: list[str] = []

    def read(self) -> Frame:
        if self.unplugged:
            raise CameraError("doorway: unplugged.")
        time.sleep(0.02)
        while self.scene is None:
            time.sleep(0.01)
        image = picture(self.scene)
        image[0, 0] = self.sequence % 251
        self.sequence += 1
        return Frame(image, time.monotonic(), self.sequence)

    def close(self) -> None:
        """Nothing is held."""


class Script(threading.Thread):
    """Does things to a run while it runs, each as soon as what it waits for is in the events log."""

    def __init__(self, log: Path, *steps: tuple[str, Callable[[], object]]) -> None:
        super().__init__(daemon=True)
        self._log, self._steps = log, steps
        self.done = 0

    def run(self) -> None:
        deadline = time.monotonic() + 15
        for wanted, act in self._steps:
            while wanted not in self._said() and time.monotonic() < deadline:
                time.sleep(0.01)
            self.done += wanted in self._said()
            act()

    def _said(self) -> str:
        return self._log.read_text() if self._log.exists() else ""


def live(store: Path, log: Path, *steps: tuple[str, Callable[[], object]], **settings: Any) -> tuple[int, list[str]]:
    """Run at a doorway until the script's last step stops it; the exit code and the events.

    On a busy machine nothing is late enough to be lost, unless ``settings`` say so.
    """
    script = Script(log, *steps)
    script.start()
    patient = {"camera.stale_after": 30, "camera.reopen_after": 0.02, "people.lost_after": 30}
    overrides = {"counts.path": store, **patient, **settings}
    code = daemon.run(load(environment={"HOME": str(store.parent)}, overrides=overrides), Options(events=str(log)))
    script.join()
    assert script.done == len(steps)
    return code, [line["event"] for line in lines(log)]


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)

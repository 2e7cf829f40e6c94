"""A recording, a live camera, an alert output and a store that the tests of the loop share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest

from edge.cameras.choose import Choice
from edge.config import CameraSettings
from edge.door import wiring as daemon
from edge.errors import CameraError
from tests.door.fake_door import BARE, FPS, MASKED, NOBODY, Doorway, FakeAlert, FakePipeline, picture
from tests.stand_ins.disk import full_disk

__all__ = ["full_disk"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten seconds: nobody, a masked person for two seconds, nobody, a bare one for two seconds, nobody."""
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FPS, (200, 160))
    for colour, seconds in ((NOBODY, 1), (MASKED, 2), (NOBODY, 3), (BARE, 2), (NOBODY, 2)):
        for _ in range(seconds * FPS):
            writer.write(picture(colour))
    writer.release()
    return path


@pytest.fixture
def alert(monkeypatch: pytest.MonkeyPatch) -> FakeAlert:
    """The appliance with the fake pipeline and this alert output in place of its own."""
    output = FakeAlert()
    monkeypatch.setattr(daemon, "load_pipeline", lambda config, live: FakePipeline())
    monkeypatch.setattr(daemon, "open_alert", lambda settings: output)
    return output


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "counts.db"


@pytest.fixture
def doorway(monkeypatch: pytest.MonkeyPatch) -> Doorway:
    camera = Doorway()

    def reopen() -> Doorway:
        if camera.unplugged:
            raise CameraError("doorway: still unplugged.")
        return camera

    def exposed(settings: CameraSettings) -> Callable[[], Doorway]:
        def reopen_exposed() -> Doorway:
            camera.exposures.append(settings.exposure)
            return reopen()

        return reopen_exposed

    choice = Choice(camera, reopen, (), exposed=exposed)
    monkeypatch.setattr(daemon, "open_camera", lambda settings, clock, size: choice)
    return camera


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Control-C, heeded also where the tests run in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)

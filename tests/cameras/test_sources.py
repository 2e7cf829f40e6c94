"""The table of sources: one module and one line make a backend known everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.board.findings import Finding, Machine, State
from edge.cameras.choose import await_camera, open_camera
from edge.cameras.sources import SOURCES, Kind, Place, explained, forms, module_for, module_of
from edge.cameras.stills import Stills
from edge.cameras.video import VideoFile
from edge.commands import doctor
from edge.config import CameraSettings, Config
from edge.errors import ConfigError
from tests.stand_ins.clock import ManualClock


@pytest.fixture
def new_backend(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module that plays one kind of source, and its line in the table."""
    module = types.ModuleType("thermal_camera")

    def open_source(source: str, place: Place) -> types.SimpleNamespace:
        return types.SimpleNamespace(name=source, live=True)

    def examine(machine: Machine, source: str) -> Iterator[Finding]:
        yield Finding("camera", State.OK, "thermal camera found")

    module.WAITS = True  # type: ignore[attr-defined]
    module.matches = lambda source: source == "thermal"  # type: ignore[attr-defined]
    module.open_source, module.examine = open_source, examine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "thermal_camera", module)
    monkeypatch.setitem(SOURCES, "thermal", Kind("thermal_camera", "thermal", "a thermal camera"))
    return module


def test_one_line_adds_a_backend(new_backend: types.ModuleType) -> None:
    assert open_camera(CameraSettings(source="thermal"), ManualClock()).camera.name == "thermal"
    assert "thermal (a thermal camera)" in explained()
    with pytest.raises(ConfigError, match=r"did you mean 'thermal'\? accepted: auto, .*thermal"):
        open_camera(CameraSettings(source="thermel"), ManualClock())
    findings = doctor.examine(Machine(), Config(camera=CameraSettings(source="thermal")))
    assert "thermal camera found" in [one.text for one in findings]


def test_help_and_settings_name_every_kind() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge", "run", "--help"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "2000"},
    )
    assert explained() in done.stdout
    assert CameraSettings.model_fields["source"].description == explained()
    assert all(kind.form in explained() and kind.form in forms() for kind in SOURCES.values())


@pytest.mark.parametrize("kind", SOURCES.values(), ids=SOURCES)
def test_every_kind_keeps_its_promises(kind: Kind) -> None:
    module = module_of(kind)
    for part in ("WAITS", "matches", "open_source", "examine"):
        assert hasattr(module, part)


class TestLinks:
    def test_device_links_are_cameras(self, tmp_path: Path) -> None:
        for name, target in (("front-door", "/dev/null"), ("unplugged", "/dev/video77"), ("twice", "unplugged")):
            (tmp_path / name).symlink_to(target)
            module = module_for(str(tmp_path / name))
            assert module is module_of(SOURCES["device"])
        assert module_for("/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920-video-index0") is module_of(SOURCES["device"])

    def test_services_wait_for_unplugged_links(self, tmp_path: Path) -> None:
        (tmp_path / "front-door").symlink_to("/dev/video77")
        choice = await_camera(CameraSettings(source=str(tmp_path / "front-door")), ManualClock())
        assert choice.why[-1] == "Waiting for a camera."

    def test_files_in_memory_are_files(self, tmp_path: Path) -> None:
        assert module_for("/dev/shm/no-such-clip.mp4") is module_of(SOURCES["file"])


class TestNamesWithColons:
    @pytest.mark.parametrize("name", ["2026-11-28T12:00:00.png", "rtsp:door.png", "usb:first.png", "a:b"])
    def test_existing_files_are_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.chdir(tmp_path)
        Path(name).write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
        camera = open_camera(CameraSettings(source=name), ManualClock()).camera
        assert isinstance(camera, (Stills, VideoFile))
        assert camera.name == name

    def test_folders_may_have_a_colon(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("12:30").mkdir()
        cv2.imwrite("12:30/a.png", np.zeros((8, 8, 3), np.uint8))
        assert isinstance(open_camera(CameraSettings(source="12:30"), ManualClock()).camera, Stills)

"""Which camera a source names."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from edge.cameras.choose import Choice, Rotated, await_camera, open_camera
from edge.cameras.stills import Stills
from edge.clock import SystemClock
from edge.config import CameraSettings
from edge.errors import CameraError, ConfigError
from tests.cameras.helpers import BLUE, RED, FakePicamera2, plain
from tests.stand_ins.clock import ManualClock


class TestChoice:
    def test_auto_falls_back_to_the_demo(self, clip: Path, tmp_path: Path) -> None:
        choice = open_camera(CameraSettings(source="auto"), ManualClock(), demo=clip, dev=tmp_path)
        assert choice.camera.name == "demo"
        assert choice.stand_in
        assert [sentence[:14] for sentence in choice.why[:2]] == ["No Pi camera: ", "No USB camera:"]
        assert "demo clip" in choice.why[2]

    def test_auto_prefers_the_pi_camera(self, clip: Path, picamera2: type[FakePicamera2]) -> None:
        choice = open_camera(CameraSettings(source="auto"), ManualClock(), demo=clip)
        assert choice.camera.name == "picamera"
        assert not choice.stand_in

    @pytest.mark.parametrize(("opener", "source"), [(open_camera, "picamera"), (await_camera, "auto")])
    def test_camera_modules_open_with_another_exposure(
        self, opener: Callable[..., Choice], source: str, picamera2: type[FakePicamera2]
    ) -> None:
        choice = opener(CameraSettings(source=source), ManualClock())
        assert choice.exposed
        choice.camera.close()
        choice.exposed(CameraSettings(source=source, exposure_value=1.5))()
        assert picamera2.last.configuration["controls"]["ExposureValue"] == 1.5

    def test_other_cameras_expose_by_themselves(self, clip: Path) -> None:
        assert open_camera(CameraSettings(source=str(clip)), ManualClock()).exposed is None

    def test_broken_cameras_get_no_demo(self, clip: Path, picamera2: type[FakePicamera2]) -> None:
        picamera2.busy = True
        with pytest.raises(CameraError, match="in use"):
            open_camera(CameraSettings(source="auto"), ManualClock(), demo=clip)

    @pytest.mark.parametrize("source", ["webcam", "demmo", "ftp://cam/x", "usb:first", "pi"])
    def test_unknown_sources_list_accepted_forms(self, source: str) -> None:
        with pytest.raises(ConfigError, match=r"accepted: auto, picamera, csi:0, usb:0.*demo"):
            open_camera(CameraSettings(source=source), ManualClock())

    @pytest.mark.parametrize("source", ["", "  "])
    @pytest.mark.parametrize("opener", [open_camera, await_camera])
    def test_an_empty_source_is_refused(self, opener: Callable[..., object], source: str) -> None:
        with pytest.raises(ConfigError, match=r"source is empty; accepted: auto"):
            opener(CameraSettings(source=source), ManualClock())

    def test_a_mistyped_source_gets_a_suggestion(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'picamera'"):
            open_camera(CameraSettings(source="picam"), ManualClock())

    def test_impossible_paths_are_refused(self) -> None:
        with pytest.raises(CameraError, match="cannot be read: File name too long"):
            open_camera(CameraSettings(source=f"{'a' * 300}.mp4"), SystemClock())

    @pytest.mark.parametrize("source", ["gone.mp4", "/nowhere/photos", "gone.jpg"])
    def test_missing_paths_are_named(self, source: str) -> None:
        with pytest.raises(CameraError, match=f"no file or folder {source}"):
            open_camera(CameraSettings(source=source), ManualClock())

    def test_usb_numbers_must_exist(self, tmp_path: Path) -> None:
        with pytest.raises(CameraError, match="video"):
            open_camera(CameraSettings(source="usb:3"), ManualClock(), dev=tmp_path)

    @pytest.mark.parametrize("source", ["auto", "usb:0", "/dev/video63"])
    def test_services_wait_instead_of_the_demo(self, source: str, tmp_path: Path) -> None:
        choice = await_camera(CameraSettings(source=source), ManualClock(), dev=tmp_path)
        assert choice.camera.live
        assert choice.why[-1] == "Waiting for a camera."
        for attempt in (choice.camera.read, choice.reopen):
            with pytest.raises(CameraError, match=r"camera|video"):
                attempt()

    def test_services_take_a_late_camera(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        choice = await_camera(CameraSettings(source="auto"), ManualClock(), dev=tmp_path)
        monkeypatch.setitem(sys.modules, "picamera2", types.SimpleNamespace(Picamera2=FakePicamera2))
        assert choice.reopen().name == "picamera"

    def test_services_do_not_wait_for_files(self) -> None:
        with pytest.raises(CameraError, match=r"no file or folder gone\.mp4"):
            await_camera(CameraSettings(source="gone.mp4"), ManualClock())

    def test_files_are_rotated_clockwise(self, tmp_path: Path) -> None:
        image = plain(BLUE)
        image[:, :32] = RED
        cv2.imwrite(str(tmp_path / "a.png"), image)
        choice = open_camera(CameraSettings(source=str(tmp_path), rotate=90), ManualClock())
        frame = choice.camera.read()
        assert frame is not None
        assert frame.image.shape == (64, 48, 3)
        assert tuple(frame.image[0, 0]) == RED
        assert tuple(frame.image[-1, 0]) == BLUE

    def test_half_a_turn_swaps_the_corners(self, tmp_path: Path) -> None:
        image = plain(BLUE)
        image[0, 0] = RED
        cv2.imwrite(str(tmp_path / "a.png"), image)
        frame = Rotated(Stills(tmp_path), 180).read()
        assert frame is not None
        assert tuple(frame.image[-1, -1]) == RED

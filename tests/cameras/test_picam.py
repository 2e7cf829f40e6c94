"""The Raspberry Pi camera, with a stand-in for picamera2."""

from __future__ import annotations

import sys

import pytest

from edge.cameras.choose import open_camera
from edge.cameras.picam import NoPiCameraError, PiCamera
from edge.config import CameraSettings
from edge.errors import CameraError
from tests.cameras.helpers import BLUE, FakePicamera2
from tests.stand_ins.clock import ManualClock


class TestPiCamera:
    def test_frames_are_bgr_in_size(self, picamera2: type[FakePicamera2]) -> None:
        camera = PiCamera(CameraSettings(width=320, height=240, fps=15), ManualClock())
        frame = camera.read()
        assert frame.image.shape == (240, 320, 3)
        assert tuple(frame.image[0, 0]) == BLUE
        assert FakePicamera2.last.configuration["main"]["format"] == "RGB888"
        assert FakePicamera2.last.configuration["controls"]["FrameRate"] == 15.0

    @pytest.mark.parametrize(
        ("size", "small"), [((640, 480), (320, 240)), ((1280, 720), (320, 180)), ((1920, 1080), (320, 180))]
    )
    def test_the_camera_scales_for_the_detector(
        self, picamera2: type[FakePicamera2], size: tuple[int, int], small: tuple[int, int]
    ) -> None:
        frame = PiCamera(CameraSettings(width=size[0], height=size[1]), ManualClock(), detector=(320, 320)).read()
        assert FakePicamera2.last.configuration["lores"] == {"size": small, "format": "YUV420"}
        assert frame.small is not None
        assert frame.small.shape == (small[1], small[0], 3)
        assert frame.small[5, 5].argmax() == 0

    @pytest.mark.parametrize("size", [(320, 240), (600, 900)])
    def test_padded_second_pictures_are_left_out(self, picamera2: type[FakePicamera2], size: tuple[int, int]) -> None:
        frame = PiCamera(CameraSettings(width=size[0], height=size[1]), ManualClock(), detector=(320, 320)).read()
        assert FakePicamera2.last.configuration["lores"] is None
        assert frame.small is None

    def test_backlight_exposes_for_the_middle(self, picamera2: type[FakePicamera2]) -> None:
        PiCamera(CameraSettings(exposure_value=0.5), ManualClock())
        short = {"FrameRate": 30.0, "AeExposureMode": 1, "ExposureValue": 0.5}
        assert FakePicamera2.last.configuration["controls"] == short
        PiCamera(CameraSettings(exposure="backlight", exposure_value=0.5), ManualClock())
        against = short | {"ExposureValue": 1.5, "AeMeteringMode": 1}
        assert FakePicamera2.last.configuration["controls"] == against

    def test_autofocus_stays_on(self, picamera2: type[FakePicamera2]) -> None:
        picamera2.camera_controls = FakePicamera2.camera_controls | {"AfMode": (0, 2, 0)}
        PiCamera(CameraSettings(), ManualClock())
        assert FakePicamera2.last.configuration["controls"]["AfMode"] == 2

    def test_rotation_turns_both_pictures(self, picamera2: type[FakePicamera2]) -> None:
        asked = []

        def input_size(width: int, height: int) -> tuple[int, int]:
            asked.append((width, height))
            return 256, 320

        camera = open_camera(CameraSettings(source="picamera", rotate=90), ManualClock(), input_size).camera
        frame = camera.read()
        assert frame is not None
        assert frame.small is not None
        assert (frame.image.shape, frame.small.shape) == ((640, 480, 3), (320, 240, 3))
        assert asked == [(480, 640)], "asked for the frame as it is looked at, upright"

    def test_it_is_stopped_and_closed_once(self, picamera2: type[FakePicamera2]) -> None:
        camera = PiCamera(CameraSettings(), ManualClock())
        camera.close()
        camera.close()
        assert FakePicamera2.last.calls == ["start", "stop", "close"]

    def test_busy_and_absent_cameras_differ(self, picamera2: type[FakePicamera2]) -> None:
        picamera2.busy = True
        with pytest.raises(CameraError, match="in use") as raised:
            PiCamera(CameraSettings(), ManualClock())
        assert not isinstance(raised.value, NoPiCameraError)
        picamera2.present = 0
        with pytest.raises(NoPiCameraError, match="ribbon cable"):
            PiCamera(CameraSettings(), ManualClock())

    def test_waiting_for_frames_is_bounded(self, picamera2: type[FakePicamera2]) -> None:
        camera = PiCamera(CameraSettings(), ManualClock())
        picamera2.silent = True
        with pytest.raises(CameraError, match="sent no picture"):
            camera.read()

    def test_missing_picamera2_names_its_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "picamera2", None)
        with pytest.raises(NoPiCameraError, match="apt install python3-picamera2"):
            PiCamera(CameraSettings(), ManualClock())

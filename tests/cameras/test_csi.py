"""A Jetson's camera module, with a stand-in for GStreamer."""

from __future__ import annotations

from typing import Any

import cv2
import pytest

from edge.cameras.choose import AbsentCamera, await_camera, open_camera
from edge.cameras.csi import CsiCamera
from edge.config import CameraSettings
from edge.errors import CameraError
from edge.values import Image
from tests.cameras.helpers import GREEN, plain
from tests.stand_ins.clock import ManualClock

WITH_GSTREAMER = "Video I/O:\n    GStreamer:                   YES (1.20.3)\n    v4l/v4l2:                    YES\n"


class FakeGStreamer:
    """Stands in for cv2.VideoCapture on a pipeline."""

    def __init__(self, opened: bool = True, pictures: int = 100) -> None:
        self.opened, self.pictures, self.pipeline = opened, pictures, ""

    def __call__(self, pipeline: str, backend: int) -> FakeGStreamer:
        assert backend == cv2.CAP_GSTREAMER
        self.pipeline = pipeline
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def read(self) -> tuple[bool, Image | None]:
        self.pictures -= 1
        return (True, plain(GREEN)) if self.pictures >= 0 else (False, None)

    def release(self) -> None:
        self.opened = False


class TestCsiCamera:
    def camera(self, capture: FakeGStreamer, **settings: Any) -> CsiCamera:
        return CsiCamera(1, CameraSettings(**settings), ManualClock(), capture, lambda: WITH_GSTREAMER)

    def test_gstreamer_scales_and_keeps_the_newest(self) -> None:
        capture = FakeGStreamer()
        camera = self.camera(capture, width=640, height=480, fps=25)
        steps = capture.pipeline.split(" ! ")
        assert steps[0] == "nvarguscamerasrc sensor-id=1 exposurecompensation=0"
        assert "framerate=25/1" in steps[1]
        assert "width=640,height=480" in steps[3]
        assert steps[-1] == "appsink drop=true max-buffers=1 sync=false"
        assert [camera.read().sequence for _ in range(2)] == [0, 1]
        camera.close()
        assert not capture.opened

    @pytest.mark.parametrize(
        ("size", "cut"),
        [
            ((640, 480), "nvvidconv left=160 right=1120 top=0 bottom=720"),
            ((640, 640), "nvvidconv left=280 right=1000 top=0 bottom=720"),
            ((480, 640), "nvvidconv left=370 right=910 top=0 bottom=720"),
            ((1280, 720), "nvvidconv left=0 right=1280 top=0 bottom=720"),
            ((1280, 640), "nvvidconv left=0 right=1280 top=40 bottom=680"),
        ],
    )
    def test_the_middle_is_cut_out(self, size: tuple[int, int], cut: str) -> None:
        capture = FakeGStreamer()
        self.camera(capture, width=size[0], height=size[1])
        assert capture.pipeline.split(" ! ")[2] == cut

    def test_backlight_compensation_is_limited(self) -> None:
        capture = FakeGStreamer()
        self.camera(capture, exposure="backlight", exposure_value=3)
        assert "exposurecompensation=2 " in capture.pipeline

    def test_missing_gstreamer_is_explained(self) -> None:
        with pytest.raises(CameraError, match="python3-opencv"):
            CsiCamera(0, CameraSettings(), ManualClock(), FakeGStreamer(), lambda: "    GStreamer:          NO\n")

    def test_stopped_cameras_are_errors(self) -> None:
        with pytest.raises(CameraError, match="ribbon cable"):
            self.camera(FakeGStreamer(opened=False))
        with pytest.raises(CameraError, match="gives no picture"):
            self.camera(FakeGStreamer(pictures=0)).read()

    def test_it_is_named_by_its_connector(self) -> None:
        with pytest.raises(CameraError, match="csi:0 needs an OpenCV with GStreamer"):
            open_camera(CameraSettings(source="csi:0"), ManualClock())
        assert isinstance(await_camera(CameraSettings(source="csi:0"), ManualClock()).camera, AbsentCamera)

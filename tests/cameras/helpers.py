"""Pictures, what a camera gives, and a stand-in for picamera2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import cv2
import numpy as np

from edge.cameras import Camera
from edge.values import Frame, Image

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def plain(colour: tuple[int, int, int], width: int = 64, height: int = 48) -> Image:
    return np.full((height, width, 3), colour, np.uint8)


def all_frames(camera: Camera) -> list[Frame]:
    frames = []
    while (frame := camera.read()) is not None:
        frames.append(frame)
    return frames


class FakePicamera2:
    """Has the signatures of picamera2's class; pictures are in the memory order its RGB888 has, B, G, R."""

    present = 1
    busy = False
    silent = False
    camera_controls: ClassVar[dict[str, tuple[Any, Any, Any]]] = {
        "AeExposureMode": (0, 3, 0),
        "AeMeteringMode": (0, 3, 0),
        "ExposureValue": (-8.0, 8.0, 0.0),
        "FrameDurationLimits": (8333, 120_000_000, None),
    }

    def __init__(self, camera_num: int = 0) -> None:
        if self.busy:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.calls: list[str] = []
        FakePicamera2.last = self

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return [{"Model": "imx708"}] * cls.present

    def create_video_configuration(
        self,
        main: dict[str, Any] | None = None,
        lores: dict[str, Any] | None = None,
        *,
        buffer_count: int = 6,
        controls: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        return {"main": main, "lores": lores, "controls": controls, "buffer_count": buffer_count}

    def configure(self, camera_config: dict[str, Any]) -> None:
        self.configuration = camera_config

    def start(self) -> None:
        self.calls.append("start")

    def capture_arrays(self, names: Sequence[str] = ("main",), wait: bool | None = None) -> Sequence[str]:
        assert wait is False
        return names

    def wait(self, job: Sequence[str], timeout: float | None = None) -> tuple[list[Any], dict[str, Any]]:
        if self.silent:
            raise TimeoutError
        return [self.stream(name) for name in job], {"ExposureTime": 10_000}

    def stream(self, name: str) -> Any:
        width, height = self.configuration[name]["size"]
        picture = plain(BLUE, width, height)
        assert (width % 64 == 0 and height % 2 == 0) or name == "main"
        return picture if name == "main" else cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)

    def stop(self) -> None:
        self.calls.append("stop")

    def close(self) -> None:
        self.calls.append("close")

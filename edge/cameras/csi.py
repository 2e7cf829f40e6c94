"""A camera module on a Jetson's ribbon connector: NVIDIA's source of GStreamer, and an OpenCV that has GStreamer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import cv2

from edge.board import camera_sensors
from edge.board.findings import PIP, WITH_SYSTEM, Finding, Machine, State
from edge.cameras.video import as_bgr
from edge.clock import Clock
from edge.errors import CameraError
from edge.messages import message
from edge.values import Frame

if TYPE_CHECKING:
    from edge.cameras.sources import Place
    from edge.config import CameraSettings

WAITS = True

SENSOR_SIZE = (1280, 720)
"""Requested sensor mode, in pixels; every module that NVIDIA supports has it, at 30 frames per second or more."""
MOST_COMPENSATION = 2.0
"""Maximum exposure compensation that nvarguscamerasrc accepts, in EV."""
BACKLIGHT_STOPS = 1.0
JETPACK_OPENCV = f"sudo apt install python3-opencv; {PIP} uninstall -y opencv-python-headless opencv-python"


def matches(source: str) -> bool:
    return re.fullmatch(r"csi:\d+", source) is not None


def open_source(source: str, place: Place) -> CsiCamera:
    return CsiCamera(int(source[4:]), place.settings, place.clock)


def examine(machine: Machine, source: str) -> Iterator[Finding]:
    sensors = ", ".join(camera_sensors(machine.root))
    if not has_gstreamer(machine.opencv_build()):
        text = f"{source} needs an OpenCV with GStreamer, which pip's does not have"
        remedy = JETPACK_OPENCV if machine.sees_system else f"{JETPACK_OPENCV}; {WITH_SYSTEM}"
        yield Finding("camera", State.PROBLEM, text, remedy)
    elif not sensors:
        text = f"camera.source is {source}, and no camera module is found"
        remedy = "check its ribbon cable; sudo /opt/nvidia/jetson-io/jetson-io.py"
        yield Finding("camera", State.PROBLEM, text, remedy)
    else:
        yield Finding("camera", State.OK, f"camera module {sensors} as {source}")


class CsiCamera:
    """Reads a camera module of a Jetson."""

    live = True

    def __init__(
        self,
        sensor: int,
        settings: CameraSettings,
        clock: Clock,
        capture: Callable[[str, int], Any] = cv2.VideoCapture,
        build: Callable[[], str] = cv2.getBuildInformation,
    ) -> None:
        """Start the camera.

        Args:
            sensor: Which connector: 0, 1.
            settings: Size, rate and exposure are taken from here.
            clock: Provides the frames' timestamps.
            capture: Stands in for ``cv2.VideoCapture``.
            build: Tells what OpenCV was built with.

        Raises:
            CameraError: OpenCV has no GStreamer, or the camera is absent or in use.
        """
        self.name = f"csi:{sensor}"
        self._clock = clock
        self._sequence = 0
        if not has_gstreamer(build()):
            raise CameraError(message("csi.no_gstreamer", camera=self.name))
        self._capture = capture(pipeline(sensor, settings), cv2.CAP_GSTREAMER)
        if not self._capture.isOpened():
            raise CameraError(message("csi.no_start", camera=self.name))

    def read(self) -> Frame:
        """The next picture.

        Raises:
            CameraError: The camera gave none.
        """
        captured, image = self._capture.read()
        if not captured or image is None:
            raise CameraError(message("csi.no_picture", camera=self.name))
        frame = Frame(as_bgr(image), self._clock.monotonic(), self._sequence)
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()


def has_gstreamer(build: str) -> bool:
    """Whether OpenCV was built with GStreamer, by ``cv2.getBuildInformation``."""
    return re.search(r"GStreamer:\s+YES", build) is not None


def pipeline(sensor: int, settings: CameraSettings) -> str:
    """GStreamer's pipeline from the sensor to BGR pictures of the size asked for, of which only the newest is kept.

    Of a sensor's picture with other proportions the middle is cut out, as large as it can be.

    Source: https://docs.nvidia.com/jetson/archives/r36.4/DeveloperGuide/SD/Multimedia/AcceleratedGstreamer.html
    """
    width, height = SENSOR_SIZE
    stops = settings.exposure_value + (BACKLIGHT_STOPS if settings.exposure == "backlight" else 0)
    compensation = max(-MOST_COMPENSATION, min(MOST_COMPENSATION, stops))
    return " ! ".join(
        (
            f"nvarguscamerasrc sensor-id={sensor} exposurecompensation={compensation:g}",
            f"video/x-raw(memory:NVMM),width={width},height={height},framerate={round(settings.fps)}/1,format=NV12",
            _cut(settings.width / settings.height),
            f"video/x-raw,width={settings.width},height={settings.height},format=BGRx",
            "videoconvert",
            "video/x-raw,format=BGR",
            "appsink drop=true max-buffers=1 sync=false",
        )
    )


def _cut(ratio: float) -> str:
    """The step that crops the sensor's frame to ``ratio`` (width to height); its numbers are edges."""
    width, height = SENSOR_SIZE
    across, down = min(width, round(height * ratio)), min(height, round(width / ratio))
    left, top = (width - across) // 2, (height - down) // 2
    return f"nvvidconv left={left} right={left + across} top={top} bottom={top + down}"

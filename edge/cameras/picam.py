"""The Raspberry Pi camera, through picamera2."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Container, Iterator
from typing import TYPE_CHECKING, Any

import cv2

from edge.board.findings import Finding, Machine
from edge.cameras import NotThereError
from edge.clock import Clock
from edge.errors import CameraError
from edge.messages import message
from edge.values import Frame
from edge.vision.preprocess import fitted_size

if TYPE_CHECKING:
    from edge.cameras.sources import Place
    from edge.config import CameraSettings

WAITS = True

BUFFERS = 3
"""Buffers: one being exposed, one waiting, one being read. Fewer lose frames, more add latency."""
READ_TIMEOUT = 5.0
"""Timeout for one frame, in seconds."""

SMALL_ALIGNMENT = 64
"""Row alignment of YUV frames, in bytes; a frame without padding is converted without a copy."""
BACKLIGHT_STOPS = 1.0
"""Exposure compensation for the middle of the frame against daylight, in EV."""
SPOT = 1
"""libcamera's AeMeteringModeEnum.Spot: meters the middle of the frame."""
SHORT = 1
"""libcamera's AeExposureModeEnum.Short: prefers gain to exposure time, because people walk."""
CONTINUOUS = 2
"""libcamera's AfModeEnum.Continuous, for modules with autofocus."""


class NoPiCameraError(NotThereError):
    """There is no Pi camera here, as opposed to one that does not work."""


def matches(source: str) -> bool:
    return source == "picamera"


def open_source(_: str, place: Place) -> PiCamera:
    return PiCamera(place.settings, place.clock, detector=place.detector)


def examine(_: Machine, _source: str) -> Iterator[Finding]:
    """Nothing: every Pi camera that is found is listed anyway."""
    yield from ()


class PiCamera:
    """Reads the first Pi camera in the configured size and rate, plus a second stream in the detector's size."""

    name = "picamera"
    live = True

    def __init__(
        self,
        settings: CameraSettings,
        clock: Clock,
        read_timeout: float = READ_TIMEOUT,
        detector: tuple[int, int] | None = None,
    ) -> None:
        """Start the camera.

        Args:
            settings: Size, rate and exposure are taken from here.
            clock: Provides the frames' timestamps.
            read_timeout: Timeout for a picture, in seconds.
            detector: Width and height of the face model's input: the camera scales a second picture to fit it.
                None takes no second picture.

        Raises:
            NoPiCameraError: picamera2 is not installed or sees no camera.
            CameraError: The camera is in use or does not start.
        """
        self._clock = clock
        self._read_timeout = read_timeout
        self._sequence = 0
        self._open = True
        self._small = small_size(settings, detector) if detector else None
        require_pi_camera()
        try:
            self._device = _picamera2()()
        except (RuntimeError, IndexError) as error:
            raise CameraError(message("pi.in_use", error=str(error))) from error
        try:
            self._start(settings)
        except Exception as error:
            self._device.close()
            raise CameraError(message("pi.no_start", error=str(error))) from error

    def _start(self, settings: CameraSettings) -> None:
        # picamera2 names formats after the order of bits in a word, so its RGB888 is B, G, R in memory.
        main = {"size": (settings.width, settings.height), "format": "RGB888"}
        lores = {"size": self._small, "format": "YUV420"} if self._small else None
        controls = {"FrameRate": settings.fps} | exposure_controls(settings, self._device.camera_controls)
        self._device.configure(
            self._device.create_video_configuration(main=main, lores=lores, controls=controls, buffer_count=BUFFERS)
        )
        self._device.start()

    def read(self) -> Frame:
        """The next picture.

        Raises:
            CameraError: The camera sent nothing in time.
        """
        streams = ["main", "lores"] if self._small else ["main"]
        job = self._device.capture_arrays(streams, wait=False)
        try:
            (image, *small), _ = self._device.wait(job, timeout=self._read_timeout)
        except (TimeoutError, concurrent.futures.TimeoutError) as error:  # two classes before Python 3.11
            raise CameraError(message("pi.silent", seconds=self._read_timeout)) from error
        scaled = cv2.cvtColor(small[0], cv2.COLOR_YUV2BGR_I420) if small else None
        frame = Frame(image, self._clock.monotonic(), self._sequence, scaled)
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Stop the camera."""
        if self._open:
            self._open = False
            self._device.stop()
            self._device.close()


def small_size(settings: CameraSettings, detector: tuple[int, int]) -> tuple[int, int] | None:
    """Width and height in pixels of the stream that replaces scaling for the detector; None if there is none.

    Args:
        settings: Width and height of the whole picture.
        detector: Width and height of the model's input.
    """
    width, height, scale = fitted_size(settings.width, settings.height, *detector)
    return None if width % SMALL_ALIGNMENT or height % 2 or scale >= 1 else (width, height)


def exposure_controls(settings: CameraSettings, known: Container[str]) -> dict[str, float]:
    """The controls of libcamera for the exposure that the settings ask for, of those that the camera knows.

    Source: https://libcamera.org/api-html/namespacelibcamera_1_1controls.html
    """
    against_light = settings.exposure == "backlight"
    stops = settings.exposure_value + (BACKLIGHT_STOPS if against_light else 0)
    wanted: dict[str, float] = {"AeExposureMode": SHORT, "ExposureValue": stops, "AfMode": CONTINUOUS}
    if against_light:
        wanted["AeMeteringMode"] = SPOT
    return {name: value for name, value in wanted.items() if name in known}


def require_pi_camera() -> str:
    """The model of the first Pi camera, found without opening it.

    Raises:
        NoPiCameraError: picamera2 is not installed or sees no camera.
    """
    found = _picamera2().global_camera_info()
    if not found:
        raise NoPiCameraError(message("pi.absent"))
    return str(found[0].get("Model", "unknown model"))


def _picamera2() -> Any:
    try:
        from picamera2 import Picamera2
    except ModuleNotFoundError as error:
        package = "python3-libcamera" if error.name == "libcamera" else "python3-picamera2"
        raise NoPiCameraError(message("pi.not_installed", package=package)) from error
    except (ImportError, OSError, ValueError) as error:  # ValueError: built against another NumPy
        raise NoPiCameraError(message("pi.not_loaded", error=str(error))) from error
    return Picamera2

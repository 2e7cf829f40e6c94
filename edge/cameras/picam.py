"""The Raspberry Pi camera, through picamera2."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any

from edge.clock import Clock
from edge.errors import CameraError
from edge.values import Frame

if TYPE_CHECKING:
    from edge.config import CameraSettings

BUFFERS = 3
"""One being exposed, one waiting, one being read: fewer lose frames, more make them older."""
READ_TIMEOUT = 5.0
"""Longest wait for one picture, in seconds."""


class NoPiCameraError(CameraError):
    """There is no Pi camera here, as opposed to one that does not work."""


class PiCamera:
    """Reads the first Pi camera in the size and rate asked for."""

    name = "picamera"
    live = True

    def __init__(self, settings: CameraSettings, clock: Clock, read_timeout: float = READ_TIMEOUT) -> None:
        """Start the camera.

        Args:
            settings: Size and rate are taken from here.
            clock: Stamps the frames.
            read_timeout: Longest wait for a picture, in seconds.

        Raises:
            NoPiCameraError: picamera2 is not installed or sees no camera.
            CameraError: The camera is in use or does not start.
        """
        self._clock = clock
        self._read_timeout = read_timeout
        self._sequence = 0
        self._open = True
        require_pi_camera()
        try:
            self._device = _picamera2()()
        except (RuntimeError, IndexError) as error:
            raise CameraError(
                f"The Pi camera is in use ({error}); stop the other program, see `sudo fuser -v /dev/media*`."
            ) from error
        try:
            self._start(settings)
        except Exception as error:
            self._device.close()
            raise CameraError(f"The Pi camera does not start: {error}; try `rpicam-hello`.") from error

    def _start(self, settings: CameraSettings) -> None:
        # picamera2 names formats after the order of bits in a word, so its RGB888 is B, G, R in memory.
        configuration = self._device.create_video_configuration(
            main={"size": (settings.width, settings.height), "format": "RGB888"},
            controls={"FrameRate": settings.fps},
            buffer_count=BUFFERS,
        )
        self._device.configure(configuration)
        self._device.start()

    def read(self) -> Frame:
        """The next picture.

        Raises:
            CameraError: The camera sent nothing in time.
        """
        job = self._device.capture_array("main", wait=False)
        try:
            image = self._device.wait(job, timeout=self._read_timeout)
        except (TimeoutError, concurrent.futures.TimeoutError) as error:  # two classes before Python 3.11
            raise CameraError(
                f"The Pi camera sent no picture for {self._read_timeout:g} s; check its ribbon cable."
            ) from error
        frame = Frame(image, self._clock.monotonic(), self._sequence)
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Stop the camera."""
        if self._open:
            self._open = False
            self._device.stop()
            self._device.close()


def require_pi_camera() -> str:
    """The model of the first Pi camera, found without opening it.

    Raises:
        NoPiCameraError: picamera2 is not installed or sees no camera.
    """
    found = _picamera2().global_camera_info()
    if not found:
        raise NoPiCameraError("libcamera sees no camera; check the ribbon cable and `rpicam-hello --list-cameras`.")
    return str(found[0].get("Model", "unknown model"))


def _picamera2() -> Any:
    try:
        from picamera2 import Picamera2  # noqa: PLC0415
    except ModuleNotFoundError as error:
        package = "python3-libcamera" if error.name == "libcamera" else "python3-picamera2"
        raise NoPiCameraError(
            f"{package} is not installed; on Raspberry Pi OS: `sudo apt install {package}`."
        ) from error
    except (ImportError, OSError, ValueError) as error:  # ValueError: built against another NumPy
        raise NoPiCameraError(f"picamera2 cannot be loaded ({error}); `sudo apt install python3-picamera2`.") from error
    return Picamera2

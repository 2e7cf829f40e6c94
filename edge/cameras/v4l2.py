"""USB cameras, and whatever else Linux shows as /dev/videoN."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from edge.cameras.video import as_bgr
from edge.clock import Clock
from edge.errors import CameraError
from edge.values import Frame

if TYPE_CHECKING:
    from edge.config import CameraSettings

# https://docs.kernel.org/userspace-api/media/v4l/vidioc-querycap.html
VIDIOC_QUERYCAP = 0x80685600
CAPABILITY = struct.Struct("16s32s32sIII12x")
CAP_VIDEO_CAPTURE = 0x0000_0001
CAP_DEVICE_CAPS = 0x8000_0000
NOT_CAMERAS = frozenset(
    {"bcm2835-codec", "bcm2835-isp", "pispbe", "rp1-cfe", "rpi-hevc-dec", "rpivid", "tegra-video", "unicam"}
)
"""Drivers of codecs, and of sensors whose raw pictures only libcamera or Argus can develop."""


@dataclass(frozen=True, slots=True)
class Device:
    """A node that captures video: its path, the name its maker gave it, its kernel driver."""

    path: Path
    card: str
    driver: str


def devices(root: Path = Path("/dev"), query: Callable[[Path], Device | None] | None = None) -> Iterator[Device]:
    """The cameras among ``root``/video*, in the order of their numbers.

    Nodes that cannot be opened are listed with an empty name, so that opening them says why.
    """
    nodes = (path for path in root.glob("video*") if path.name[5:].isdigit())
    for path in sorted(nodes, key=lambda path: int(path.name[5:])):
        device = (query or capture_device)(path)
        if device and device.driver not in NOT_CAMERAS:
            yield device


def capture_device(path: Path) -> Device | None:
    """What the kernel says of a node, or None where it captures no video: a metadata or output node, or gone."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError:
        return Device(path, "", "")
    try:
        answer = fcntl.ioctl(handle, VIDIOC_QUERYCAP, bytes(CAPABILITY.size))
    except OSError as error:
        return None if error.errno in (errno.ENOTTY, errno.ENODEV, errno.EINVAL) else Device(path, "", "")
    finally:
        os.close(handle)
    return parse_capability(path, answer)


def parse_capability(path: Path, answer: bytes) -> Device | None:
    """Read a ``struct v4l2_capability``; None where the node captures no video."""
    driver, card, _, _, capabilities, device_capabilities = CAPABILITY.unpack(answer)
    of_node = device_capabilities if capabilities & CAP_DEVICE_CAPS else capabilities
    if not of_node & CAP_VIDEO_CAPTURE:
        return None
    return Device(path, _text(card), _text(driver))


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


class V4l2Camera:
    """Reads a camera through OpenCV: MJPG, so that full rate fits USB 2, and a buffer of one, so that it is fresh."""

    live = True

    def __init__(
        self,
        path: Path,
        settings: CameraSettings,
        clock: Clock,
        capture: Callable[[str, int], Any] = cv2.VideoCapture,
        proc: Path = Path("/proc"),
    ) -> None:
        """Open the camera.

        Args:
            path: The device node.
            settings: Size and rate are asked for; ``granted`` says what the camera made of it.
            clock: Stamps the frames.
            capture: Stands in for ``cv2.VideoCapture``.
            proc: Where the kernel shows processes, to name the one that holds the camera.

        Raises:
            CameraError: It is absent, forbidden, in use, or no camera.
        """
        self.name = str(path)
        self._path, self._clock, self._proc = path, clock, proc
        self._sequence = 0
        _require_access(path)
        self._capture = capture(str(path), cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise self._failure("cannot be opened as a camera")
        for setting, value in (
            (cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*"MJPG")),  # type: ignore[attr-defined]
            (cv2.CAP_PROP_FRAME_WIDTH, settings.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, settings.height),
            (cv2.CAP_PROP_FPS, settings.fps),
            (cv2.CAP_PROP_BUFFERSIZE, 1),
        ):
            self._capture.set(setting, value)

    @property
    def granted(self) -> tuple[int, int, float]:
        """Width and height in pixels and frames a second that the camera agreed to."""
        width, height, fps = (
            self._capture.get(one) for one in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS)
        )
        return int(width), int(height), float(fps)

    def read(self) -> Frame:
        """The next picture.

        Raises:
            CameraError: The camera gave none: unplugged, taken by another program, or stuck.
        """
        captured, image = self._capture.read()
        if not captured or image is None:
            _require_access(self._path)
            raise self._failure("gives no picture")
        frame = Frame(as_bgr(image), self._clock.monotonic(), self._sequence)
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Let go of the device."""
        self._capture.release()

    def _failure(self, what: str) -> CameraError:
        holder = _holder(self._path, self._proc)
        if holder:
            return CameraError(f"{self._path} is in use by {holder}; stop that program, or choose another source.")
        return CameraError(
            f"{self._path} {what}; unplug it and plug it in again, and see who else uses it with "
            f"`sudo fuser -v {self._path}`."
        )


def _require_access(path: Path) -> None:
    if not path.exists():
        others = ", ".join(str(device.path) for device in devices(path.parent)) or "no camera is plugged in"
        raise CameraError(f"There is no {path}; plug the camera in, or choose another source (found: {others}).")
    if not os.access(path, os.R_OK | os.W_OK):
        raise CameraError(f"This user may not use {path}; run `sudo usermod -aG video $USER` and log in again.")


def _holder(path: Path, proc: Path) -> str | None:
    """The other process that has ``path`` open, as far as this user may see: "process 812 (cheese)"."""
    for link in proc.glob("[0-9]*/fd/*"):
        pid = link.parent.parent.name
        try:
            if int(pid) != os.getpid() and link.readlink() == path:
                return f"process {pid} ({(proc / pid / 'comm').read_text().strip()})"
        except OSError:  # the process has gone, or is another user's
            continue
    return None

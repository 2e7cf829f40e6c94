"""A camera that Linux shows as a device, /dev/videoN, through OpenCV."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from edge.board.findings import Finding, Machine, State
from edge.cameras.devices import devices
from edge.cameras.video import as_bgr
from edge.clock import Clock
from edge.errors import CameraError
from edge.messages import message
from edge.values import Frame

if TYPE_CHECKING:
    from edge.cameras.sources import Place
    from edge.config import CameraSettings

WAITS = True
DEV = Path("/dev")
MEMORY = (DEV / "shm", DEV / "mqueue")
"""Folders in /dev that contain files, not devices."""
VIDEO4LINUX = 81
"""The major number of each camera's device in Linux."""


def matches(source: str) -> bool:
    """Whether it is a device, or a link to where one is or will be once it is plugged in."""
    path = Path(source).expanduser()
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except FileNotFoundError:
        place = Path(os.path.realpath(path))
        return place.is_relative_to(DEV) and not any(place.is_relative_to(folder) for folder in MEMORY)


def open_source(source: str, place: Place) -> V4l2Camera:
    return V4l2Camera(Path(source).expanduser(), place.settings, place.clock)


def examine(machine: Machine, source: str) -> Iterator[Finding]:
    path = machine.root / Path(source).expanduser().relative_to("/") if source.startswith("/") else Path(source)
    if not path.exists():
        remedy = "plug the camera in; check: ls -l /dev/v4l/by-id"
        yield Finding("camera", State.PROBLEM, f"there is no {source}", remedy)


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
            path: The device node, or a link to it, which is followed now.
            settings: Size and rate are asked for; ``granted`` says what the camera made of it.
            clock: Provides the frames' timestamps.
            capture: Stands in for ``cv2.VideoCapture``.
            proc: Where the kernel shows processes, to name the one that holds the camera.

        Raises:
            CameraError: It is absent, forbidden, in use, or no camera.
        """
        self.name = str(path)
        self._path, self._clock, self._proc = path, clock, proc
        self._sequence = 0
        _require_access(path)
        self._node = path.resolve()
        self._capture = capture(str(self._node), cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise self._failure("usb.no_camera")
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
        """Width and height in pixels and frames per second that the camera agreed to."""
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
            raise self._failure("usb.no_picture")
        frame = Frame(as_bgr(image), self._clock.monotonic(), self._sequence)
        self._sequence += 1
        return frame

    def close(self) -> None:
        """Release the device."""
        self._capture.release()

    def _failure(self, key: str) -> CameraError:
        if _is_other_device(self._node):
            return CameraError(message("usb.other_device", camera=self._path))
        holder = _holder(self._node, self._proc)
        if holder:
            return CameraError(message("usb.in_use", camera=self._path, holder=holder))
        return CameraError(message(key, camera=self._path, node=self._node))


def _require_access(path: Path) -> None:
    if not path.exists():
        found = list(devices(path.parent)) or list(devices(DEV))
        others = ", ".join(str(device.path) for device in found) or message("usb.none")
        raise CameraError(message("usb.absent", camera=path, others=others))
    if not os.access(path, os.R_OK | os.W_OK):
        raise CameraError(message("usb.forbidden", camera=path))


def _is_other_device(path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:  # unplugged
        return False
    return stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) != VIDEO4LINUX


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

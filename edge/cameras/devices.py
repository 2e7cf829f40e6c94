"""Which cameras Linux shows as /dev/videoN."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

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
    """What the kernel says of a node, or None if it captures no video: a metadata or output node, or gone."""
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
    """Read a ``struct v4l2_capability``; None if the node captures no video."""
    driver, card, _, _, capabilities, device_capabilities = CAPABILITY.unpack(answer)
    of_node = device_capabilities if capabilities & CAP_DEVICE_CAPS else capabilities
    if not of_node & CAP_VIDEO_CAPTURE:
        return None
    return Device(path, _text(card), _text(driver))


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")

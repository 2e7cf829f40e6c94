"""USB cameras by their number, independent of the device name that Linux gives them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge.board.findings import Finding, Machine
from edge.cameras import NotThereError
from edge.cameras.devices import devices
from edge.cameras.v4l2 import V4l2Camera

if TYPE_CHECKING:
    from edge.cameras.sources import Place

WAITS = True


class NoUsbCameraError(NotThereError):
    """There is no USB camera here, as opposed to one that does not work."""


def matches(source: str) -> bool:
    return re.fullmatch(r"usb:\d+", source) is not None


def open_source(source: str, place: Place) -> V4l2Camera:
    found = list(devices(place.dev))
    index = int(source[4:])
    if not found:
        some = any(place.dev.glob("video*"))
        where = f"none of {place.dev}/video* captures video" if some else f"there is no {place.dev}/video*"
        raise NoUsbCameraError(f"{where}; plug one in and check `lsusb`.")
    if index >= len(found):
        listed = ", ".join(f"usb:{number} is {device.path}" for number, device in enumerate(found))
        raise NoUsbCameraError(f"There is no camera usb:{index}; found: {listed}.")
    return V4l2Camera(found[index].path, place.settings, place.clock)


def examine(_: Machine, _source: str) -> Iterator[Finding]:
    """Nothing: every USB camera that is found is listed anyway."""
    yield from ()

"""USB cameras by their number, independent of the device name that Linux gives them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge.board.findings import Finding, Machine
from edge.cameras import NotThereError
from edge.cameras.devices import devices
from edge.cameras.v4l2 import V4l2Camera
from edge.messages import message

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
        raise NoUsbCameraError(message("usb.none_captures" if some else "usb.no_device", devices=place.dev))
    if index >= len(found):
        listed = ", ".join(f"usb:{number} = {device.path}" for number, device in enumerate(found))
        raise NoUsbCameraError(message("usb.no_number", number=index, found=listed))
    return V4l2Camera(found[index].path, place.settings, place.clock)


def examine(_: Machine, _source: str) -> Iterator[Finding]:
    """Nothing: every USB camera that is found is listed anyway."""
    yield from ()

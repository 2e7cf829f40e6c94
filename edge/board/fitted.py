"""What is fitted to the board: camera modules and GPIO chips."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.board.sysfs import text_of

SENSOR = re.compile(r"\b((?:imx|ov|ar|gc|s5k)\d\w*)", re.IGNORECASE)
"""Finds the chip's name in the driver name of a camera module."""
USB = re.compile(r"/usb\d+/")
"""Part of the path of any device on a USB bus."""
HEADER_CHIPS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""Labels of the chip behind a Raspberry Pi's header: RP1 on the Pi 5, before it the processor's own."""


@dataclass(frozen=True, slots=True)
class GpioChip:
    """A GPIO chip: its name under /dev, and its label: ``pinctrl-rp1``."""

    name: str
    label: str

    @property
    def number(self) -> int:
        """Of its device."""
        return int(self.name.removeprefix("gpiochip"))


def camera_sensors(root: Path = Path("/")) -> list[str]:
    """The chips of camera modules on a ribbon cable, as far as a driver has found them: ``imx219``.

    Args:
        root: Where /sys is.
    """
    names = [text_of(node / "name") for node in sorted((root / "sys/class/video4linux").glob("*"))]
    return [found[1].lower() for name in names if (found := SENSOR.search(name))]


def cameras(root: Path) -> Iterator[str]:
    """Sensors on the ribbon cable by their chip, and everything else that captures by its own name, each once."""
    sensors = camera_sensors(root)
    folders = (node.resolve() for node in sorted((root / "sys/class/video4linux").glob("video*")))
    usb = [text_of(node / "name") for node in folders if text_of(node / "index") == "0" and USB.search(str(node))]
    yield from dict.fromkeys([*sensors, *usb])


def gpio_chips(root: Path = Path("/")) -> Iterator[GpioChip]:
    """The GPIO chips that sysfs lists, with their labels.

    Args:
        root: Where /sys is.
    """
    for chip in sorted((root / "sys/class/gpio").glob("gpiochip*"), key=lambda path: int(path.name[8:])):
        names = sorted(path.name for path in (chip / "device").glob("gpiochip[0-9]*"))
        yield GpioChip(names[0] if names else chip.name, text_of(chip / "label"))


def header_chip(root: Path = Path("/")) -> GpioChip | None:
    """The GPIO chip behind a Raspberry Pi's header, found by its label; None if there is none.

    Args:
        root: Where /sys and /dev are.
    """
    chips = {chip.label: chip for chip in gpio_chips(root) if (root / "dev" / chip.name).exists()}
    return next((chips[label] for label in HEADER_CHIPS if label in chips), None)

"""How the board is doing: temperature, power, and whether it slows itself down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from edge.board.sysfs import found, text_of
from edge.messages import message

CONSTANT_ZONES = frozenset({"PMIC-Die"})
"""Zones of a Jetson that always report 100 °C."""
THROTTLED_BITS = {
    "under_voltage": 0,
    "frequency_capped": 1,
    "throttled": 2,
    "soft_temperature_limit": 3,
}
"""Bits of the Raspberry Pi firmware's throttling word for now; the bits for "since boot" are 16 higher.

https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
"""
CAUSES = {
    "under_voltage": message("board.under_voltage"),
    "frequency_capped": message("board.frequency_capped"),
    "throttled": message("board.throttled"),
    "soft_temperature_limit": message("board.soft_temperature_limit"),
    "heat": message("board.heat"),
}
SINCE_BOOT = 16
"""Offset of the "since boot" bits in the firmware's word."""
SLOWING = re.compile(r"^(thermal-)?cpufreq")
"""Types of cooling devices that lower the CPU clock."""


def temperature_celsius(root: Path = Path("/")) -> float | None:
    """The hottest thermal zone, in degrees Celsius; None if none is measured.

    Args:
        root: Where /sys is.
    """
    zones = found(root / "sys/class/thermal", "thermal_zone*")
    readings = (text_of(zone / "temp") for zone in zones if text_of(zone / "type") not in CONSTANT_ZONES)
    return max((int(reading) / 1000 for reading in readings if reading.lstrip("-").isdecimal()), default=None)


def throttled(root: Path = Path("/")) -> dict[str, bool] | None:
    """What slows the board down now, by cause; None if unknown.

    A Raspberry Pi's firmware reports it. Kernels without the firmware's file report under-voltage through a sensor, and
    every kernel reports heat through its active cooling devices.

    Args:
        root: Where /sys is.
    """
    word = _firmware_word(root)
    if word is not None:
        return {cause: bool(word >> bit & 1) for cause, bit in THROTTLED_BITS.items()}
    causes = {}
    for sensor in found(root / "sys/class/hwmon", "hwmon*"):
        if text_of(sensor / "name") == "rpi_volt":
            causes["under_voltage"] = text_of(sensor / "in0_lcrit_alarm") == "1"
    devices = found(root / "sys/class/thermal", "cooling_device*")
    slowing = [text_of(one / "cur_state") not in ("", "0") for one in devices if SLOWING.match(text_of(one / "type"))]
    if slowing:
        causes["heat"] = any(slowing)
    return causes or None


def slowed_by(root: Path = Path("/")) -> tuple[str, ...]:
    """Why the board slows itself down now, in words: ``under voltage``, ``heat``; empty while it does not.

    Args:
        root: Where /sys is.
    """
    return tuple(CAUSES[cause] for cause, now in (throttled(root) or {}).items() if now)


def power_warnings(root: Path = Path("/")) -> Iterator[str]:
    """What was wrong with power or heat since boot, or is now, a few words each.

    Args:
        root: Where /sys is.
    """
    word = _firmware_word(root) or 0
    for cause, bit in THROTTLED_BITS.items():
        if word >> (bit + SINCE_BOOT) & 1 and not word >> bit & 1:
            yield f"since boot: {cause.replace('_', ' ')}"
    for count in found(root / "sys/class/hwmon", "hwmon*/oc*_event_cnt"):
        if (times := text_of(count)) not in ("", "0"):
            yield f"over-current {times} times ({count.name.removesuffix('_event_cnt')})"
    yield from (f"now: {cause}" for cause in slowed_by(root))


def _firmware_word(root: Path) -> int | None:
    files = found(root / "sys/devices/platform", "soc*/soc*:firmware/get_throttled")
    try:
        return int(text_of(files[0]), 16) if files else None
    except ValueError:
        return None

"""How the board itself is doing: its temperature, and whether it slows down for heat or want of power.

Read from sysfs: no program is started, no right beyond reading is needed.
"""

from __future__ import annotations

from pathlib import Path

CONSTANT_ZONES = frozenset({"PMIC-Die"})
"""Zones of a Jetson that always report 100 °C."""
THROTTLED_BITS = {
    "under_voltage": 0,
    "frequency_capped": 1,
    "throttled": 2,
    "soft_temperature_limit": 3,
}
"""Causes in the Raspberry Pi firmware's word for now; what has happened since boot stands 16 bits higher.

https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
"""


def temperature_celsius(root: Path = Path("/")) -> float | None:
    """The hottest thermal zone, in degrees Celsius; None where none is measured.

    Args:
        root: Where /sys is.
    """
    zones = (root / "sys/class/thermal").glob("thermal_zone*")
    readings = (_text(zone / "temp") for zone in zones if _text(zone / "type") not in CONSTANT_ZONES)
    return max((int(reading) / 1000 for reading in readings if reading.lstrip("-").isdecimal()), default=None)


def throttled(root: Path = Path("/")) -> dict[str, bool] | None:
    """What slows a Raspberry Pi down now, by cause; None on other boards.

    Kernels without the firmware's own file still tell of under-voltage, as a sensor.

    Args:
        root: Where /sys is.
    """
    word = _firmware_word(root)
    if word is not None:
        return {cause: bool(word >> bit & 1) for cause, bit in THROTTLED_BITS.items()}
    for sensor in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if _text(sensor / "name") == "rpi_volt":
            return {"under_voltage": _text(sensor / "in0_lcrit_alarm") == "1"}
    return None


def _firmware_word(root: Path) -> int | None:
    file = next((root / "sys/devices/platform").glob("soc*/soc*:firmware/get_throttled"), None)
    try:
        return None if file is None else int(_text(file), 16)
    except ValueError:
        return None


def _text(path: Path) -> str:
    """The content of a file, or nothing: a sensor may be there and yet refuse to be read."""
    try:
        return path.read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return ""

"""Which board this is, what is fitted to it, and how it is doing: temperature, and whether it slows itself down.

Read from /proc and /sys: no program is started, no right beyond reading is needed.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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

SINCE_BOOT = 16
"""How many bits higher the firmware's word tells of what has happened since boot."""
SLOWING = re.compile(r"^(thermal-)?cpufreq|^cpu-balanced", re.IGNORECASE)
"""Cooling devices that lower the processor's clock."""
SENSOR = re.compile(r"\b((?:imx|ov|ar|gc|s5k)\d\w*)", re.IGNORECASE)
"""The name of a camera module's chip within what its driver calls itself."""
USB = re.compile(r"/usb\d+/")
"""Within the path of a device that is on a USB bus."""
HEADER_CHIPS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""Labels of the chip behind a Raspberry Pi's header: RP1 on the Pi 5, before it the processor's own."""
MAX_THREADS = 4


@dataclass(frozen=True, slots=True)
class Profile:
    """What maskgate does differently on a kind of board.

    Attributes:
        name: For people.
        pattern: Found in the device tree's model and compatible names.
        threads: For a model; one core is left to the camera and the pages. None takes half the cores.
        camera: Who reads a camera module: ``picamera2``, or ``gstreamer`` (source ``csi:0``); None where no one can.
        pins: Which library drives them: ``gpiozero`` or ``gpiod``; None where there are none.
        edge_tpu: Whether one is built in.
        face: Name in the shipped manifest of the face model that it is fast enough for.
        mask: Likewise, of the mask model.
    """

    name: str
    pattern: str
    threads: int | None = None
    camera: Literal["picamera2", "gstreamer"] | None = None
    pins: Literal["gpiozero", "gpiod"] | None = None
    edge_tpu: bool = False
    face: str = "face"
    mask: str = "mask"


PROFILES = (
    Profile("Raspberry Pi Zero 2 W", r"model-zero-2|Raspberry Pi Zero 2", 3, "picamera2", "gpiozero"),
    Profile("Raspberry Pi 3", r"raspberrypi,3-|Raspberry Pi 3", 3, "picamera2", "gpiozero"),
    Profile("Raspberry Pi 4", r"raspberrypi,4-|Raspberry Pi 4", 3, "picamera2", "gpiozero"),
    Profile("Raspberry Pi 5", r"raspberrypi,5-|Raspberry Pi 5", 3, "picamera2", "gpiozero"),
    Profile("Raspberry Pi", r"Raspberry Pi", None, "picamera2", "gpiozero"),
    Profile("Jetson Orin Nano or NX", r"\bp3767-", 4, "gstreamer", "gpiod"),
    Profile("Jetson AGX Orin", r"\bp3701-", 4, "gstreamer", "gpiod"),
    Profile("Jetson Orin", r"nvidia,tegra234", 4, "gstreamer", "gpiod"),
    Profile("Jetson Nano", r"nvidia,jetson-nano|nvidia,p3450|nvidia,p3541", 3, "gstreamer", "gpiod"),
    Profile("Jetson", r"nvidia,tegra", None, "gstreamer", "gpiod"),
    Profile("Coral Dev Board", r"imx8mq-phanbell", 3, None, "gpiod", edge_tpu=True),
    Profile("Coral Dev Board Mini", r"mediatek,mt8167", 3, None, "gpiod", edge_tpu=True),
)
"""The one table of boards; the first that fits counts. Threads are a choice, not a measurement: ``maskgate bench``.

Every board takes the same models, because one size of each is shipped; settings override both.
"""
UNKNOWN = Profile("unknown board", "")


@dataclass(frozen=True, slots=True)
class GpioChip:
    """A GPIO chip: its name under /dev, and its label: ``pinctrl-rp1``."""

    name: str
    label: str

    @property
    def number(self) -> int:
        """Of its device."""
        return int(self.name.removeprefix("gpiochip"))


@dataclass(frozen=True, slots=True)
class Board:
    """A board, as it was read.

    Attributes:
        profile: What maskgate knows of this kind.
        model: What it calls itself.
        revision: Of a Raspberry Pi, in hexadecimal; empty elsewhere.
        system: The operating system.
        kernel: Its release: ``6.12.47+rpt-rpi-v8``.
        architecture: As ``uname -m`` says it.
        python: Version of the interpreter.
        memory: Installed, in bytes.
        free_memory: Of it, what a program could take now, in bytes.
        cameras: What drivers call the cameras that are fitted.
        gpio_chips: Those that can be told.
        temperature: Of the hottest sensor, in degrees Celsius; None where none is measured.
        slowed_by: Why it slows itself down now.
        warnings: What was wrong with power or heat since boot, or is now, a sentence each.
    """

    profile: Profile
    model: str
    revision: str
    system: str
    kernel: str
    architecture: str
    python: str
    memory: int
    free_memory: int
    cameras: tuple[str, ...]
    gpio_chips: tuple[GpioChip, ...]
    temperature: float | None
    slowed_by: tuple[str, ...]
    warnings: tuple[str, ...]


def read_board(root: Path = Path("/"), architecture: str | None = None) -> Board:
    """Look at the board.

    Args:
        root: Where /proc, /sys and /etc are.
        architecture: Of the machine, unless given.
    """
    total, free = memory_bytes(root)
    return Board(
        profile=profile_of(root),
        model=model_name(root),
        revision=_revision(root),
        system=system_name(root),
        kernel=kernel_release(root),
        architecture=architecture or platform.machine(),
        python=platform.python_version(),
        memory=total,
        free_memory=free,
        cameras=tuple(_cameras(root)),
        gpio_chips=tuple(gpio_chips(root)),
        temperature=temperature_celsius(root),
        slowed_by=slowed_by(root),
        warnings=tuple(power_warnings(root)),
    )


def profile_of(root: Path = Path("/")) -> Profile:
    """What the table says of this board.

    Args:
        root: Where /proc is.
    """
    tree = root / "proc/device-tree"
    told = f"{_text(tree / 'model')}\n{_text(tree / 'compatible')}"
    return next((profile for profile in PROFILES if re.search(profile.pattern, told)), UNKNOWN)


def threads_for(profile: Profile, cores: int) -> int:
    """Threads for a model on a board of which ``cores`` may be used: the table's, else half, at least 1, at most 4."""
    return min(MAX_THREADS, max(1, cores // 2) if profile.threads is None else min(profile.threads, cores))


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def model_name(root: Path = Path("/")) -> str:
    """What the board calls itself: ``Raspberry Pi 4 Model B Rev 1.4``, or of a PC its product name."""
    product = _text(root / "sys/class/dmi/id/product_name") or "unknown model"
    return _text(root / "proc/device-tree/model") or f"PC ({product})"


def system_name(root: Path = Path("/")) -> str:
    """The operating system, as it calls itself."""
    release = dict(line.split("=", 1) for line in _text(root / "etc/os-release").splitlines() if "=" in line)
    return release.get("PRETTY_NAME", "unknown").strip('"')


def kernel_release(root: Path = Path("/")) -> str:
    """The kernel's release, as ``uname -r`` says it."""
    return _text(root / "proc/sys/kernel/osrelease")


def memory_bytes(root: Path = Path("/")) -> tuple[int, int]:
    """Memory that is installed, and what of it a program could take now, in bytes."""
    amounts = dict(line.split(":", 1) for line in _text(root / "proc/meminfo").splitlines() if ":" in line)
    total, free = (int(amounts.get(key, "0 kB").split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
    return total, free


def camera_sensors(root: Path = Path("/")) -> list[str]:
    """The chips of camera modules on a ribbon cable, as far as a driver has found them: ``imx219``.

    Args:
        root: Where /sys is.
    """
    names = [_text(node / "name") for node in sorted((root / "sys/class/video4linux").glob("*"))]
    return [found[1].lower() for name in names if (found := SENSOR.search(name))]


def slowed_by(root: Path = Path("/")) -> tuple[str, ...]:
    """Why the board slows itself down now, in words: ``under voltage``, ``heat``; empty while it does not.

    Args:
        root: Where /sys is.
    """
    return tuple(cause.replace("_", " ") for cause, now in (throttled(root) or {}).items() if now)


def temperature_celsius(root: Path = Path("/")) -> float | None:
    """The hottest thermal zone, in degrees Celsius; None where none is measured.

    Args:
        root: Where /sys is.
    """
    zones = (root / "sys/class/thermal").glob("thermal_zone*")
    readings = (_text(zone / "temp") for zone in zones if _text(zone / "type") not in CONSTANT_ZONES)
    return max((int(reading) / 1000 for reading in readings if reading.lstrip("-").isdecimal()), default=None)


def throttled(root: Path = Path("/")) -> dict[str, bool] | None:
    """What slows the board down now, by cause; None where nothing tells.

    Raspberry Pis tell by their firmware. Kernels without its own file tell of under-voltage by a sensor, and every
    kernel of heat by the cooling devices of which it makes use.

    Args:
        root: Where /sys is.
    """
    word = _firmware_word(root)
    if word is not None:
        return {cause: bool(word >> bit & 1) for cause, bit in THROTTLED_BITS.items()}
    causes = {}
    for sensor in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if _text(sensor / "name") == "rpi_volt":
            causes["under_voltage"] = _text(sensor / "in0_lcrit_alarm") == "1"
    devices = (root / "sys/class/thermal").glob("cooling_device*")
    slowing = [_text(one / "cur_state") not in ("", "0") for one in devices if SLOWING.match(_text(one / "type"))]
    if slowing:
        causes["heat"] = any(slowing)
    return causes or None


def power_warnings(root: Path = Path("/")) -> Iterator[str]:
    """What was wrong with power or heat since boot, or is now, a few words each.

    Args:
        root: Where /sys is.
    """
    word = _firmware_word(root) or 0
    for cause, bit in THROTTLED_BITS.items():
        if word >> (bit + SINCE_BOOT) & 1 and not word >> bit & 1:
            yield f"since boot: {cause.replace('_', ' ')}"
    for count in sorted((root / "sys/class/hwmon").glob("hwmon*/oc*_event_cnt")):
        if (times := _text(count)) not in ("", "0"):
            yield f"over-current {times} times ({count.name.removesuffix('_event_cnt')})"
    yield from (f"now: {cause}" for cause in slowed_by(root))


def _revision(root: Path) -> str:
    found = re.search(r"^Revision\s*: (\w+)", _text(root / "proc/cpuinfo"), re.MULTILINE)
    return found[1] if found else ""


def _cameras(root: Path) -> Iterator[str]:
    """Sensors on the ribbon cable by their chip, and everything else that captures by its own name, each once."""
    sensors = camera_sensors(root)
    folders = (node.resolve() for node in sorted((root / "sys/class/video4linux").glob("video*")))
    usb = [_text(node / "name") for node in folders if _text(node / "index") == "0" and USB.search(str(node))]
    yield from dict.fromkeys([*sensors, *usb])


def gpio_chips(root: Path = Path("/")) -> Iterator[GpioChip]:
    """The GPIO chips that sysfs lists, with their labels.

    Args:
        root: Where /sys is.
    """
    for chip in sorted((root / "sys/class/gpio").glob("gpiochip*"), key=lambda path: int(path.name[8:])):
        names = sorted(path.name for path in (chip / "device").glob("gpiochip[0-9]*"))
        yield GpioChip(names[0] if names else chip.name, _text(chip / "label"))


def header_chip(root: Path = Path("/")) -> GpioChip | None:
    """The GPIO chip behind a Raspberry Pi's header, told by its label; None where there is none.

    Args:
        root: Where /sys and /dev are.
    """
    chips = {chip.label: chip for chip in gpio_chips(root) if (root / "dev" / chip.name).exists()}
    return next((chips[label] for label in HEADER_CHIPS if label in chips), None)


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

"""Everything that is known of the board."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

from edge.board.fitted import GpioChip, cameras, gpio_chips
from edge.board.profiles import Profile, profile_of
from edge.board.sensors import power_warnings, slowed_by, temperature_celsius
from edge.board.sysfs import text_of


@dataclass(frozen=True, slots=True)
class Board:
    """What was read from a board.

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
        temperature: Of the hottest sensor, in degrees Celsius; None if none is measured.
        slowed_by: Why it slows itself down now.
        warnings: What was wrong with power or heat since boot, or is now, one sentence each.
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
    """Read the board's state.

    Args:
        root: Where /proc, /sys and /etc are.
        architecture: Of the machine, by default.
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
        cameras=tuple(cameras(root)),
        gpio_chips=tuple(gpio_chips(root)),
        temperature=temperature_celsius(root),
        slowed_by=slowed_by(root),
        warnings=tuple(power_warnings(root)),
    )


def model_name(root: Path = Path("/")) -> str:
    """What the board calls itself: ``Raspberry Pi 4 Model B Rev 1.4``, or of a PC its product name."""
    product = text_of(root / "sys/class/dmi/id/product_name") or "unknown model"
    return text_of(root / "proc/device-tree/model") or f"PC ({product})"


def system_name(root: Path = Path("/")) -> str:
    """The operating system, as it calls itself."""
    release = dict(line.split("=", 1) for line in text_of(root / "etc/os-release").splitlines() if "=" in line)
    return release.get("PRETTY_NAME", "unknown").strip('"')


def kernel_release(root: Path = Path("/")) -> str:
    """The kernel's release, as ``uname -r`` says it."""
    return text_of(root / "proc/sys/kernel/osrelease")


def memory_bytes(root: Path = Path("/")) -> tuple[int, int]:
    """Memory that is installed, and what of it a program could take now, in bytes."""
    amounts = dict(line.split(":", 1) for line in text_of(root / "proc/meminfo").splitlines() if ":" in line)
    total, free = (int(amounts.get(key, "0 kB").split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
    return total, free


def _revision(root: Path) -> str:
    found = re.search(r"^Revision\s*: (\w+)", text_of(root / "proc/cpuinfo"), re.MULTILINE)
    return found[1] if found else ""

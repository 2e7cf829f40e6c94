"""The one table of boards: what maskgate does differently on each."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.board.sysfs import text_of

MAX_THREADS = 4


@dataclass(frozen=True, slots=True)
class Profile:
    """What maskgate does differently on a kind of board.

    Attributes:
        name: For people.
        pattern: Found in the device tree's model and compatible names.
        threads: For a model; one core is left to the camera and the pages. None takes half the cores.
        camera: Who reads a camera module: ``picamera2``, or ``gstreamer`` (source ``csi:0``); None if no one can.
        pins: Which library drives them: ``gpiozero`` or ``gpiod``; None if there are none.
        face: Name in the shipped manifest of the face model that it is fast enough for.
        mask: Name there of the mask model.
    """

    name: str
    pattern: str
    threads: int | None = None
    camera: Literal["picamera2", "gstreamer"] | None = None
    pins: Literal["gpiozero", "gpiod"] | None = None
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
    Profile("Jetson", r"nvidia,tegra", None, "gstreamer", "gpiod"),
)
"""The one table of boards; the first that fits counts. Threads are a choice, not a measurement: ``maskgate bench``.

Every board takes the same models, because one size of each is shipped; settings override both.
"""


UNKNOWN = Profile("unknown board", "")


def profile_of(root: Path = Path("/")) -> Profile:
    """What the table says of this board.

    Args:
        root: Where /proc is.
    """
    tree = root / "proc/device-tree"
    told = f"{text_of(tree / 'model')}\n{text_of(tree / 'compatible')}"
    return next((profile for profile in PROFILES if re.search(profile.pattern, told)), UNKNOWN)


def threads_for(profile: Profile, cores: int) -> int:
    """Threads for a model on a board of which ``cores`` may be used: the table's, else half, at least 1, at most 4."""
    return min(MAX_THREADS, max(1, cores // 2) if profile.threads is None else min(profile.threads, cores))


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))

"""What ``maskgate doctor`` reports, and the machine that it examines. Each room's ``checks.py`` builds on this."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from edge.clock import clock_is_set

if TYPE_CHECKING:
    from edge.cameras.devices import Device
    from edge.config import Config


MEBI = 2**20
PIP = f"{sys.executable} -m pip"
OLDER_NUMPY = f"{PIP} install 'opencv-python-headless<=4.11.0.86' 'numpy<2'"
WITH_SYSTEM = f"{sys.executable} -m venv --upgrade --system-site-packages {sys.prefix}"


class State(str, Enum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of an examination.

    Attributes:
        name: What.
        state: ``problem``: maskgate cannot run at a door; ``warning``: it can, with limits.
        text: What was found.
        remedy: How to fix it: a command, or what to do by hand.
    """

    name: str
    state: State
    text: str
    remedy: str | None = None


def opencv_build() -> str:
    """What OpenCV was built with, as it says itself; nothing where it does not load."""
    try:
        return str(importlib.import_module("cv2").getBuildInformation())
    except (ImportError, AttributeError):
        return ""


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def module_files(module: str) -> tuple[Path, ...] | None:
    """The folders of an importable module, without importing it; None if there is none."""
    spec = importlib.util.find_spec(module)
    return None if spec is None else tuple(map(Path, spec.submodule_search_locations or ()))


def imports(module: str) -> bool:
    """Whether a module loads, also with the NumPy that is installed."""
    try:
        importlib.import_module(module)
    except (ImportError, AttributeError, ValueError):  # what a NumPy that a package was not built for raises
        return False
    return True


def sees_system_packages() -> bool:
    """Whether packages of the operating system can be imported: not from an environment that was made without them."""
    with suppress(OSError):
        text = (Path(sys.prefix) / "pyvenv.cfg").read_text("utf-8")
        return re.search(r"^include-system-site-packages\s*=\s*true", text, re.MULTILINE) is not None
    return True


@dataclass(frozen=True, slots=True)
class Machine:
    """What is looked at, replaceable part by part.

    Attributes:
        root: Where /proc, /sys, /dev and /etc are.
        python: (major, minor) of the interpreter.
        architecture: As ``uname -m`` says it.
        version_of: Version of an installed distribution.
        files_of: Folders of an importable module.
        query: What the kernel says of a video node; None: as ``cameras.devices`` asks it.
        pi_camera: The model of the first Pi camera; None: as ``cameras.picam`` finds it.
        opencv_build: What OpenCV was built with.
        clock_is_set: Whether a time server has set the clock.
        program: Where a command is.
        sees_system: Whether this Python finds the packages of the operating system.
    """

    root: Path = Path("/")
    python: tuple[int, int] = sys.version_info[:2]
    architecture: str = field(default_factory=platform.machine)
    version_of: Callable[[str], str | None] = installed_version
    files_of: Callable[[str], tuple[Path, ...] | None] = module_files
    query: Callable[[Path], Device | None] | None = None
    pi_camera: Callable[[], str] | None = None
    opencv_build: Callable[[], str] = opencv_build
    clock_is_set: Callable[[], bool | None] = clock_is_set
    program: Callable[[str], str | None] = shutil.which
    sees_system: bool = field(default_factory=sees_system_packages)

    def text(self, path: str) -> str:
        """The content of a file of the system, by its path from the root, or nothing."""
        try:
            return (self.root / path).read_text("utf-8", "replace").strip("\0\n ")
        except OSError:
            return ""


Check = Callable[[Machine, "Config"], Iterator[Finding]]
"""Examines one thing. Each room's ``checks.py`` lists its checks in ``CHECKS``."""

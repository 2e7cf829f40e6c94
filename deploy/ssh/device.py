"""What a device is, asked over SSH: whether it can run maskgate, and which wheels fit it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from deploy.errors import DeployError

QUESTIONS = Path(__file__).with_name("questions.sh")

ARCHITECTURES = ("aarch64", "x86_64")
OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 13)
OLDEST_GLIBC = 17
"""Minor version of glibc 2 for which the oldest wheels of today are built (manylinux2014)."""


class Remote(Protocol):
    """What is needed to ask."""

    host: str

    def run(self, command: list[str], script: str = "") -> str:
        """Run a command there with ``script`` as its input, and return what it printed."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """What decides which wheels fit: two devices that are equal here take the same.

    Attributes:
        architecture: ``aarch64`` or ``x86_64``.
        codename: Of the distribution: ``bookworm``. Names the constraints file.
        python: (major, minor) of the distribution's Python.
        glibc: Minor version of glibc 2.
    """

    architecture: str
    codename: str
    python: tuple[int, int]
    glibc: int

    def __str__(self) -> str:
        return f"{self.codename}-{self.architecture}-py{self.python_version}-glibc2.{self.glibc}"

    @property
    def python_version(self) -> str:
        """``3.11``."""
        return ".".join(map(str, self.python))

    @property
    def platforms(self) -> list[str]:
        """Platform tags of wheels that run there, newest first (PEP 600; manylinux2014 is the old name of 2_17)."""
        newest_first = range(self.glibc, OLDEST_GLIBC - 1, -1)
        return [f"manylinux_2_{minor}_{self.architecture}" for minor in newest_first] + [
            f"manylinux2014_{self.architecture}"
        ]

    @property
    def markers(self) -> dict[str, str]:
        """The environment in which the device evaluates requirements (PEP 508)."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python_version}.0",
            "os_name": "posix",
            "platform_machine": self.architecture,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python_version}.0",
            "python_version": self.python_version,
            "sys_platform": "linux",
        }


class Sudo(Enum):
    """How a user becomes root."""

    NEEDLESS = "is root"
    FREE = "without a password"
    PASSWORD = "with a password"  # noqa: S105 - none


@dataclass(frozen=True, slots=True)
class Device:
    """A device that can run maskgate.

    Attributes:
        target: Decides which wheels fit.
        free_bytes: Free space in the home of the user who logs in.
        current: The release that runs there, or an empty string.
        sudo: How that user becomes root.
    """

    target: Target
    free_bytes: int
    current: str
    sudo: Sudo


def ask(remote: Remote) -> Device:
    """Ask ``remote`` what it is.

    Raises:
        DeployError: It cannot be reached, or cannot run maskgate; the text says what would.
    """
    told = remote.run(["sh", "-s"], QUESTIONS.read_text("utf-8"))
    answers = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    return read_answers(remote.host, answers)


def read_answers(host: str, answers: dict[str, str]) -> Device:
    """A device from the answers to ``QUESTIONS``.

    Raises:
        DeployError: The device cannot run maskgate; the text says what would.
    """
    _refuse_32_bit(host, answers)
    python = _python(host, answers)
    glibc = re.fullmatch(r"glibc 2\.(\d+)", answers.get("glibc", ""))
    if not glibc:
        raise DeployError(f"{host} has no glibc, and the models' runtime needs it; use Raspberry Pi OS or Debian.")
    if answers.get("systemd") != "yes":
        raise DeployError(f"{host} is not run by systemd, and maskgate is a systemd service; use Raspberry Pi OS.")
    if not answers.get("rsync"):
        raise DeployError(f"{host} has no rsync; run 'sudo apt install rsync' there, then run this again.")
    target = Target(answers["machine"], answers.get("codename") or "unknown", python, int(glibc[1]))
    return Device(target, _free_bytes(host, answers), answers.get("current", ""), _sudo(host, answers.get("sudo", "")))


def _refuse_32_bit(host: str, answers: dict[str, str]) -> None:
    machine, bits = answers.get("machine", "unknown"), answers.get("bits", "unknown")
    if machine not in ARCHITECTURES or bits != "64":
        raise DeployError(
            f"{host} runs a {bits}-bit system ({answers.get('os') or 'unknown'}, {machine}) for which the models' "
            "runtime is not made; flash 'Raspberry Pi OS Lite (64-bit)' (a Pi 3, 4, 5 or Zero 2 W runs it)."
        )


def _python(host: str, answers: dict[str, str]) -> tuple[int, int]:
    text = answers.get("python", "")
    if not re.fullmatch(r"\d+\.\d+", text):
        raise DeployError(f"{host} has no /usr/bin/python3; run 'sudo apt install python3' there, then run this again.")
    major, minor = map(int, text.split("."))
    if not OLDEST_PYTHON <= (major, minor) <= NEWEST_PYTHON:
        raise DeployError(
            f"{host} has Python {text} ({answers.get('os')}) and maskgate needs 3.10 to 3.13; flash Raspberry Pi OS "
            "Bookworm or Trixie, 64-bit."
        )
    return major, minor


def _free_bytes(host: str, answers: dict[str, str]) -> int:
    text = answers.get("free_kb", "")
    if not text.isascii() or not text.isdigit():
        raise DeployError(f"{host} has no home folder for you; log in as a user who has one.")
    return 1024 * int(text)


def _sudo(host: str, answer: str) -> Sudo:
    if answer == "root":
        return Sudo.NEEDLESS
    if answer == "free":
        return Sudo.FREE
    if "password" in answer:
        return Sudo.PASSWORD
    raise DeployError(f"{host} gives you no sudo ({answer or 'sudo says nothing'}); log in as a user who may use it.")

"""What a base image holds, read from its root file system: system, Python, packages, passwords."""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.errors import DeployError
from deploy.image.filesystems import Ext4
from deploy.ssh.device import NEWEST_PYTHON, OLDEST_GLIBC, OLDEST_PYTHON, Target

ARCHITECTURES = {"arm64": "aarch64", "amd64": "x86_64"}
"""Debian's names, and those of the kernel and of wheels."""
NEEDED = ("systemd", "python3", "sudo", "openssh-server")
USE = "use 'Raspberry Pi OS Lite (64-bit)', Bookworm or Trixie"


@dataclass(frozen=True, slots=True)
class Base:
    """A system that can be made a card of.

    Attributes:
        name: As it calls itself.
        target: Decides which wheels fit.
        packages: Debian packages that are installed.
    """

    name: str
    target: Target
    packages: frozenset[str]


def read_base(root: Ext4, name: str) -> Base:
    """What the root file system ``root`` of the image ``name`` holds.

    Raises:
        DeployError: It is no Debian, or one on which maskgate cannot run; the text names the image to take.
    """
    release = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', _text(root, "/etc/os-release"), re.MULTILINE))
    system = release.get("PRETTY_NAME", "an unknown system")
    versions = _installed(_text(root, "/var/lib/dpkg/status"))
    if not release or not versions:
        raise DeployError(f"{name} holds {system}, which is no Debian; {USE}.")
    missing = [package for package in NEEDED if package not in versions]
    if missing:
        raise DeployError(f"{name} ({system}) lacks {', '.join(missing)}, which maskgate needs; {USE}.")
    target = Target(
        _architecture(name, system, versions),
        release.get("VERSION_CODENAME", "unknown"),
        _python(root, name, system),
        _glibc(name, versions),
    )
    return Base(system, target, frozenset(versions))


def _text(root: Ext4, path: str) -> str:
    return (root.read(path) or b"").decode("utf-8", "replace")


def _installed(status: str) -> dict[str, tuple[str, str]]:
    """Version and architecture of each installed package."""
    found = {}
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if re.match(r"[A-Z][A-Za-z-]*: ", line))
        if fields.get("Status", "").endswith(" installed"):
            found[fields["Package"]] = fields.get("Version", ""), fields.get("Architecture", "")
    return found


def _architecture(name: str, system: str, versions: dict[str, tuple[str, str]]) -> str:
    debian = versions.get("libc6", ("", "unknown"))[1]
    if debian not in ARCHITECTURES:
        raise DeployError(f"{name} ({system}) is made for {debian}, and the models' runtime needs 64 bits; {USE}.")
    return ARCHITECTURES[debian]


def _glibc(name: str, versions: dict[str, tuple[str, str]]) -> int:
    version = versions["libc6"][0]
    minor = re.match(r"2\.(\d+)", version)
    if not minor or int(minor[1]) < OLDEST_GLIBC:
        raise DeployError(f"{name} has glibc {version}, which is too old; {USE}.")
    return int(minor[1])


def _python(root: Ext4, name: str, system: str) -> tuple[int, int]:
    program = root.follow("/usr/bin/python3")
    version = re.search(r"python(\d+)\.(\d+)$", program)
    if not version:
        raise DeployError(f"{name} ({system}) has no /usr/bin/python3; {USE}.")
    python = int(version[1]), int(version[2])
    if not OLDEST_PYTHON <= python <= NEWEST_PYTHON:
        raise DeployError(f"{name} ({system}) has Python {version[1]}.{version[2]}, not 3.10 to 3.13; {USE}.")
    return python

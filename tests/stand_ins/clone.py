"""A clone of this repository on a device, which finds the packages in a folder in place of the internet."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from deploy.payload import build_wheel, download_wheels
from deploy.ssh.device import Target
from tests.stand_ins.checkout import CHECKOUT, ROOT
from tests.stand_ins.container import CACHE, SUITE, Machine

DEVICE = Target("x86_64", SUITE, (3, 13), 41)
CLONE = "/srv/my clone"
INSTALL = f"PIP_NO_INDEX=1 PIP_FIND_LINKS=/srv/shop sh '{CLONE}/deploy/install.sh'"
BUILDER = "/srv/spy/builder"
"""Names who built the wheel of the clone."""
HOOK = "\n[tool.hatch.build.targets.wheel.hooks.custom]\npath = 'edge/spy.py'\n"
SPY = f"""\
import getpass, pathlib
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

pathlib.Path("{BUILDER}").write_text(getpass.getuser())

class Spy(BuildHookInterface):
    pass
"""
"""Runs when that wheel is built."""


def put_clone(machine: Machine, work: Path) -> None:
    """Put the clone and the packages on the device; ``work`` is an empty folder."""
    shutil.copytree(_shop(work), machine.root / "srv/shop")
    clone = machine.root / CLONE.lstrip("/")
    clone.mkdir()
    for name in CHECKOUT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, clone / name)
    (clone / "edge" / "spy.py").write_text(SPY)
    with (clone / "pyproject.toml").open("a") as project:
        project.write(HOOK)
    machine.must(f"install -d -m 777 $(dirname {BUILDER})")


def _shop(work: Path) -> Path:
    """All that the device would fetch, the tools that build a wheel included."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()[:8]
    wheels = CACHE / "wheels" / f"clone-{DEVICE}-{wanted}"
    if not wheels.exists():
        wheels.parent.mkdir(parents=True, exist_ok=True)
        part = wheels.with_name(f"part-{wheels.name}")
        download_wheels([str(build_wheel(work / "wheel")), "pip", "hatchling", "setuptools"], DEVICE, part)
        part.rename(wheels)
    return wheels

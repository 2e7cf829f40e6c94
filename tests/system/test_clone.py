"""Installing from a clone on the device itself: what is fetched and built never runs as root.

The device finds the packages in a folder in place of the internet. `make test-system` runs this.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.payload import build_wheel, download_wheels
from deploy.ssh.device import Target
from tests.stand_ins.checkout import CHECKOUT, ROOT
from tests.stand_ins.container import CACHE, PACKAGES, SUITE, Machine, missing, wait_for

DEVICE = Target("x86_64", SUITE, (3, 13), 41)
CLONE = "/srv/my clone"
CONFIG = '[camera]\nsource = "demo"\nloop = true\n\n[alerts]\noutput = "none"\n'
HOOK = "\n[tool.hatch.build.targets.wheel.hooks.custom]\npath = 'edge/spy.py'\n"
SPY = """\
import getpass, pathlib
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

pathlib.Path("/srv/spy/builder").write_text(getpass.getuser())

class Spy(BuildHookInterface):
    pass
"""
"""Runs when the wheel of the clone is built."""

pytestmark = [pytest.mark.system, pytest.mark.skipif(missing() is not None, reason=missing() or "")]


def shop(folder: Path) -> Path:
    """All that the device would fetch, the tools that build a wheel included."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()[:8]
    wheels = CACHE / "wheels" / f"clone-{DEVICE}-{wanted}"
    if not wheels.exists():
        part = wheels.with_name(f"part-{wheels.name}")
        download_wheels([str(build_wheel(folder / "wheel")), "pip", "hatchling", "setuptools"], DEVICE, part)
        part.rename(wheels)
    return wheels


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("machine"), f"{PACKAGES},python3-venv") as machine:
        shutil.copytree(shop(tmp_path_factory.mktemp("shop")), machine.root / "srv/shop")
        clone = machine.root / CLONE.lstrip("/")
        for name in CHECKOUT:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            clone.mkdir(exist_ok=True)
            copy(ROOT / name, clone / name)
        (clone / "edge" / "spy.py").write_text(SPY)
        with (clone / "pyproject.toml").open("a") as project:
            project.write(HOOK)
        machine.must("install -d -m 777 /srv/spy; mkdir -p /etc/maskgate")
        (machine.root / "etc/maskgate/config.toml").write_text(CONFIG)
        yield machine


def test_the_services_account_builds_a_clone(machine: Machine) -> None:
    told = machine.must(f"PIP_NO_INDEX=1 PIP_FIND_LINKS=/srv/shop sh '{CLONE}/deploy/install.sh' 2>&1")
    assert "installed: " in told.splitlines()[-1], told
    wait_for(machine.judging, 30, "frames are judged")
    assert machine.must("find /opt/maskgate ! -user root") == ""
    assert machine.must("cat /srv/spy/builder") == "maskgate"
    assert machine.run("test -e /opt/maskgate/current/sent").returncode == 1

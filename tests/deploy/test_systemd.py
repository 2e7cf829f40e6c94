"""The units, judged by systemd itself. What they do to a running service is in test_system.py."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.stand_ins.container import call

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "maskgate.service"
KIOSK = ROOT / "systemd" / "maskgate-kiosk.service"
FIRST_BOOT = ROOT / "systemd" / "maskgate-first-boot.service"
MOST_EXPOSED = {UNIT: 2.0, KIOSK: 2.5}
"""A browser needs more than the watch at the door: name spaces for its sandbox, and memory that it writes code to."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (apt install systemd)"
)


@pytest.fixture
def installed_unit(tmp_path: Path) -> Path:
    """The unit with a program that exists: verify looks for it."""
    program = tmp_path / "maskgate"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/maskgate/current/venv/bin/maskgate", str(program)))
    return unit


@needs_systemd
def test_systemd_finds_nothing_to_complain_of(installed_unit: Path) -> None:
    done = call(["systemd-analyze", "verify", "--man=no", str(installed_unit)])
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, complaints) == (0, [])


def test_every_end_switches_outputs_off() -> None:
    commands = dict(re.findall(r"^(ExecStart|ExecStopPost)=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE))
    program, config = re.fullmatch(r"(\S+) run .*(--config \S+)", commands["ExecStart"]).groups()  # type: ignore[union-attr]
    assert commands["ExecStopPost"] == f"-{program} alerts-off {config}"


def test_starts_are_never_used_up() -> None:
    settings = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE))
    assert settings["StartLimitIntervalSec"] == "0"
    assert "StartLimitBurst" not in settings
    assert (settings["Restart"], settings["OOMPolicy"]) == ("on-failure", "continue")
    assert settings["RestartPreventExitStatus"] == "2 4"


@needs_systemd
def test_verify_finds_a_mistyped_directive(installed_unit: Path) -> None:
    installed_unit.write_text(installed_unit.read_text().replace("ProtectHome=", "ProtectHouse="))
    done = call(["systemd-analyze", "verify", "--man=no", str(installed_unit)])
    assert "ProtectHouse" in done.stderr


@needs_systemd
@pytest.mark.parametrize("unit", [KIOSK, FIRST_BOOT], ids=lambda unit: unit.stem)
def test_systemd_accepts_the_other_units(unit: Path) -> None:
    done = call(["systemd-analyze", "verify", "--man=no", str(unit)])
    assert [line for line in done.stderr.splitlines() if unit.name in line] == []


@needs_systemd
@pytest.mark.parametrize("unit", MOST_EXPOSED, ids=lambda unit: unit.stem)
def test_services_are_barely_exposed(unit: Path) -> None:
    most = MOST_EXPOSED[unit]
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={most * 10:.0f}", str(unit)]
    done = call([*command, "--no-pager"])
    assert done.returncode == 0, done.stdout
    exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout)
    assert exposure and float(exposure[1]) <= most

"""Skipped parts are named at the end of a run, and fail it in CI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import parts

ROOT = Path(__file__).parents[1]
SKIPPED = """
import pytest

@pytest.mark.skip(reason="needs a broker: apt install {package}")
def test_broker():
    pass
"""


FAILED = """
def test_wrong():
    assert False
"""


def run(folder: Path, package: str, environment: dict[str, str], more: str = "") -> subprocess.CompletedProcess[str]:
    """The suite's own hooks on one skipped test."""
    (folder / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text("utf-8"))
    (folder / "test_one.py").write_text(SKIPPED.format(package=package) + more)
    clean = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", folder, folder],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("needs Chromium: apt install chromium", "apt install chromium"),
        ("lacks tools (apt install mtools fdisk)", "apt install fdisk mtools"),
        ("needs pandas: pip install pandas, or name a Python", "pip install pandas"),
        ("could not import 'keras': No module named 'keras'", "pip install '.[train]'"),
        ("no gpio-sim here (as root: modprobe gpio-sim; mount -t configfs)", "modprobe gpio-sim"),
    ],
)
def test_reasons_name_what_to_install(reason: str, said: str) -> None:
    assert parts.sentence(parts.lacking([reason])).endswith(f": {said}")


def test_other_reasons_are_no_part() -> None:
    assert parts.lacking(["only root may mount"]) == {}


def test_the_last_line_names_packages(tmp_path: Path) -> None:
    done = run(tmp_path, "mosquitto", {})
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].endswith("apt install mosquitto")


@pytest.mark.parametrize(("package", "code"), [("mosquitto", 1), ("libreoffice-calc-nogui", 0)])
def test_ci_needs_every_part(tmp_path: Path, package: str, code: int) -> None:
    assert run(tmp_path, package, {"CI": "true"}).returncode == code


def test_missing_parts_leave_nothing_to_retry(tmp_path: Path) -> None:
    assert run(tmp_path, "mosquitto", {"CI": "true"}, FAILED).returncode == 1
    assert json.loads((tmp_path / ".pytest_cache/v/cache/lastfailed").read_text()) == {}

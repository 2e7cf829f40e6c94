"""`.ci/run`: a test that fails once is tried again alone, and named at the end of the run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stand_ins.container import call

ROOT = Path(__file__).parents[2]
MAKEFILE = """
.PHONY: lint soak test test-system
lint:
soak:
	@{soak}
test:
	@.venv-dev/bin/python -m pytest -q $(ARGS)
test-system:
	@.venv-dev/bin/python -m pytest -q -m system $(ARGS)
"""
PYTEST = """
[pytest]
addopts = -m 'not system'
markers = system
"""
SYSTEM = "import pytest\n\npytestmark = pytest.mark.system\n"
STEADY = "def test_steady():\n    pass\n"
FLAKY = """
from pathlib import Path

def test_flaky():
    tried = Path(__file__).with_suffix(".tried")
    assert tried.exists() or tried.touch()
"""
MEETS = """
import time
from pathlib import Path

def test_meets():
    Path("{0}").touch()
    ends = time.monotonic() + 60
    while not Path("{1}").exists():
        assert time.monotonic() < ends
        time.sleep(0.05)
"""
BROKEN = "def test_broken():\n    assert False\n"


def program(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a test for `make test` and one for `make test-system`."""
    (tmp_path / ".ci").mkdir()
    shutil.copy2(ROOT / ".ci/run", tmp_path / ".ci/run")
    program(tmp_path / ".venv-dev/bin/python", f'exec {sys.executable} "$@"')
    (tmp_path / "pytest.ini").write_text(PYTEST)
    (tmp_path / "test_steady.py").write_text(STEADY)
    (tmp_path / "test_steady_system.py").write_text(SYSTEM + STEADY)
    return tmp_path


def run(checkout: Path, soak: str = "true") -> subprocess.CompletedProcess[str]:
    """The whole run, as a user who installs nothing."""
    (checkout / "Makefile").write_text(MAKEFILE.format(soak=soak))
    program(checkout / "tools/id", "echo 1000")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    path = f"{checkout / 'tools'}{os.pathsep}{os.environ['PATH']}"
    return call([".ci/run"], cwd=checkout, env={**environment, "PATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[-1]


def test_a_steady_run_names_nothing(checkout: Path) -> None:
    done = run(checkout)
    assert done.returncode == 0
    assert "Unsteady" not in done.stdout


@pytest.mark.parametrize("mark", ["", SYSTEM], ids=["test", "test-system"])
def test_one_failure_is_only_named(checkout: Path, mark: str) -> None:
    (checkout / "test_flaky.py").write_text(mark + FLAKY)
    done = run(checkout)
    assert done.returncode == 0
    assert last_line(done) == "Unsteady: failed once, passed alone: test_flaky.py::test_flaky"


def test_all_unsteady_tests_are_named(checkout: Path) -> None:
    for name, mark in (("a", ""), ("b", ""), ("c", SYSTEM)):
        (checkout / f"test_{name}.py").write_text(mark + FLAKY)
    named = last_line(run(checkout)).partition(": failed once, passed alone: ")[2]
    assert named == "test_a.py::test_flaky, test_b.py::test_flaky, test_c.py::test_flaky"


def test_a_second_failure_fails(checkout: Path) -> None:
    (checkout / "test_broken.py").write_text(BROKEN)
    done = run(checkout)
    assert done.returncode != 0
    assert done.stdout.count("1 failed") == 2
    assert "Unsteady" not in done.stdout


def test_a_run_that_breaks_off_fails(checkout: Path) -> None:
    (checkout / "test_exit.py").write_text("import os\n\ndef test_exit():\n    os._exit(1)\n")
    assert run(checkout).returncode != 0


def test_the_soak_and_containers_run_beside_the_tests(checkout: Path) -> None:
    (checkout / "test_one.py").write_text(MEETS.format("one", "other"))
    (checkout / "test_other.py").write_text(SYSTEM + MEETS.format("other", "one"))
    assert run(checkout).returncode == 0


def test_a_failed_soak_fails(checkout: Path) -> None:
    assert run(checkout, soak="false").returncode != 0


def test_a_later_failure_still_names_them(checkout: Path) -> None:
    (checkout / "test_flaky.py").write_text(FLAKY)
    done = run(checkout, soak="false")
    assert done.returncode != 0
    assert last_line(done).startswith("Unsteady: ")


def test_a_make_within_make_gets_no_arguments() -> None:
    show = "outer:\n\t@env | grep -c ^ARGS= || true\n\t@echo $$MAKEFLAGS"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = call(["make", "--no-print-directory", "--eval", show, "outer", "ARGS=-k never"], cwd=ROOT, env=environment)
    assert done.stdout.startswith("0\n")
    assert "never" not in done.stdout

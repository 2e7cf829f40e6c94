"""The shell scripts: all of them are checked by `make lint`, and what removes folders removes only its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stand_ins.container import call, must

ROOT = Path(__file__).parents[2]
CLEAN = ".ci/clean"
SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def shell_scripts() -> list[str]:
    files = must(["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]).splitlines()
    return [name for name in files if (ROOT / name).read_bytes().startswith(b"#!/bin/sh")]


def test_lint_checks_every_shell_script() -> None:
    told = must(["make", "-n", "-C", str(ROOT), "lint"])
    checked = next(line for line in told.splitlines() if "shellcheck" in line).split()
    scripts = shell_scripts()
    assert len(scripts) >= 5
    assert set(scripts) <= set(checked)


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed (apt install shellcheck)")
def test_shellcheck_finds_nothing() -> None:
    done = call([str(SHELLCHECK), *shell_scripts()], cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", shell_scripts())
def test_scripts_end_at_the_first_failure(name: str) -> None:
    assert "set -eu" in (ROOT / name).read_text("utf-8").splitlines()[:20]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with something to clean, in a folder with a space in its name."""
    checkout = tmp_path / "my checkout"
    (checkout / ".ci").mkdir(parents=True)
    shutil.copy2(ROOT / CLEAN, checkout / CLEAN)
    (checkout / "pyproject.toml").write_text('[project]\nname = "maskgate"\n')
    (checkout / "edge").mkdir()
    (checkout / "build" / "wheel").mkdir(parents=True)
    return checkout


def clean(script: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return call(["sh", str(script)], cwd=folder, env={**os.environ, "CDPATH": str(folder)})


def test_cleaning_removes_only_tool_output(checkout: Path) -> None:
    assert clean(checkout / CLEAN, checkout).returncode == 0
    assert {path.name for path in checkout.iterdir()} == {".ci", "pyproject.toml", "edge"}


def test_cleaning_leaves_the_current_folder(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    assert clean(checkout / CLEAN, tmp_path).returncode == 0
    assert (tmp_path / "build").exists()
    assert not (checkout / "build").exists()


def test_cleaning_does_not_follow_a_link(checkout: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (checkout / "dist").symlink_to(elsewhere)
    assert clean(checkout / CLEAN, checkout).returncode == 0
    assert (elsewhere / "kept").exists()
    assert not (checkout / "dist").is_symlink()


def test_only_a_checkout_is_cleaned(checkout: Path) -> None:
    (checkout / "pyproject.toml").write_text('[project]\nname = "another"\n')
    done = clean(checkout / CLEAN, checkout)
    assert (done.returncode, "nothing was removed" in done.stderr) == (1, True)
    assert (checkout / "build").exists()


def test_a_moved_clone_runs(tmp_path: Path) -> None:
    """The scripts of its environment begin with the path of a Python that is no longer there."""
    scripts = tmp_path / "bin"
    scripts.mkdir()
    (scripts / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (scripts / "maskgate").write_text("#!/where/it/was/bin/python\n")
    (scripts / "pip").touch()
    for script in scripts.iterdir():
        script.chmod(0o755)
    (tmp_path / ".ready").touch()
    done = call(["make", "-C", str(ROOT), "run", f"VENV={tmp_path}", "ARGS=--help"])
    assert done.returncode == 0, done
    assert "usage: maskgate run" in done.stdout


@pytest.mark.parametrize(
    ("target", "variable"), [("run", "VENV"), ("lint", "DEV"), ("deploy", "DEPLOY")], ids=["run", "lint", "deploy"]
)
def test_failed_environments_delete_nothing(tmp_path: Path, target: str, variable: str) -> None:
    """The folder may be one that somebody named by mistake."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" != -m ]\n')
    python.chmod(0o755)
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "wedding.jpg").touch()
    done = call(["make", "-C", str(ROOT), target, f"PYTHON={python}", f"{variable}={folder}"])
    assert (done.returncode, "sudo apt install python3-venv" in done.stderr) == (2, True), done
    assert [path.name for path in folder.iterdir()] == ["wedding.jpg"]


def test_windows_without_a_display_install_nothing(tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = ["make", "-C", str(ROOT), "desktop", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "use 'make run', which serves pages for a browser" in done.stderr
    assert list(tmp_path.iterdir()) == []

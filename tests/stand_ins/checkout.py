"""This checkout as somebody changes it and deploys it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.stand_ins.container import CACHE, Device, Login, call

ROOT = Path(__file__).parents[2]
CHECKOUT = ("edge", "deploy", "systemd", "pyproject.toml", "README.md", "LICENSE", "Makefile")


class Checkout:
    """A copy of this checkout, to be changed and deployed. The wheels it needs are kept between runs of these tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in CHECKOUT:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, folder / name)
        (CACHE / "wheels").mkdir(parents=True, exist_ok=True)
        (folder / "build").mkdir()
        (folder / "build" / "wheels").symlink_to(CACHE / "wheels")
        self._lend_python(folder / "build" / "deploy-env")

    def _lend_python(self, venv: Path) -> None:
        """Let make use the Python of these tests in place of an environment of its own."""
        (venv / "bin").mkdir(parents=True)
        (venv / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (venv / "bin" / "python").chmod(0o755)
        (venv / ".ready").touch()

    def change_unit(self, old: str, new: str) -> None:
        """Edit the unit: that alone makes another release."""
        unit = self.folder / "systemd" / "maskgate.service"
        text = unit.read_text()
        assert old in text
        unit.write_text(text.replace(old, new))

    def command(self, machine: Device | Login, *words: str) -> list[str]:
        command, *options = words
        return [
            sys.executable,
            "-m",
            "deploy",
            command,
            machine.host,
            *options,
            "--ssh-config",
            str(machine.ssh_config),
        ]

    def deploy(self, machine: Device | Login, *words: str) -> tuple[int, str]:
        """Run the deployment, and return its exit code and the host's line of the table."""
        done = call(self.command(machine, *(words or ("install",))), cwd=self.folder)
        print(done.stdout, done.stderr)
        return done.returncode, done.stdout.splitlines()[-1] if done.stdout else done.stderr

    def make(self, machine: Device | Login, target: str, **variables: object) -> tuple[int, str]:
        """Run ``make deploy`` or ``make rollback``; return its exit code and the last line that it prints."""
        words = [f"HOST={machine.host}", f"ARGS=--ssh-config {machine.ssh_config}"]
        done = call(
            ["make", "--no-print-directory", target, *words, *(f"{key}={value}" for key, value in variables.items())],
            cwd=self.folder,
        )
        print(done.stdout, done.stderr)
        return done.returncode, done.stdout.splitlines()[-1] if done.stdout else done.stderr

    def make_image(self, base: Path, settings: Path, output: Path, model: Path) -> str:
        """Make a card's image of ``base`` that carries ``model``, and return what is told."""
        variables = {"BASE": base, "SETTINGS": settings, "MODEL": model, "ARGS": f"--output {output}"}
        done = call(
            ["make", "--no-print-directory", "image", *(f"{key}={value}" for key, value in variables.items())],
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_deploying(self, machine: Device) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(machine, "install"),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

"""This checkout as somebody changes it and deploys it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.stand_ins.container import CACHE, Device, Login, call

ROOT = Path(__file__).parents[2]
CHECKOUT = ("edge", "deploy", "systemd", "pyproject.toml", "README.md", "LICENSE")


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

    def make_image(self, base: Path, settings: Path, output: Path) -> str:
        """Make a card's image of ``base``, and return what is told."""
        command = [sys.executable, "-m", "deploy", "image", "--base", str(base), "--settings", str(settings)]
        done = call([*command, "--output", str(output)], cwd=self.folder)
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

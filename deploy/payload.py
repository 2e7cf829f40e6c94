"""What is sent to a device: the wheel of this checkout, every wheel it needs there, units and installer."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from deploy.errors import DeployError
from deploy.model import add_to_wheel, digest, read_model
from deploy.ssh.device import Target

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
WHEELS_SECONDS = 7 * 86_400.0
"""Wheels of other packages are taken again from here for this long; then newer ones are looked for."""
KEEP_SECONDS = 86_400.0
"""Payloads of other releases go after this long; a deployment under way may still be reading a younger one."""
VERSION = "VERSION"
"""The file that names a payload's release, written first: a folder without it is not ours to remove."""
MOST_ROUNDS = 5
"""Of completing the wheels. Each adds what the last one's wheels require of the device but not of this machine."""


@contextmanager
def build_alone() -> Iterator[None]:
    """Build while no other deployment from this checkout does; wait for one that does."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build_wheel(into: Path) -> Path:
    """The wheel of this checkout.

    Raises:
        DeployError: It cannot be built.
    """
    shutil.rmtree(into, ignore_errors=True)
    _pip("wheel", "--no-deps", "--wheel-dir", str(into), str(ROOT), purpose="build the wheel of this checkout")
    return next(into.glob("maskgate-*.whl"))


def build_release(model: Path | None) -> tuple[Path, str]:
    """The wheel of this checkout, with your own model in it where one is named, and the release's name.

    Raises:
        DeployError: It cannot be built, or the model cannot be used.
    """
    files = read_model(model) if model else {}
    wheel = build_wheel(BUILD / "wheel")
    release = release_name(wheel)
    if files:
        add_to_wheel(wheel, files)
        release = f"{release}-model.{digest(files)}"
    return wheel, release


def release_name(wheel: Path) -> str:
    """``0.1.0-1a2b3c4d``: version and commit, and a digest of what is in no commit."""
    version = str(parse_wheel_filename(wheel.name)[1])
    commit = _git("rev-parse", "--short=8", "HEAD")
    if commit and not _git("status", "--porcelain"):
        return f"{version}-{commit}"
    digest = hashlib.sha256()
    for file in [wheel, *_shipped_files()]:
        digest.update(file.read_bytes())
    return "-".join(filter(None, (version, commit, f"dirty.{digest.hexdigest()[:8]}")))


def build_payload(wheel: Path, release: str, target: Target) -> Path:
    """The folder to send to devices of this kind; built once.

    Raises:
        DeployError: A wheel that fits cannot be found or fetched.
    """
    folder = BUILD / "deploy" / release / str(target)
    if (folder / "SHA256SUMS").exists():
        return folder
    _forget_others(release)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / VERSION).write_text(f"{release}\n", "utf-8")
    shutil.copytree(gather_wheels(wheel, target), folder / "wheels")
    shutil.copy2(wheel, folder / "wheels")
    for unneeded in unneeded_wheels(folder / "wheels", target):
        unneeded.unlink()
    for file in _shipped_files():
        copy = folder / file.relative_to(ROOT / "deploy" if file.is_relative_to(ROOT / "deploy") else ROOT)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy2(file, copy)
    _write_checksums(folder)
    return folder


def gather_wheels(wheel: Path, target: Target) -> Path:
    """A folder with every wheel that ``wheel`` needs on ``target``, itself left out; fetched once a week.

    Raises:
        DeployError: A wheel that fits cannot be found or fetched.
    """
    wishes = [*_requirements(wheel), _constraints(target).read_text("utf-8") if _constraints(target).exists() else ""]
    folder = BUILD / "wheels" / f"{target}-{hashlib.sha256('/'.join(wishes).encode()).hexdigest()[:8]}"
    if folder.exists() and time.time() - folder.stat().st_mtime < WHEELS_SECONDS:
        return folder
    part = folder.with_name(f"part-{folder.name}")
    download_wheels([str(wheel), "pip"], target, part)
    (part / wheel.name).unlink()
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    os.utime(folder)
    return folder


def download_wheels(requirements: list[str], target: Target, into: Path) -> None:
    """Fill the folder ``into`` with one wheel of each package that ``requirements`` need on ``target``.

    pip chooses files for another platform but evaluates environment markers for the machine it runs on. What a marker
    asks of the device alone is found in the wheels' metadata and asked for by name.

    Raises:
        DeployError: A package has no wheel for ``target``, or cannot be fetched.
    """
    asked = list(requirements)
    for _ in range(MOST_ROUNDS):
        shutil.rmtree(into, ignore_errors=True)
        _pip_download(asked, target, into)
        missing = sorted(missing_requirements(into, target))
        if not missing:
            return
        asked += missing
    raise DeployError(f"The wheels for {target} still lack {', '.join(missing)}; report this with the line above.")


def missing_requirements(wheels: Path, target: Target) -> set[str]:
    """What the wheels in a folder require on ``target`` and the folder lacks."""
    present = {parse_wheel_filename(wheel.name)[0] for wheel in wheels.glob("*.whl")}
    needed = [need for wheel in wheels.glob("*.whl") for need in _needs(wheel, target)]
    return {f"{need.name}{need.specifier}" for need in needed if canonicalize_name(need.name) not in present}


def unneeded_wheels(wheels: Path, target: Target) -> list[Path]:
    """The wheels in a folder that neither maskgate nor pip needs on ``target``: the device installs all that it gets.

    pip also downloads what the markers ask of the machine that it runs on.
    """
    by_name = {parse_wheel_filename(wheel.name)[0]: wheel for wheel in sorted(wheels.glob("*.whl"))}
    needed = {canonicalize_name("maskgate"), canonicalize_name("pip")}
    open_names = list(needed)
    while open_names:
        names = {canonicalize_name(need.name) for need in _needs(by_name[open_names.pop()], target)} - needed
        needed |= names
        open_names += names
    return [wheel for name, wheel in by_name.items() if name not in needed]


def _needs(wheel: Path, target: Target) -> Iterator[Requirement]:
    for line in _requirements(wheel):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({**target.markers, "extra": ""}):
            yield requirement


def _requirements(wheel: Path) -> list[str]:
    with ZipFile(wheel) as archive:
        name = next(entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    return metadata.get_all("Requires-Dist", [])


def _constraints(target: Target) -> Path:
    return ROOT / "deploy" / "constraints" / f"{target.codename}.txt"


def _pip_download(requirements: list[str], target: Target, into: Path) -> None:
    constraints = _constraints(target)
    _pip(
        "download",
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={target.python_version}",
        *(f"--platform={platform}" for platform in target.platforms),
        *((f"--constraint={constraints}",) if constraints.exists() else ()),
        f"--dest={into}",
        *requirements,
        purpose=f"fetch the wheels for {target}",
    )


def _pip(*arguments: str, purpose: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["it said nothing"]
        raise DeployError(f"pip could not {purpose}: {complaints[-1]}; check this machine's network, then try again.")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def _shipped_files() -> list[Path]:
    """What is sent with the wheels: installer, kiosk, units, constraints."""
    deploy = ROOT / "deploy"
    scripts = [deploy / "install.sh", deploy / "kiosk.sh"]
    return [*scripts, *sorted((ROOT / "systemd").iterdir()), *sorted((deploy / "constraints").iterdir())]


def _write_checksums(folder: Path) -> None:
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder)}\n"
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]
    (folder / "SHA256SUMS").write_text("".join(lines), "utf-8")


def _forget_others(release: str) -> None:
    for folder in (BUILD / "deploy").glob("*"):
        is_payload = not folder.is_symlink() and any(folder.glob(f"*/{VERSION}"))
        if is_payload and folder.name != release and time.time() - folder.stat().st_mtime > KEEP_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)

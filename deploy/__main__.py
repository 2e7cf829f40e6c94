"""``python -m deploy install|rollback|uninstall HOST...`` and ``image``: what the Makefile calls."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from deploy.errors import DeployError
from deploy.image.build import Image, build_image
from deploy.image.card import read_card
from deploy.model import read_model
from deploy.payload import build_alone, build_payload, build_release
from deploy.ssh import stage
from deploy.ssh.connection import Connection, explain
from deploy.ssh.device import Device, Sudo, Target, ask

INSTALLED = "/opt/maskgate/current/install.sh"
COMPLAINT = "maskgate-install: "
"""How the installer begins a line that says why it did not work."""
AT_ONCE = 8
USAGE_ERROR = 2

Outcome = tuple[bool, str]
"""Whether it was done, and in which words."""


@dataclass(slots=True)
class Workshop:
    """Builds a release once for all hosts, and each kind of device its wheels once."""

    tell: Callable[[str], None]
    model: Path | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _built: tuple[Path, str] | None = None

    def payload(self, target: Target) -> tuple[str, Path]:
        """The release's name, and the folder to send to devices like ``target``."""
        with self._lock, build_alone():
            if self._built is None:
                self.tell("Building the wheel of this checkout ...")
                self._built = build_release(self.model)
            wheel, release = self._built
            self.tell(f"Release {release}: gathering the wheels for {target} ...")
            return release, build_payload(wheel, release, target)


class Terminal:
    """Lines of several hosts, each told whole and by whom."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def tell(self, text: str, who: str = "here") -> None:
        """Print a line."""
        with self._lock:
            print(f"{who}: {text}", flush=True)

    def teller(self, who: str) -> Callable[[str], None]:
        """Prints lines of ``who``."""
        return lambda text: self.tell(text, who)


@dataclass(slots=True)
class Job:
    """One host: what it is, once it was asked, and how it went, once that is known."""

    connection: Connection
    tell: Callable[[str], None]
    device: Device | None = None
    outcome: Outcome | None = None

    def fail(self, why: str) -> None:
        """It did not work."""
        self.outcome = (False, why)


def for_each(jobs: Sequence[Job], work: Callable[[Job], None]) -> None:
    """Do ``work`` for every host that has not failed yet, side by side; one that fails does not stop the others."""

    def attempt(job: Job) -> None:
        try:
            work(job)
        except DeployError as error:
            job.fail(str(error))
        except OSError as error:
            job.fail(f"This machine could not do it: {error.filename or 'a file'}: {error.strerror}.")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(attempt, [job for job in jobs if job.outcome is None]))


def look_at(job: Job) -> None:
    """Ask the host what it is."""
    job.device = ask(job.connection)
    if job.device.sudo is Sudo.NEEDLESS:
        job.connection.sudo = ()


def ask_passwords(jobs: Sequence[Job], terminal: bool) -> None:
    """Ask for what sudo wants, a host at a time; without a terminal, a host that wants a password has failed."""
    for job in jobs:
        if job.device is None or job.device.sudo is not Sudo.PASSWORD:
            continue
        host = job.connection.host
        if terminal:
            job.connection.password = getpass.getpass(f"Password for sudo on {host}: ")
        else:
            job.fail(
                f"sudo on {host} asks for a password; run this in a terminal, or let the user use sudo without one."
            )


def install(job: Job, workshop: Workshop, kiosk: bool) -> None:
    """Send a release and have it installed.

    Raises:
        DeployError: It could not be built or sent.
    """
    connection, device = job.connection, job.device
    assert device
    release, payload = workshop.payload(device.target)
    size = sum(file.stat().st_size for file in payload.rglob("*") if file.is_file())
    if device.free_bytes < size:
        raise DeployError(
            f"{connection.host} has {device.free_bytes // 10**6} MB free and the release is {size // 10**6} MB; "
            "make room there, then run this again."
        )
    job.tell(f"sending {release} ({size // 10**6} MB, less what is there already) ...")
    folder = stage.prepare(connection, release)
    connection.send(payload, folder)
    run_installer(job, f"{folder}/install.sh", "install", *(["--kiosk"] if kiosk else []))


def run_installed(job: Job, *command: str) -> None:
    """Run a command of the installer that lies on the device.

    Raises:
        DeployError: Nothing is installed there.
    """
    assert job.device
    if not job.device.current:
        host = job.connection.host
        raise DeployError(f"No release is installed on {host}; install one with 'make deploy HOST={host}'.")
    run_installer(job, INSTALLED, *command)
    if command[0] == "uninstall":
        try:
            stage.forget(job.connection)
        except DeployError as error:
            job.fail(f"maskgate is uninstalled, but what was sent is still there: {error}")


def run_installer(job: Job, script: str, *command: str) -> None:
    """Run the installer on the device as root, and keep its last word."""
    host = job.connection.host
    code, last = job.connection.run_as_root(["sh", script, *command], job.tell)
    if code == 0:
        job.outcome = (True, last)
    elif last.startswith(COMPLAINT):
        job.fail(last.removeprefix(COMPLAINT))
    elif last.startswith(("sudo:", "Sorry, try again")):
        job.fail(f"sudo on {host} did not accept that: {last}")
    else:
        job.fail(explain(host, code, last))


def read_hosts(arguments: argparse.Namespace) -> list[str]:
    """The hosts named on the command line, in ``DEPLOY_HOSTS`` and in the inventory, each once.

    Raises:
        DeployError: There is none, or the inventory cannot be read.
    """
    hosts = [*arguments.hosts, *os.environ.get("DEPLOY_HOSTS", "").split()]
    inventory = arguments.inventory or os.environ.get("DEPLOY_INVENTORY")
    if inventory:
        try:
            lines = Path(inventory).read_text("utf-8-sig").splitlines()
        except OSError as error:
            raise DeployError(f"The inventory {inventory} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise DeployError(f"The inventory {inventory} is not text in UTF-8; save it as that.") from error
        hosts += [host for line in lines for host in line.partition("#")[0].split()]
    if not hosts:
        raise DeployError("No host is named; use HOST=pi@door1.local, HOSTS='a b c' or INVENTORY=hosts.txt.")
    return list(dict.fromkeys(hosts))


def table(jobs: Sequence[Job]) -> str:
    """A line for each host: its name, whether it is done, how."""
    width = max(len(job.connection.host) for job in jobs)
    outcomes = [(job.connection.host, *(job.outcome or (False, "nothing was done"))) for job in jobs]
    return "\n".join(f"{host:<{width}}  {'ok    ' if done else 'FAILED'}  {words}" for host, done, words in outcomes)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "hosts", nargs="*", metavar="HOST", help="a device, as for ssh: pi@door1.local; or DEPLOY_HOSTS"
    )
    shared.add_argument("--inventory", help="a file with one host per line; or DEPLOY_INVENTORY")
    shared.add_argument(
        "--ssh-config", type=Path, help="an SSH configuration file instead of your own (ports, keys, jump hosts)"
    )
    top = argparse.ArgumentParser(prog="python -m deploy", description="Install maskgate on devices over SSH.")
    commands = top.add_subparsers(dest="command", required=True)
    forward = commands.add_parser(
        "install", parents=[shared], help="send a release of this checkout, try it and switch to it"
    )
    forward.add_argument(
        "--kiosk",
        action="store_true",
        default=os.environ.get("DEPLOY_KIOSK", "") not in ("", "0"),
        help="also show the page full screen (the device needs cage and chromium); or DEPLOY_KIOSK=1",
    )
    _add_model(forward)
    back = commands.add_parser("rollback", parents=[shared], help="go back to the previous release")
    back.add_argument("--to", metavar="RELEASE", help="go back to this release")
    commands.add_parser("uninstall", parents=[shared], help="remove everything except counts and settings")
    image = commands.add_parser("image", help="make a card image from a base image that you downloaded")
    image.add_argument("--base", type=Path, default=_named("IMAGE_BASE"), help="an .img or .img.xz; or IMAGE_BASE")
    image.add_argument(
        "--settings",
        type=Path,
        default=_named("IMAGE_SETTINGS"),
        help="settings of the card (TOML); or IMAGE_SETTINGS",
    )
    _add_model(image)
    image.add_argument("--output", type=Path, help="the image to write (default: build/image/, named by release)")
    return top


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        type=Path,
        default=_named("DEPLOY_MODEL"),
        help="a model of your own: the folder that 'make convert' wrote, or a .tflite in it; or DEPLOY_MODEL",
    )


def _named(variable: str) -> Path | None:
    name = os.environ.get(variable)
    return Path(os.path.expanduser(name)) if name else None  # noqa: PTH111 - a user that does not exist stays as written


def make_image(options: argparse.Namespace) -> int:
    """Make a card's image, and return the exit code: 0 if it is made, 1 if not, 2 for a wrong call."""
    if options.base is None:
        print(
            "deploy: No base is named; download 'Raspberry Pi OS Lite (64-bit)' from "
            "https://www.raspberrypi.com/software/operating-systems/ and run 'make image BASE=FILE.img.xz'.",
            file=sys.stderr,
        )
        return USAGE_ERROR
    try:
        card = read_card(options.settings)
        if options.model:
            read_model(options.model)
    except DeployError as error:
        print(f"deploy: {error}", file=sys.stderr)
        return USAGE_ERROR
    try:
        image = build_image(
            options.base, card, options.output, lambda text: print(text, flush=True), model=options.model
        )
    except DeployError as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    print(describe(image, card.user if card.ssh_key else None, card.hostname))
    return 0


def describe(image: Image, user: str | None, hostname: str) -> str:
    """What was made, and what to do with it."""
    lines = [
        "",
        f"{image.file}",
        f"  {image.size // 10**6} MB, SHA-256 {image.sha256}",
        f"  {image.base.name} with maskgate {image.release}",
        *(f"  Note: {note}" for note in image.notes),
        "",
        "Flash it with Raspberry Pi Imager (Choose OS > Use custom; leave its own settings out), or with",
        f"  sudo dd if={image.file} of=/dev/sdX bs=4194304; sync   (macOS: of=/dev/rdiskN)",
        "Put the card in and switch on: it finishes by itself within a few minutes and says so on the screen.",
    ]
    return "\n".join([*lines, *([f"Then: ssh {user}@{hostname}.local"] if user else [])])


def main(arguments: list[str] | None = None) -> int:
    """Deploy, and return the exit code: 0 if every host is done, 1 if one is not, 2 for a wrong call."""
    options = parser().parse_args(arguments)
    if options.command == "image":
        return make_image(options)
    terminal = Terminal()
    try:
        if getattr(options, "model", None):
            read_model(options.model)
        hosts = read_hosts(options)
        alone = len(hosts) == 1 and sys.stdin.isatty()
        connections = [Connection(host, options.ssh_config, interactive=alone) for host in hosts]
    except (DeployError, OSError) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return USAGE_ERROR
    jobs = [Job(connection, terminal.teller(connection.host)) for connection in connections]
    try:
        deploy(jobs, options, terminal)
    finally:
        for connection in connections:
            connection.close()
    print(f"\n{table(jobs)}")
    return 0 if all(job.outcome and job.outcome[0] for job in jobs) else 1


def deploy(jobs: Sequence[Job], options: argparse.Namespace, terminal: Terminal) -> None:
    """Do to every host what was asked for."""
    for_each(jobs, look_at)
    ask_passwords(jobs, sys.stdin.isatty())
    if options.command == "install":
        workshop = Workshop(terminal.tell, options.model)
        for_each(jobs, lambda job: install(job, workshop, options.kiosk))
    else:
        command = [options.command, *([options.to] if getattr(options, "to", None) else [])]
        for_each(jobs, lambda job: run_installed(job, *command))


if __name__ == "__main__":
    sys.exit(main())

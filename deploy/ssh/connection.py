"""One device over SSH, by the OpenSSH client and rsync that the workstation has. Host keys are always checked."""

from __future__ import annotations

import ipaddress
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.errors import DeployError

SHORT_FOLDER = "/tmp"  # noqa: S108
"""A socket's path may have 104 characters, and macOS's own temporary folder is too long for that."""
HOST = re.compile(r"(?P<user>[\w.+][\w.+@-]*@)?(?P<name>\w[\w.-]*)")
"""A host without characters that ssh, rsync or a ProxyCommand could take for something else."""
PLAIN_PATH = re.compile(r"[\w./+-]+")
CUT_CODES = (255, 10, 12, 20, 30)
"""Exit codes of ssh itself, and those of rsync for a stream that ended: no fault of the remote command."""

COMPLAINTS: tuple[tuple[str, str], ...] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "{host} shows another host key than last time: it was flashed again, or it is another machine; if you know "
        "which, forget the old key with 'ssh-keygen -R {name}' and connect once by hand.",
    ),
    (
        r"Host key verification failed|No .* host key is known",
        "The host key of {host} is not known here; connect once with 'ssh {host}', compare its fingerprint, then run "
        "this again.",
    ),
    (
        r"Permission denied \([a-z]|Too many authentication failures",
        "{host} does not accept your SSH key; check the user name and copy your key there with 'ssh-copy-id {host}'.",
    ),
    (r"Could not resolve hostname", "There is no host named {name}; check the name, or give the IP address."),
    (
        r"Connection refused",
        "{host} refuses SSH; switch it on there: 'sudo systemctl enable --now ssh', or check the port.",
    ),
    (
        r"timed out|No route to host|Network is unreachable|Host is down",
        "{host} cannot be reached; check that it is on and in the same network.",
    ),
    (
        r"is your shell clean",
        "A login script on {host} prints text, which breaks rsync; let it print on terminals only, then try again.",
    ),
    (r"rsync: (command )?not found", "{host} has no rsync; run 'sudo apt install rsync' there, then run this again."),
    (r"No space left on device", "{host} has no space left; make room on it, then run this again."),
)
CUT = "The connection to {host} was cut; the device goes on with what it ran, so run this again. ({last})"
FAILED = "{host} could not do it: {last}"


def explain(host: str, code: int, complaint: str) -> str:
    """One sentence for a command that ended with ``code``, from what it complained of."""
    name = host.rpartition("@")[2]
    for pattern, sentence in COMPLAINTS:
        if re.search(pattern, complaint):
            return sentence.format(host=host, name=name)
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    last = lines[-1] if lines else f"exit code {code}"
    return (CUT if code in CUT_CODES else FAILED).format(host=host, last=last)


def _is_ipv6(host: str) -> bool:
    user, at, address = host.rpartition("@")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return not at or HOST.fullmatch(f"{user}@name") is not None


@dataclass(slots=True)
class Connection:
    """A host and how to reach it.

    Attributes:
        host: As ssh takes it: ``pi@door1.local``, or a name from the SSH configuration.
        config: An SSH configuration file in place of the user's own.
        interactive: Whether ssh may ask on the terminal, for a password or whether a new host key is right.
        control: A folder for the socket that lets all commands share one connection.
        sudo: Words before a command that is to run as root.
        password: What sudo on the device asks for, where it asks.
    """

    host: str
    config: Path | None = None
    interactive: bool = False
    control: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="maskgate-", dir=SHORT_FOLDER)))
    sudo: Sequence[str] = ("sudo", "-n", "--")
    password: str | None = None

    def __post_init__(self) -> None:
        """Refuse a host that ssh would take for an option, and rsync for a folder of this machine.

        Raises:
            DeployError: The host has another form than ``user@name``.
        """
        if not HOST.fullmatch(self.host) and not _is_ipv6(self.host):
            hint = "; a port belongs in ~/.ssh/config" if ":" in self.host else ""
            raise DeployError(f"'{self.host}' is not a host; write it like pi@door1.local{hint}.")

    def run(self, command: Sequence[str], script: str = "") -> str:
        """Run ``command`` there with ``script`` as its input, and return what it printed.

        Raises:
            DeployError: It could not be run, or failed.
        """
        done = self._call([*self._ssh(), self.host, shlex.join(command)], script)
        if done.returncode:
            raise DeployError(explain(self.host, done.returncode, done.stderr))
        return done.stdout

    def send(self, folder: Path, target: str) -> None:
        """Make the remote folder ``target``, an absolute path, the same as ``folder``.

        Raises:
            DeployError: The transfer failed, or rsync is missing on either side.
        """
        # Not every rsync knows this option, and few homes need it.
        protect = [] if PLAIN_PATH.fullmatch(target) else ["--protect-args"]
        command = ["rsync", "-rt", "--delete", "--partial", *protect, "-e", shlex.join(self._ssh()), f"{folder}/"]
        user, at, name = self.host.rpartition("@")
        host = f"{user}{at}[{name}]" if ":" in name else self.host
        done = self._call([*command, f"{host}:{target}/"])
        if done.returncode:
            raise DeployError(explain(self.host, done.returncode, done.stderr))

    def run_as_root(self, command: Sequence[str], tell: Callable[[str], None]) -> tuple[int, str]:
        """Run ``command`` there as root and ``tell`` each line as it comes.

        Returns:
            Exit code and the last line.
        """
        sudo = self.sudo if self.password is None else ("sudo", "-S", "-p", "", "--")
        with subprocess.Popen(  # noqa: S603 - a list, and the remote part is quoted
            [*self._ssh(), self.host, shlex.join([*sudo, *command])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdin and process.stdout
            process.stdin.write(f"{self.password}\n" if self.password is not None else "")
            process.stdin.close()
            last = ""
            for line in process.stdout:
                last = line.strip() or last
                tell(line.rstrip())
        return process.returncode, last

    def close(self) -> None:
        """End the shared connection."""
        self._call([*self._ssh(), "-O", "exit", self.host])
        shutil.rmtree(self.control, ignore_errors=True)

    def _ssh(self) -> list[str]:
        options = {
            "BatchMode": "no" if self.interactive else "yes",
            "ConnectTimeout": "10",
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": "4",
            "ControlMaster": "auto",
            "ControlPersist": "60",
            "ControlPath": str(self.control / "%C"),
        }
        chosen = ["-F", str(self.config)] if self.config else []
        return ["ssh", *chosen, *(part for key, value in options.items() for part in ("-o", f"{key}={value}"))]

    def _call(self, command: list[str], script: str = "") -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603 - a list, and the remote part is quoted
                command, input=script, capture_output=True, text=True, errors="replace", check=False
            )
        except FileNotFoundError as error:
            raise DeployError(f"There is no {command[0]} on this machine; install it, then run this again.") from error

"""A Debian with its own systemd in a container, reached over a real sshd on loopback: a device for tests.

The root file system is made once by mmdebstrap and kept as a tarball in ``~/.cache/maskgate-test``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

SUITE = "trixie"
PACKAGES = "systemd,systemd-sysv,dbus,udev,python3,openssh-server,rsync,sudo,libfaketime"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "maskgate-test"
TOOLS = ("mmdebstrap", "systemd-nspawn", "unshare", "ssh", "ssh-keygen", "rsync")
USER, GUEST = "pi", "guest"

# A host with cgroup v1 controllers too gives the container's systemd a tree of its own that is v2 only.
BOOT = r"""
umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# DevicePolicy= is a BPF program: systemd must be let load it.
exec env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --keep-unit --register=no --resolv-conf=off \
    --timezone=off --capability=CAP_BPF --system-call-filter=bpf --directory="$0" --boot
"""


def missing() -> str | None:
    """Why no container can be booted here, or None."""
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    if os.geteuid() != 0:
        return "booting a container needs root"
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    if call(["unshare", "--mount", "--cgroup", "true"]).returncode:
        return "booting a container needs a root that may make name spaces"
    return None


def call(command: Sequence[str], **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and capture what it prints."""
    return subprocess.run(command, text=True, capture_output=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def must(command: Sequence[str], **options: object) -> str:
    """Run a command that has to work."""
    done = call(command, **options)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def wait_for(true: Callable[[], object], seconds: float, what: str) -> float:
    """Wait until ``true()`` is, and return how many seconds that took."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - start


def root_tarball(packages: str = PACKAGES, *options: str) -> Path:
    """A root file system with ``packages``, from the cache or made now by mmdebstrap with ``options``."""
    name = hashlib.sha256(" ".join([SUITE, packages, *options]).encode()).hexdigest()[:12]
    tarball = CACHE / f"{SUITE}-{name}.tar"
    if not tarball.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = tarball.with_name(f"part-{tarball.name}")
        must(
            [
                "mmdebstrap",
                "--variant=minbase",
                *options,
                f"--include={packages}",
                '--aptopt=APT::Install-Recommends "false"',
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                SUITE,
                str(part),
            ]
        )
        part.rename(tarball)
    return tarball


class Login(NamedTuple):
    """A way in: the name of the machine with one of its users, in an SSH configuration."""

    host: str
    ssh_config: Path


def unpack_root(folder: Path, packages: str = PACKAGES) -> None:
    """Unpack a root file system with ``packages`` into ``folder``."""
    must(["tar", "-xf", str(root_tarball(packages)), "-C", str(folder), "--numeric-owner"])


class Device:
    """Something that is reached by SSH alone, on a port of loopback, as ``pi`` with sudo.

    Attributes:
        host: Its name in ``ssh_config``; ``guest`` there is a user without sudo.
        ssh_config: Port, users, key and host key.
        key: The private key that opens it.
        console: What it shows on its console.
    """

    def __init__(self, work: Path) -> None:
        """Make a key and an SSH configuration in the empty folder ``work``."""
        self.host, self.ssh_config = "door", work / "ssh_config"
        self.key, self.console, self.port = work / "key", work / "console.log", free_port()
        self._known_hosts = work / "known_hosts"
        must(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)])
        self.ssh_config.write_text(
            f"Host {self.host}\nUser {USER}\nHost {GUEST}\nUser {GUEST}\nHost *\nHostName 127.0.0.1\n"
            f"Port {self.port}\nIdentityFile {self.key}\nIdentitiesOnly yes\n"
            f"UserKnownHostsFile {self._known_hosts}\nGlobalKnownHostsFile /dev/null\n"
            "HostKeyAlgorithms ssh-ed25519\nStrictHostKeyChecking yes\nLogLevel ERROR\n"
        )

    def know(self, host_key: str) -> None:
        """Remember ``host_key`` as the right one."""
        kind, key = host_key.split()[:2]
        self._known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def shown(self) -> str:
        """What is on the console."""
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run shell words there as root."""
        return call(["ssh", "-F", str(self.ssh_config), self.host, "sudo", "-n", "sh", "-s"], input=command)

    def must(self, command: str) -> str:
        """Run shell words there as root that have to work, and return what they print."""
        done = self.run(command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def property(self, name: str) -> str:
        """A property of the service."""
        return self.must(f"systemctl show --property={name} --value maskgate.service")

    def judging(self) -> bool:
        """Whether the service is up and judges frames, each of which feeds the watchdog."""
        process, before = self.property("MainPID"), self.property("WatchdogTimestampMonotonic")
        time.sleep(1)
        same = self.property("ActiveState") == "active" and self.property("MainPID") == process
        return same and self.property("WatchdogTimestampMonotonic") != before

    def as_user(self, user: str) -> Login:
        """The way in as another user."""
        return Login(user, self.ssh_config)


class Machine(Device):
    """A device that boots and loses power.

    Attributes:
        root: Its root folder, as seen from here.
    """

    def __init__(self, work: Path, packages: str = PACKAGES) -> None:
        """Prepare a machine under the empty folder ``work``; it is switched on as a context manager."""
        super().__init__(work)
        self.root = work / "root"
        self._packages = packages
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Machine:
        """Fill the root, in memory, and boot."""
        self.root.mkdir()
        must(["mount", "-t", "tmpfs", "-o", "size=75%", "tmpfs", str(self.root)])
        try:
            self.fill()
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Shut down, and forget."""
        for process in self._processes:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        must(["umount", "--lazy", str(self.root)])

    def fill(self) -> None:
        """Make the root file system."""
        unpack_root(self.root, self._packages)
        self._let_in()

    def boot(self) -> None:
        """Switch on, and wait until it takes SSH connections."""
        self.switch_on()
        wait_for(lambda: self.run("systemctl is-system-running --wait").stdout, 60, "the machine is up")

    def switch_on(self) -> None:
        """Switch on."""
        with self.console.open("ab") as console:
            command = ["unshare", "--mount", "--cgroup", "--ipc", "--uts", "bash", "-c", BOOT, str(self.root)]
            self._processes.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT)
            )

    def cut_power(self, at: Callable[[], object] = lambda: True, seconds: float = 0) -> bool:
        """Wait until ``at()`` is true, at most some seconds; then nothing on it runs from one moment to the next.

        What it wrote is kept; memory is not.

        Returns:
            Whether the moment came.
        """
        process = self._processes[-1]
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_for(lambda: children.read_text().split(), 30, "the machine is on")
        end = time.monotonic() + seconds
        while not (came := bool(at())) and time.monotonic() < end:
            time.sleep(0.001)
        # Its first child of all is another than the machine's init, and gone soon.
        while process.poll() is None:
            for pid in children.read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)
        self._processes.remove(process)
        return came

    def know_host_key(self) -> None:
        """Remember the host key that lies on it as the right one."""
        self.know((self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text())

    def listen(self, root: Path) -> None:
        """Let the sshd in the root file system ``root`` listen where the SSH configuration looks for it."""
        (root / "etc/ssh/sshd_config.d/test.conf").write_text(f"ListenAddress 127.0.0.1\nPort {self.port}\n")

    def _let_in(self) -> None:
        """Users with a key, and an sshd on a port of loopback."""
        for user in (USER, GUEST):
            must(["chroot", str(self.root), "useradd", "--create-home", "--shell", "/bin/sh", user])
            folder = self.root / "home" / user / ".ssh"
            folder.mkdir()
            (folder / "authorized_keys").write_text(self.key.with_suffix(".pub").read_text())
            must(["chroot", str(self.root), "chown", "-R", f"{user}:", f"/home/{user}/.ssh"])
        (self.root / "etc/sudoers.d/pi").write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
        self.listen(self.root)
        self.know_host_key()


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port

"""A Debian with its own systemd in a container, reached over a real sshd on loopback: a device for tests.

The root file system is made once by mmdebstrap and kept as a tarball in ``~/.cache/maskgate-test``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie"
PACKAGES = "systemd,systemd-sysv,dbus,udev,python3,openssh-server,rsync,sudo"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "maskgate-test"
TOOLS = ("mmdebstrap", "systemd-nspawn", "unshare", "ssh", "ssh-keygen", "rsync")
USER = "pi"

# A host with cgroup v1 controllers too gives the container's systemd a tree of its own that is v2 only.
BOOT = r"""
umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --keep-unit --register=no --resolv-conf=off \
    --directory="$0" --boot
"""


def missing() -> str | None:
    """Why no container can be booted here, or None."""
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    if os.geteuid() != 0:
        return "booting a container needs root"
    return f"not installed: {', '.join(lacking)}" if lacking else None


def call(command: Sequence[str], **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and capture what it prints."""
    return subprocess.run(command, text=True, capture_output=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def must(command: Sequence[str]) -> str:
    """Run a command that has to work."""
    done = call(command)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def wait_for(true: Callable[[], object], seconds: float, what: str) -> float:
    """Wait until ``true()`` is, and return how many seconds that took."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - start


def root_tarball() -> Path:
    """The root file system, from the cache or made now."""
    name = hashlib.sha256(f"{SUITE} {PACKAGES}".encode()).hexdigest()[:12]
    tarball = CACHE / f"{SUITE}-{name}.tar"
    if not tarball.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = tarball.with_name(f"part-{tarball.name}")
        must(
            [
                "mmdebstrap",
                "--variant=minbase",
                f"--include={PACKAGES}",
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


@dataclass(frozen=True)
class Container:
    """A booted device.

    Attributes:
        root: Its root folder, as seen from here.
        ssh_config: Names it ``door``, with its port, user and key.
    """

    root: Path
    ssh_config: Path
    host: str = "door"

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run shell words there as root."""
        return call(["ssh", "-F", str(self.ssh_config), self.host, "sudo", "-n", "sh", "-s"], input=command)

    def must(self, command: str) -> str:
        """Run shell words there as root that have to work."""
        done = self.run(command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def property(self, name: str, unit: str = "maskgate.service") -> str:
        """A property of a unit there."""
        return self.must(f"systemctl show --property={name} --value {unit}")


@contextlib.contextmanager
def boot(work: Path) -> Iterator[Container]:
    """Boot a container under ``work`` and wait until it takes SSH connections."""
    root = work / "root"
    root.mkdir(parents=True)
    must(["mount", "-t", "tmpfs", "-o", "size=75%", "tmpfs", str(root)])
    try:
        must(["tar", "-xf", str(root_tarball()), "-C", str(root), "--numeric-owner"])
        container = Container(root, _let_in(work, root))
        with (
            (work / "console.log").open("wb") as console,
            subprocess.Popen(
                ["unshare", "--mount", "--cgroup", "--ipc", "--uts", "bash", "-c", BOOT, str(root)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            ) as machine,
        ):
            try:
                wait_for(
                    lambda: container.run("systemctl is-system-running --wait").stdout, 60, "SSH into the container"
                )
                yield container
            finally:
                machine.terminate()
                _reap(machine)
    finally:
        must(["umount", "--lazy", str(root)])


def _reap(machine: subprocess.Popen[bytes]) -> None:
    try:
        machine.wait(timeout=30)
    except subprocess.TimeoutExpired:
        machine.kill()


def _let_in(work: Path, root: Path) -> Path:
    """Make a user with sudo and a key, an sshd on a free port of loopback, and the SSH configuration to get there."""
    port = free_port()
    key = work / "key"
    must(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    must(["chroot", str(root), "useradd", "--create-home", "--shell", "/bin/sh", USER])
    (root / "etc/sudoers.d/pi").write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
    (root / "etc/ssh/sshd_config.d/test.conf").write_text(f"ListenAddress 127.0.0.1\nPort {port}\n")
    home = root / "home" / USER / ".ssh"
    home.mkdir()
    (home / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    must(["chroot", str(root), "chown", "-R", f"{USER}:", f"/home/{USER}/.ssh"])
    host_key = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2]
    known = work / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {' '.join(host_key)}\n")
    config = work / "ssh_config"
    config.write_text(
        f"Host door\nHostName 127.0.0.1\nPort {port}\nUser {USER}\nIdentityFile {key}\nIdentitiesOnly yes\n"
        f"UserKnownHostsFile {known}\nGlobalKnownHostsFile /dev/null\nHostKeyAlgorithms ssh-ed25519\n"
        "StrictHostKeyChecking yes\nLogLevel ERROR\n"
    )
    return config


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port

"""Deploying from a workstation: what is asked of a device, which wheels fit it, what the operator reads when it fails.

The SSH here is real: an sshd of our own on loopback. The whole way onto a device is in test_system.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import ZipFile

import pytest

from deploy import payload
from deploy.__main__ import Job, for_each, main
from deploy.errors import DeployError
from deploy.ssh import connection, stage
from deploy.ssh.connection import Connection, explain
from deploy.ssh.device import QUESTIONS, Sudo, Target, read_answers
from tests.nonempty import some
from tests.stand_ins.container import call, free_port, must, wait_for

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
needs_sshd = pytest.mark.skipif(SSHD is None, reason="sshd is not installed (apt install openssh-server)")

BOOKWORM_PI = {
    "machine": "aarch64",
    "bits": "64",
    "glibc": "glibc 2.36",
    "os": "Debian GNU/Linux 12 (bookworm)",
    "codename": "bookworm",
    "python": "3.11",
    "systemd": "yes",
    "free_kb": "8000000",
    "rsync": "/usr/bin/rsync",
    "current": "",
    "sudo": "free",
}
JAMMY = Target("aarch64", "jammy", (3, 10), 35)
TRIXIE = Target("aarch64", "trixie", (3, 13), 41)


@dataclass(frozen=True)
class Door:
    """A host on loopback: ``commands`` are looked up before the system's."""

    folder: Path
    port: int

    def config(self, **options: object) -> Path:
        """An SSH configuration that names it ``door``; ``options`` win."""
        lines = {
            "HostName": "127.0.0.1",
            "Port": self.port,
            "IdentityFile": self.folder / "key",
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.folder / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
            **options,
        }
        path = self.folder / "ssh_config"
        path.write_text("Host door\n" + "".join(f"{key} {value}\n" for key, value in lines.items()))
        return path

    def command(self, name: str, script: str) -> None:
        """Put a command of ours before the system's."""
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def know(self, host_key: str) -> None:
        """Remember ``host_key`` as that of the door."""
        kind, key = host_key.split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")


def new_key(path: Path) -> str:
    must(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)])
    return path.with_suffix(".pub").read_text()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A host whose key is known and which knows ours."""
    assert SSHD
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "home of pi").mkdir()
    host_key = new_key(tmp_path / "host_key")
    (tmp_path / "authorized_keys").write_text(new_key(tmp_path / "key"))
    port = free_port()
    settings = tmp_path / "sshd_config"
    settings.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {tmp_path}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {tmp_path}/authorized_keys\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f'SetEnv PATH={tmp_path}/bin:/usr/local/bin:/usr/bin:/bin "HOME={tmp_path}/home of pi"\n'
    )
    with (
        (tmp_path / "sshd.log").open("wb") as log,
        subprocess.Popen([SSHD, "-D", "-e", "-f", str(settings)], stderr=log) as server,
    ):
        door = Door(tmp_path, port)
        door.know(host_key)
        wait_for(lambda: call(["ssh-keyscan", "-p", str(port), "127.0.0.1"]).stdout, 10, "sshd listens")
        yield door
        server.terminate()


@needs_sshd
def test_an_unknown_host_key_is_refused(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    (door.folder / "known_hosts").write_text("")
    assert main(["install", "door", "--ssh-config", str(door.config())]) == 1
    assert "The host key of door is not known here; connect once with 'ssh door'" in capsys.readouterr().out


@needs_sshd
def test_a_changed_host_key_is_refused(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    door.know(new_key(door.folder / "another_host_key"))
    assert main(["install", "door", "--ssh-config", str(door.config())]) == 1
    assert "door shows another host key than last time" in capsys.readouterr().out


@needs_sshd
def test_rejected_keys_are_named(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    new_key(door.folder / "wrong_key")
    config = door.config(IdentityFile=door.folder / "wrong_key")
    assert main(["install", "door", "--ssh-config", str(config)]) == 1
    assert "door does not accept your SSH key" in capsys.readouterr().out


@needs_sshd
def test_32_bit_systems_are_refused(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    door.command("uname", "echo armv7l")
    door.command("getconf", "echo 32")
    assert main(["install", "door", "--ssh-config", str(door.config())]) == 1
    assert "flash 'Raspberry Pi OS Lite (64-bit)'" in capsys.readouterr().out


@needs_sshd
def test_32_bit_under_64_bit_kernels(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    door.command("uname", "echo aarch64")
    door.command("getconf", "echo 32")
    assert main(["install", "door", "--ssh-config", str(door.config())]) == 1
    assert "door runs a 32-bit system" in capsys.readouterr().out


@needs_sshd
def test_cut_connections_are_explained(door: Door, tmp_path: Path) -> None:
    door.command("rsync", "kill -9 $PPID")
    sent = tmp_path / "release"
    sent.mkdir()
    connection = Connection("door", door.config())
    with pytest.raises(DeployError, match=r"The connection to door was cut; .* run this again") as told:
        connection.send(sent, "unused")
    connection.close()
    assert "\n" not in str(told.value)


@needs_sshd
def test_missing_rsync_is_explained(door: Door, tmp_path: Path) -> None:
    door.command("rsync", 'echo "sh: 1: rsync: not found" >&2; exit 127')
    connection = Connection("door", door.config())
    with pytest.raises(DeployError, match="sudo apt install rsync"):
        connection.send(tmp_path / "bin", "unused")
    connection.close()


@needs_sshd
def test_releases_go_into_the_home(door: Door, tmp_path: Path) -> None:
    sent = tmp_path / "release"
    sent.mkdir()
    (sent / "VERSION").write_text("1.0\n")
    connection = Connection("door", door.config())
    folder = Path(stage.prepare(connection, "1.0"))
    connection.send(sent, str(folder))
    (sent / "VERSION").write_text("1.0, again\n")
    connection.send(sent, str(folder))
    assert folder.parent == tmp_path / "home of pi" / ".cache" / "maskgate"
    assert [(file.name, file.read_text()) for file in folder.iterdir()] == [("VERSION", "1.0, again\n")]
    stage.forget(connection)
    connection.close()
    assert [path.name for path in (tmp_path / "home of pi").rglob("*")] == [".cache"]


@needs_sshd
def test_unfit_homes_stay_unchanged(door: Door, tmp_path: Path) -> None:
    photos = tmp_path / "home of pi" / "photos"
    photos.mkdir()
    os.utime(photos, (0, 0))
    (tmp_path / "home of pi" / ".cache").write_text("not a folder")
    connection = Connection("door", door.config())
    with pytest.raises(DeployError, match=r"\.cache/maskgate cannot be made"):
        stage.prepare(connection, "1.0")
    connection.close()
    assert photos.is_dir()


@needs_sshd
def test_printing_login_scripts_are_named(door: Door, tmp_path: Path) -> None:
    door.command("rsync", 'echo Welcome to this door; exec /usr/bin/rsync "$@"')
    connection = Connection("door", door.config())
    with pytest.raises(DeployError, match="A login script on door prints text"):
        connection.send(tmp_path / "bin", stage.prepare(connection, "1.0"))
    connection.close()


@needs_sshd
def test_a_device_describes_itself(door: Door) -> None:
    door.command("getconf", "case $1 in LONG_BIT) echo 64 ;; *) echo glibc 2.36 ;; esac")
    connection = Connection("door", door.config())
    answers = connection.run(["sh", "-s"], QUESTIONS.read_text("utf-8")).splitlines()
    connection.close()
    assert {"bits=64", "glibc=glibc 2.36", "current="} <= set(answers)
    assert len([line for line in answers if line.startswith("free_kb=") and line[8:].isdigit()]) == 1


@needs_sshd
def test_commands_reach_the_shell_unchanged(door: Door) -> None:
    words = ["printf", "%s|", "a b", "$HOME", "'", "; echo injected", "*"]
    connection = Connection("door", door.config())
    assert connection.run(words) == "a b|$HOME|'|; echo injected|*|"
    connection.close()


@pytest.mark.parametrize(
    ("complaint", "sentence"),
    [
        ("ssh: connect to host door1 port 22: Connection timed out", "pi@door1 cannot be reached; check that it is on"),
        ("ssh: connect to host door1 port 22: No route to host", "pi@door1 cannot be reached"),
        ('rsync: write failed on "x": No space left on device (28)', "pi@door1 has no space left; make room"),
        ("Received disconnect: Too many authentication failures", "pi@door1 does not accept your SSH key"),
    ],
)
def test_ssh_errors_become_one_sentence(complaint: str, sentence: str) -> None:
    told = explain("pi@door1", 255, f"some line before\n{complaint}\n")
    assert told.startswith(sentence)
    assert "\n" not in told


def test_each_host_has_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "ssh_config"
    config.write_text(f"Host closed\nHostName 127.0.0.1\nPort {free_port()}\n")
    assert main(["install", "no-such-host.invalid", "closed", "--ssh-config", str(config)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("no-such-host.invalid") and "There is no host named" in line for line in lines)
    assert any(line.startswith("closed") and "closed refuses SSH" in line for line in lines)


def test_hosts_come_from_three_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inventory = tmp_path / "hosts.txt"
    inventory.write_text("# doors of the east wing\nthree.invalid  # by the lift\n\ntwo.invalid\n", "utf-8-sig")
    monkeypatch.setenv("DEPLOY_HOSTS", "two.invalid")
    assert main(["rollback", "one.invalid", "--inventory", str(inventory)]) == 1
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "FAILED" in line]
    assert lines == ["one.invalid", "two.invalid", "three.invalid"]


def test_a_missing_temporary_folder_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connection, "SHORT_FOLDER", str(tmp_path / "missing"))
    assert main(["rollback", "one.invalid"]) == 2
    assert f"No such file or directory: '{tmp_path}/missing" in capsys.readouterr().err


def test_inventories_must_be_utf_8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventory = tmp_path / "hosts.txt"
    inventory.write_text("one.invalid\n", "utf-16")
    assert main(["rollback", "--inventory", str(inventory)]) == 2
    assert "is not text in UTF-8" in capsys.readouterr().err


def test_local_disk_errors_fail_one_host(tmp_path: Path) -> None:
    def work(job: Job) -> None:
        if job.connection.host == "one":
            (tmp_path / "no such folder" / "file").write_text("")
        job.outcome = (True, "done")

    jobs = [Job(Connection(host), print) for host in ("one", "two")]
    for_each(jobs, work)
    assert jobs[0].outcome == (
        False,
        f"This machine could not do it: {tmp_path}/no such folder/file: No such file or directory.",
    )
    assert jobs[1].outcome == (True, "done")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "No host is named"),
        (["--inventory", "/nonexistent"], "The inventory /nonexistent cannot be read"),
        (["--", "-oProxyCommand=reboot"], "'-oProxyCommand=reboot' is not a host"),
        (["pi@-oProxyCommand=reboot"], "is not a host"),
        (["pi@"], "is not a host"),
        (["pi@door/1"], "is not a host"),
        (["pi@$(reboot)"], "is not a host"),
        (["pi@door1\nProxyCommand reboot"], "is not a host"),
        (["ssh://pi@door1"], "is not a host"),
        (["pi@door1:2222"], "a port belongs in ~/.ssh/config"),
    ],
)
def test_wrong_calls_have_their_own_code(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_a_device_is_what_it_answers() -> None:
    device = read_answers("pi@door", {**BOOKWORM_PI, "current": "0.1.0-1a2b3c4d"})
    assert device.target == Target("aarch64", "bookworm", (3, 11), 36)
    assert (device.free_bytes, device.current, device.sudo) == (8_192_000_000, "0.1.0-1a2b3c4d", Sudo.FREE)


@pytest.mark.parametrize(
    ("answer", "sudo"),
    [("root", Sudo.NEEDLESS), ("free", Sudo.FREE), ("sudo: a password is required", Sudo.PASSWORD)],
)
def test_users_become_root_as_required(answer: str, sudo: Sudo) -> None:
    assert read_answers("pi@door", {**BOOKWORM_PI, "sudo": answer}).sudo is sudo


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (
            {"python": "3.9", "os": "Debian GNU/Linux 11 (bullseye)"},
            "has Python 3.9 .*bullseye.* flash Raspberry Pi OS",
        ),
        ({"python": ""}, "sudo apt install python3"),
        ({"glibc": ""}, "has no glibc"),
        ({"systemd": ""}, "is not run by systemd"),
        ({"rsync": ""}, "sudo apt install rsync"),
        ({"free_kb": ""}, "no home folder"),
        ({"sudo": "guest is not in the sudoers file."}, "gives you no sudo"),
    ],
)
def test_unsuitable_devices_are_explained(answers: dict[str, str], sentence: str) -> None:
    with pytest.raises(DeployError, match=sentence):
        read_answers("pi@door", {**BOOKWORM_PI, **answers})


def test_wheels_fit_the_devices_glibc() -> None:
    assert JAMMY.platforms[0] == "manylinux_2_35_aarch64"
    assert "manylinux_2_28_aarch64" in JAMMY.platforms
    assert JAMMY.platforms[-1] == "manylinux2014_aarch64"
    assert not any("2_36" in platform or "x86" in platform for platform in some(JAMMY.platforms))


def write_wheel(folder: Path, name: str, *requirements: str) -> None:
    with ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requirements)
        wheel.writestr(
            f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}\n"
        )


def test_markers_are_the_devices(tmp_path: Path) -> None:
    write_wheel(
        tmp_path,
        "door",
        'tomli>=2; python_version < "3.11"',
        'numpy; platform_machine == "aarch64"',
        'colorama; sys_platform == "win32"',
        'pytest; extra == "test"',
    )
    assert payload.missing_requirements(tmp_path, JAMMY) == {"tomli>=2", "numpy"}
    write_wheel(tmp_path, "numpy")
    assert payload.missing_requirements(tmp_path, TRIXIE) == set()


def test_all_missing_wheels_are_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The marker of a package that itself was named only by a marker is followed too."""
    shop = {"door": ['a; python_version < "3.11"'], "a": ['b; python_version < "3.11"'], "b": []}

    def buy(asked: list[str], target: Target, into: Path) -> None:
        into.mkdir()
        for name in asked:
            write_wheel(into, name, *shop[name])

    monkeypatch.setattr(payload, "_pip_download", buy)
    payload.download_wheels(["door"], JAMMY, tmp_path / "wheels")
    assert {wheel.name.split("-")[0] for wheel in (tmp_path / "wheels").iterdir()} == {"door", "a", "b"}
    payload.download_wheels(["door"], replace(JAMMY, python=(3, 13)), tmp_path / "wheels")
    assert {wheel.name.split("-")[0] for wheel in (tmp_path / "wheels").iterdir()} == {"door"}


def test_workstation_wheels_are_not_sent(tmp_path: Path) -> None:
    write_wheel(tmp_path, "maskgate", "numpy", 'tomli; python_version < "3.11"', 'colorama; sys_platform == "win32"')
    for name in ("pip", "numpy", "colorama"):
        write_wheel(tmp_path, name)
    write_wheel(tmp_path, "tomli", "needed-by-tomli")
    write_wheel(tmp_path, "needed_by_tomli")
    unneeded = {wheel.name.split("-")[0] for wheel in payload.unneeded_wheels(tmp_path, TRIXIE)}
    assert unneeded == {"colorama", "tomli", "needed_by_tomli"}
    assert {wheel.name.split("-")[0] for wheel in payload.unneeded_wheels(tmp_path, JAMMY)} == {"colorama"}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed checkout with what a release takes from it."""
    root = tmp_path / "checkout"
    for file in ("deploy/install.sh", "deploy/kiosk.sh", "deploy/constraints/bookworm.txt", "systemd/maskgate.service"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("committed")
    git = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
    must(["git", "init", "--quiet", str(root)])
    must([*git, "add", "."])
    must([*git, "commit", "--quiet", "-m", "m"])
    monkeypatch.setattr(payload, "ROOT", root)
    return root


def test_releases_have_version_and_commit(checkout: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "maskgate-1.2.3-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    commit = must(["git", "-C", str(checkout), "rev-parse", "--short=8", "HEAD"]).strip()
    assert payload.release_name(wheel) == f"1.2.3-{commit}"


def test_uncommitted_changes_alter_the_name(checkout: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "maskgate-1.2.3-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    unit = checkout / "systemd" / "maskgate.service"
    unit.write_text("changed")
    first = payload.release_name(wheel)
    assert first == payload.release_name(wheel)
    unit.write_text("changed again")
    assert "dirty" in first
    assert payload.release_name(wheel) != first

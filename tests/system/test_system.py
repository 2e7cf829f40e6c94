"""The whole way onto a device: a Debian booted with its own systemd, reached through its own sshd, deployed into.

The tests are one story, told in order; each leaves the device with a healthy release. `make test-system` runs them.
"""

from __future__ import annotations

import csv
import io
import subprocess
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.ssh.connection import Connection
from tests.nonempty import some
from tests.stand_ins.checkout import Checkout
from tests.stand_ins.container import GUEST, USER, Machine, call, missing, must, wait_for
from tests.stand_ins.converted_model import converted_model

CONFIG = """\
# The operator's own words.
[camera]
source = "demo"
loop = true

[counts]
recordings = true

[alerts]
output = "none"
"""
INSTALLER = "/opt/maskgate/current/install.sh"
LOCK = "/run/maskgate-install.lock"
TRIAL = "/run/systemd/system/maskgate.service"
DROP_IN = "/etc/systemd/system/maskgate.service.d/test.conf"
SHORT_WATCHDOG = 8
"""In seconds: more than camera.stale_after, after which a camera counts as lost."""

pytestmark = [pytest.mark.system, pytest.mark.skipif(missing() is not None, reason=missing() or "")]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("machine")) as machine:
        yield machine


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("first") / "checkout")


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The next release, as good as the first."""
    checkout = Checkout(tmp_path_factory.mktemp("second") / "checkout")
    checkout.change_unit("Description=Maskgate", "Description=Second maskgate")
    return checkout


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A release whose service does not start."""
    checkout = Checkout(tmp_path_factory.mktemp("bad") / "checkout")
    checkout.change_unit("[Service]\n", "[Service]\nEnvironment=MASKGATE_DOOR_COLOUR=green\n")
    return checkout


def current(machine: Machine) -> str:
    return machine.must("basename $(readlink /opt/maskgate/current)")


def visits(machine: Machine) -> int:
    """Visits that the device has stored, by its own command."""
    table = machine.must(
        "runuser -u maskgate -- env STATE_DIRECTORY=/var/lib/maskgate /opt/maskgate/current/venv/bin/maskgate"
        " counts --csv --since 30d --by day"
    )
    return sum(int(row["visits"]) for row in csv.DictReader(io.StringIO(table)))


def system_files(machine: Machine) -> set[str]:
    """Every file of the device but what any boot or login writes, with owner, kind, time and link."""
    listing = machine.must(
        r"""find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp \
        -o -path /var/log -o -path /var/lib/systemd -o -path /home -o -path /var/lib/maskgate \) -prune \
        -o ! -type d -printf '%p %u %y %T@ %l\n'"""
    )
    return set(listing.splitlines())


def paths(files: set[str]) -> set[str]:
    return {line.split(" ")[0] for line in files}


@pytest.fixture(scope="module")
def before_anything(machine: Machine) -> set[str]:
    return system_files(machine)


def test_a_full_device_stays_unchanged(machine: Machine, first: Checkout, before_anything: set[str]) -> None:
    machine.must("mkdir -p /opt && mount -t tmpfs -o size=30M tmpfs /opt")
    code, line = first.deploy(machine)
    machine.must("umount /opt")
    assert code == 1
    assert "There is no space: /opt has 30 MB free" in line
    assert system_files(machine) == before_anything


def test_a_missing_sudo_is_said(machine: Machine, first: Checkout) -> None:
    code, line = first.deploy(machine.as_user(GUEST))
    assert code == 1
    assert "sudo" in line


def test_sudos_password_goes_only_to_sudo(machine: Machine, first: Checkout) -> None:
    """Without a terminal nobody can be asked, which is said; a wrong one is told as sudo tells it."""
    machine.must(f"echo '{GUEST}:right' | chpasswd; echo '{GUEST} ALL=(ALL) ALL' > /etc/sudoers.d/guest")
    code, line = first.deploy(machine.as_user(GUEST))
    assert (code, "sudo on guest asks for a password; run this in a terminal" in line) == (1, True), line
    connection = Connection(GUEST, machine.ssh_config)
    try:
        connection.password = "right"
        assert connection.run_as_root(["id", "-u"], print) == (0, "0")
        connection.password = "wrong"
        code, last = connection.run_as_root(["id", "-u"], print)
        assert code != 0
        assert last.startswith(("sudo:", "Sorry, try again"))
    finally:
        connection.close()
        machine.must(f"rm /etc/sudoers.d/guest; passwd --quiet --lock {GUEST}")


def test_a_kiosk_needs_its_packages(machine: Machine, first: Checkout) -> None:
    code, line = first.deploy(machine, "install", "--kiosk")
    assert code == 1
    assert "sudo apt install --no-install-recommends cage seatd chromium" in line
    assert machine.run("test -e /opt/maskgate").returncode == 1


def test_the_first_installation_judges_frames(machine: Machine, first: Checkout) -> None:
    machine.must(f"mkdir /etc/maskgate && cat > /etc/maskgate/config.toml <<'END'\n{CONFIG}END")
    code, line = first.deploy(machine)
    assert (code, "installed: " in line) == (0, True), line
    assert machine.property("ActiveState") == "active"
    assert machine.property("StatusText")
    assert machine.run("systemctl is-enabled maskgate").stdout.strip() == "enabled"
    assert machine.judging()
    assert current(machine) in line


def test_the_devices_systemd_accepts_the_units(machine: Machine) -> None:
    assert machine.must("systemd-analyze verify maskgate.service 2>&1") == ""
    assert machine.must("systemctl show --property=FragmentPath --value maskgate") == (
        "/usr/local/lib/systemd/system/maskgate.service"
    )


def as_login_user(machine: Machine, command: str) -> subprocess.CompletedProcess[str]:
    """As somebody who logs in types it, with the PATH that SSH gives them."""
    return call(["ssh", "-F", str(machine.ssh_config), machine.host, command])


def test_login_user_finds_the_command(machine: Machine) -> None:
    done = as_login_user(machine, "maskgate --version")
    assert (done.returncode, done.stdout.startswith("maskgate ")) == (0, True), done


@pytest.mark.parametrize("words", ["counts --by day", "config", "doctor", "token", "alerts test", "look"])
def test_missing_rights_name_sudo(machine: Machine, words: str) -> None:
    machine.must("chgrp maskgate /etc/maskgate/config.toml; chmod 640 /etc/maskgate/config.toml")
    done = as_login_user(machine, f"maskgate {words}")
    assert done.returncode == 2
    assert f"Run: sudo maskgate {words}" in done.stderr
    assert "Traceback" not in done.stderr


def test_sudo_shows_the_services_state(machine: Machine) -> None:
    wait_for(lambda: visits(machine) > 0, 60, "a visit is stored")
    table = as_login_user(machine, "sudo maskgate counts --csv --since 30d --by day").stdout
    assert sum(int(row["visits"]) for row in csv.DictReader(io.StringIO(table))) > 0
    assert "loop = true  # /etc/maskgate/config.toml" in as_login_user(machine, "sudo maskgate config").stdout
    doctor = as_login_user(machine, "sudo maskgate doctor")
    assert "/var/lib/maskgate/counts.db" in doctor.stdout
    tokens_and_outputs_reach_the_service(machine)
    owners = machine.must("find /var/lib/maskgate -printf '%U\\n' | sort -u")
    assert owners == machine.must("id -u maskgate")


def tokens_and_outputs_reach_the_service(machine: Machine) -> None:
    """Without a restart, no matter who owns the files."""
    process = machine.property("MainPID")
    wait_for(lambda: status_code(machine) == "200", 60, "the pages are served")
    assert as_login_user(machine, "sudo maskgate token").returncode == 0
    assert status_code(machine) == "401"
    assert "not used yet" in as_login_user(machine, "sudo maskgate token list").stdout
    assert as_login_user(machine, "sudo maskgate token add reception").returncode == 0
    listed = as_login_user(machine, "sudo maskgate token list").stdout
    assert [line.split()[0] for line in listed.splitlines()] == ["default", "reception"]
    for name in ("default", "reception"):
        assert as_login_user(machine, f"sudo maskgate token revoke {name}").returncode == 0
    assert status_code(machine) == "200"
    looked = as_login_user(machine, "sudo maskgate look --output aim.jpg")
    assert "through the running maskgate" in looked.stdout, looked
    assert machine.must(f"stat -c %s /home/{USER}/aim.jpg; rm /home/{USER}/aim.jpg") != "0"
    tested = as_login_user(machine, "sudo maskgate alerts test")
    assert (tested.returncode, "nobody notices an alarm" in tested.stderr) == (6, True), tested
    assert machine.property("MainPID") == process


def status_code(machine: Machine) -> str:
    """What the operator's page answers on the device itself."""
    ask = (
        "import urllib.request, urllib.error\n"
        "try: print(urllib.request.urlopen('http://127.0.0.1:8080/api/status').status)\n"
        "except urllib.error.HTTPError as error: print(error.code)\n"
        "except OSError: print(0)\n"
    )
    return machine.must(f"python3 - <<'END'\n{ask}END")


def test_other_programs_are_left_alone(machine: Machine, first: Checkout) -> None:
    machine.must("mv /usr/local/bin/maskgate /srv/ours; printf '#!/bin/sh\\n' > /usr/local/bin/maskgate")
    code, _ = first.deploy(machine)
    theirs = machine.must("cat /usr/local/bin/maskgate")
    machine.must("mv /srv/ours /usr/local/bin/maskgate")
    assert (code, theirs) == (0, "#!/bin/sh")


def test_deploying_the_same_again_changes_nothing(machine: Machine, first: Checkout) -> None:
    before, process = system_files(machine), machine.property("MainPID")
    code, line = first.deploy(machine)
    assert (code, "unchanged: " in line) == (0, True), line
    assert system_files(machine) == before
    assert machine.property("MainPID") == process


def test_the_journal_has_one_event_line(machine: Machine) -> None:
    wait_for(lambda: "arrived" in machine.must("journalctl -t maskgate -o cat"), 60, "somebody arrives")
    lines = machine.must("journalctl -t maskgate -o cat --since -1min").splitlines()
    assert any(line.startswith("person ") for line in lines)
    assert not any("fps" in line for line in some(lines))


def test_killed_it_returns_within_seconds(machine: Machine) -> None:
    process = machine.property("MainPID")
    machine.must(f"kill -9 {process}")
    wait_for(
        lambda: machine.property("ActiveState") == "active" and machine.property("MainPID") not in ("0", process),
        20,
        "back after kill -9",
    )


def test_the_watchdog_restarts_a_frozen_pipeline(machine: Machine) -> None:
    machine.must(f"mkdir -p $(dirname {DROP_IN}); printf '[Service]\\nWatchdogSec=4\\n' > {DROP_IN}")
    machine.must("systemctl daemon-reload; systemctl restart maskgate")
    assert machine.judging()
    process = machine.property("MainPID")
    machine.must(f"kill -STOP {process}")
    wait_for(lambda: machine.property("MainPID") not in ("0", process), 20, "the watchdog's restart")
    assert "Watchdog timeout" in machine.must("journalctl -u maskgate --since -1min")
    assert "most recent call first" in machine.must("journalctl -t maskgate --since -1min")
    machine.must(f"rm -r $(dirname {DROP_IN}); systemctl daemon-reload; systemctl restart maskgate")


PROBE = textwrap.dedent(
    """\
    import os, socket, sys

    def attempt(name, act):
        try:
            act()
            print(name, "ok", flush=True)
        except OSError as error:
            print(name, error.strerror, flush=True)

    def write(path):
        open(path, "w").close()

    for place in ("/var/lib/maskgate", "/run/maskgate", "/tmp", "/etc", "/opt/maskgate", "/var/tmp/../cache"):
        attempt(place, lambda: write(place + "/probe"))
    attempt("home", lambda: os.listdir("/home/pi"))
    attempt("device", lambda: os.close(os.open("/srv/device", os.O_RDWR)))
    attempt("null", lambda: os.close(os.open("/dev/null", os.O_RDWR)))
    attempt("packets", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close())
    attempt("network", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close())
    attempt("clock", lambda: __import__("time").clock_settime(0, 0))
    """
)
ONLY_ONCE = r"""
sed -e 's|^ExecStart=.*|ExecStart=/usr/bin/python3 /srv/probe.py|' -e 's/^Type=.*/Type=oneshot/' \
    -e '/^Restart/d' -e '/^Watchdog/d' -e '/^NotifyAccess/d' -e '/^StartLimit/d' \
    /opt/maskgate/current/systemd/maskgate.service > /run/systemd/system/probe.service
"""


def probe(machine: Machine, extra: str = "") -> dict[str, str]:
    """What a program in the service's sandbox may do; ``extra`` is added to the unit."""
    machine.must(f"{ONLY_ONCE}\nmkdir -p /run/systemd/system/probe.service.d")
    machine.must(f"printf '[Service]\\nSyslogIdentifier=probe\\n{extra}' > /run/systemd/system/probe.service.d/x.conf")
    machine.must("journalctl --rotate --vacuum-time=1s >/dev/null 2>&1; systemctl daemon-reload; systemctl start probe")
    lines = machine.must("journalctl --sync; journalctl -t probe -o cat").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_the_sandbox_allows_only_the_needed(machine: Machine) -> None:
    """A loop-control node stands for any device that is not listed: its driver is in every kernel."""
    must(["mknod", "-m", "666", str(machine.root / "srv/device"), "c", "10", "237"])
    (machine.root / "srv/probe.py").write_text(PROBE)
    outside = machine.must("systemctl stop maskgate; runuser -u maskgate -- python3 /srv/probe.py")
    assert "device ok" in outside

    inside = probe(machine)
    machine.must("systemctl start maskgate")
    allowed = {name for name, answer in inside.items() if answer == "ok"}
    assert allowed == {"/var/lib/maskgate", "/run/maskgate", "/tmp", "null", "network"}
    assert inside["/etc"] == inside["/opt/maskgate"] == "Read-only file system"
    assert inside["device"] == "Operation not permitted"
    assert inside["packets"] == "Address family not supported by protocol"
    assert not (machine.root / "tmp/probe").exists()

    listed = probe(machine, "DeviceAllow=char-misc rw\\n")
    assert listed["device"] == "ok"


def test_only_a_local_port_is_open(machine: Machine) -> None:
    user = machine.must("id -u maskgate")

    def open_ports() -> list[str]:
        rows = [line.split() for line in machine.must("cat /proc/net/tcp /proc/net/tcp6").splitlines()]
        unconnected = [line.split() for line in machine.must("cat /proc/net/udp /proc/net/udp6").splitlines()]
        return [row[1] for row in rows if row[3] == "0A" and row[7] == user] + [
            row[1] for row in unconnected if row[7] == user
        ]

    wait_for(open_ports, 60, "the screens are served")
    assert open_ports() == ["0100007F:1F90"]  # 127.0.0.1:8080


def test_an_update_keeps_settings_and_counts(machine: Machine, second: Checkout) -> None:
    wait_for(lambda: visits(machine) > 0, 60, "a visit is stored")
    counted = visits(machine)
    before = current(machine)
    code, line = second.deploy(machine)
    assert (code, f"(before: {before})" in line) == (0, True), line
    assert current(machine) != before
    assert machine.must("cat /etc/maskgate/config.toml") + "\n" == CONFIG
    assert "# source = " in machine.must("cat /etc/maskgate/config.toml.new")
    assert visits(machine) >= counted
    assert machine.property("Description").startswith("Second")
    assert machine.judging()


def test_a_failing_release_is_taken_back(machine: Machine, bad: Checkout) -> None:
    good = current(machine)
    counted = visits(machine)
    code, line = bad.deploy(machine)
    assert code == 1
    assert f"does not run healthily and was taken back; {good} runs now" in line
    assert "The environment sets MASKGATE_DOOR_COLOUR, which is not a setting" in line
    assert current(machine) == good
    assert machine.judging()
    wait_for(lambda: visits(machine) > counted, 60, "the old release counts on")


def test_an_unknown_setting_stops_the_switch(machine: Machine, bad: Checkout) -> None:
    """Before the release, which is built already, is tried."""
    process = machine.property("MainPID")
    machine.must("cp -p /etc/maskgate/config.toml /srv/; echo 'colour = 1' >> /etc/maskgate/config.toml")
    code, line = bad.deploy(machine)
    machine.must("cp -p /srv/config.toml /etc/maskgate/config.toml")
    assert code == 1
    assert "self-test of the new release failed with exit code 2" in line
    assert machine.property("MainPID") == process


def test_rollback_goes_one_release_back(machine: Machine, second: Checkout) -> None:
    newer = current(machine)
    code, line = second.deploy(machine, "rollback")
    assert (code, f"(before: {newer})" in line) == (0, True), line
    older = current(machine)
    assert older != newer
    assert machine.judging()
    code, line = second.deploy(machine, "rollback")
    assert (code, f"There is no release older than {older}" in line) == (1, True), line
    assert as_login_user(machine, "sudo maskgate counts --since 30d").returncode == 0
    code, line = second.deploy(machine, "rollback", "--to", newer)
    assert (code, current(machine)) == (0, newer)


def test_rollback_brings_the_model_before_back(machine: Machine, second: Checkout, tmp_path: Path) -> None:
    before = current(machine)
    code, line = second.make(machine, "deploy", MODEL=converted_model(tmp_path / "converted"))
    assert (code, f"(before: {before})" in line) == (0, True), line
    carrying = current(machine)
    assert carrying.startswith(f"{before}-model.")
    assert machine.judging()
    doctor = as_login_user(machine, "sudo maskgate doctor").stdout
    assert f"mask: mask-small.tflite of your own, /opt/maskgate/releases/{carrying}/" in doctor
    code, line = second.make(machine, "rollback")
    assert (code, current(machine)) == (0, before), line
    assert machine.judging()
    doctor = as_login_user(machine, "sudo maskgate doctor").stdout
    assert ("mask: mask.tflite, " in doctor, "of your own" in doctor) == (True, False), doctor


def test_simultaneous_deployments_stay_apart(machine: Machine) -> None:
    machine.must(f"flock -n {LOCK} sleep 20 >/dev/null 2>&1 &")
    done = machine.run(f"sh {INSTALLER} rollback")
    machine.must("pkill -f 'sleep 20'")
    assert done.returncode == 75
    assert done.stdout.splitlines()[-1].startswith("maskgate-install: Another installation is under way")


def test_power_loss_during_trial_boots_old(machine: Machine) -> None:
    old = current(machine)
    counted = visits(machine)
    machine.must(f"(sh {INSTALLER} rollback >/dev/null 2>&1 &)")
    wait_for(lambda: machine.run(f"test -e {TRIAL}").returncode == 0, 20, "the trial begins")
    machine.cut_power()
    machine.boot()
    wait_for(machine.judging, 30, "the old release judges frames")
    assert current(machine) == old
    assert machine.run(f"test -e {TRIAL}").returncode == 1
    assert visits(machine) >= counted - 1


def test_a_cut_connection_leaves_nothing_half(machine: Machine, tmp_path: Path) -> None:
    third = Checkout(tmp_path / "checkout")
    third.change_unit("Description=Maskgate", "Description=Third maskgate")
    old = current(machine)
    machine.must(f"cd /opt/maskgate && cp -al releases/{old} releases/0.0.1 && sed -i 1i0.0.1 history")
    deployment = third.start_deploying(machine)
    assert deployment.stdout
    for line in deployment.stdout:
        if "Building the release" in line:
            break
    machine.run(f"pkill -KILL -u {USER} sshd")
    told = deployment.communicate(timeout=60)[0].splitlines()[-1]
    assert deployment.returncode == 1
    assert "The connection to door was cut" in told
    assert current(machine) == old
    assert machine.judging()
    wait_for(
        lambda: machine.run(f"flock -n {LOCK} true").returncode == 0,
        240,
        "the installer finishes by itself",
    )
    assert current(machine) != old
    code, line = third.deploy(machine)
    assert (code, "unchanged: " in line) == (0, True), line
    assert machine.property("Description").startswith("Third")
    assert machine.judging()


def test_the_last_three_releases_are_kept(machine: Machine) -> None:
    """The one before the first, put there above, is gone."""
    kept = machine.must("ls /opt/maskgate/releases").split()
    assert len(kept) == 3
    assert "0.0.1" not in kept
    assert sorted(kept) == sorted(machine.must("cat /opt/maskgate/history").split())
    assert machine.must("tail -n 1 /opt/maskgate/history") == current(machine)


def health(machine: Machine) -> str:
    """What the door says of itself; nothing while it does not answer."""
    ask = (
        "import urllib.request, urllib.error\n"
        "try: print(urllib.request.urlopen('http://127.0.0.1:8080/health').read().decode())\n"
        "except urllib.error.HTTPError as error: print(error.read().decode())\n"
        "except OSError: print()\n"
    )
    return machine.must(f"python3 - <<'END'\n{ask}END")


def test_the_service_stays_up_without_a_camera(machine: Machine) -> None:
    """For three times the watchdog's limit, and it can go back a release meanwhile."""
    machine.must(
        f"mkdir -p $(dirname {DROP_IN}); printf '[Service]\\nWatchdogSec={SHORT_WATCHDOG}\\n' > {DROP_IN};"
        "sed -i 's|demo|/dev/video63|' /etc/maskgate/config.toml; systemctl daemon-reload; systemctl restart maskgate"
    )
    wait_for(lambda: "/dev/video63" in health(machine), 30, "the pages say what is wrong")
    assert "Waiting for a camera" in machine.must("journalctl -t maskgate -o cat --since -1min")
    told = machine.must(f"sh {INSTALLER} rollback")
    assert "It runs but has judged no frame yet" in told
    process, restarts = machine.property("MainPID"), machine.property("NRestarts")
    time.sleep(max(0.0, 3 * SHORT_WATCHDOG - uptime(machine)))
    assert (machine.property("MainPID"), machine.property("NRestarts")) == (process, restarts) == (process, "0")
    assert "/dev/video63" in health(machine)
    machine.must("cp -p /srv/config.toml /etc/maskgate/config.toml")
    machine.must(f"rm -r $(dirname {DROP_IN}); systemctl daemon-reload; systemctl restart maskgate")
    wait_for(machine.judging, 30, "frames are judged again")


def uptime(machine: Machine) -> float:
    """Seconds since the service was ready."""
    since = int(machine.property("ActiveEnterTimestampMonotonic")) / 1e6
    return float(machine.must("cut -d ' ' -f 1 /proc/uptime")) - since


def test_a_release_that_judges_nothing_is_taken_back(machine: Machine) -> None:
    """Here one that looks for a camera that is not there. That it says so in time is no sign of life."""
    good = current(machine)
    other = machine.must(f"grep -Fvx {good} /opt/maskgate/history | tail -n 1")
    unit = f"/opt/maskgate/releases/{other}/systemd/maskgate.service"
    machine.must(f"sed -i '/^\\[Service\\]/a Environment=MASKGATE_CAMERA_SOURCE=/dev/video63' {unit}")
    copy = "/srv/quick/install.sh"
    machine.must(f"install -D {INSTALLER} {copy}; sed -i s/HEALTHY_WITHIN=60/HEALTHY_WITHIN=12/ {copy}")
    done = machine.run(f"sh {copy} rollback {other}")
    machine.must("rm -r /srv/quick")
    assert done.returncode == 1, done
    assert f"{other} does not run healthily and was taken back; {good} runs now" in done.stdout
    assert current(machine) == good
    wait_for(machine.judging, 30, "frames are judged")


def test_uninstalling_keeps_settings_and_counts(machine: Machine, first: Checkout, before_anything: set[str]) -> None:
    code, line = first.deploy(machine, "uninstall")
    assert code == 0
    assert line.endswith("uninstalled: what is left is /var/lib/maskgate /etc/maskgate/config.toml")
    accounts = {f"/etc/{name}" for name in ("group", "group-", "gshadow", "gshadow-", "passwd-", "shadow-")}
    ours = {"/srv/device", "/srv/probe.py", "/srv/config.toml"}
    left = paths(system_files(machine)) - paths(before_anything) - accounts - ours
    assert left == {"/etc/maskgate/config.toml"}
    assert paths(before_anything) <= paths(system_files(machine))
    assert machine.must("stat -c '%U %a' /var/lib/maskgate") == "root 700"
    assert machine.run("id maskgate").returncode != 0
    assert machine.run("systemctl cat maskgate").returncode != 0
    assert machine.run(f"test -e /home/{USER}/.cache/maskgate").returncode == 1

"""Installing from a clone on the device, and the page, full screen: a real compositor and a real Chromium under their
unit, on a screen in memory alone.

The tests are one story, told in order. `make test-system` runs them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from tests.stand_ins.checkout import Checkout
from tests.stand_ins.clone import BUILDER, INSTALL, put_clone
from tests.stand_ins.container import PACKAGES, Machine, free_port, missing, wait_for

# python3-venv: what the installer needs when it is run from a clone, and not when it is sent a release.
KIOSK_PACKAGES = f"{PACKAGES},cage,seatd,chromium,grim,python3-venv"
KEPT_ALIVE = 5
"""How long the server keeps a connection over which nothing is asked, in seconds."""
DROP_IN = "/etc/systemd/system/maskgate-kiosk.service.d/test.conf"
IN_KIOSK = "runuser -u maskgate-kiosk -- env XDG_RUNTIME_DIR=/run/maskgate-kiosk WAYLAND_DISPLAY=wayland-0"

pytestmark = [pytest.mark.system, pytest.mark.skipif(missing() is not None, reason=missing() or "")]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A device that has what a kiosk needs, and a screen of 1280 by 720 pixels that nobody sees."""
    with Machine(tmp_path_factory.mktemp("kiosk"), KIOSK_PACKAGES) as machine:
        port = free_port()
        config = f'[camera]\nsource = "demo"\nloop = true\n[alerts]\noutput = "none"\n[web]\nport = {port}\n'
        machine.must(f"mkdir /etc/maskgate && cat > /etc/maskgate/config.toml <<'END'\n{config}END")
        environment = f"WLR_BACKENDS=headless WLR_RENDERER=pixman KIOSK_PAGE=http://127.0.0.1:{port}/"
        machine.must(f"mkdir -p $(dirname {DROP_IN}) && printf '[Service]\\nEnvironment={environment}\\n' > {DROP_IN}")
        yield machine


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("kiosk-release") / "checkout")


def current(machine: Machine) -> str:
    return machine.must("basename $(readlink /opt/maskgate/current)")


def kiosk(machine: Machine, name: str) -> str:
    return machine.must(f"systemctl show --property={name} --value maskgate-kiosk.service")


def shows_page(machine: Machine, picture: Path) -> bool:
    """Whether the page's stream is open, and the screen has more on it than one colour."""
    if not listens(machine):
        return False
    if machine.run(f"{IN_KIOSK} grim - > /srv/screen.png").returncode:
        return False
    picture.write_bytes((machine.root / "srv/screen.png").read_bytes())
    grey = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    return grey is not None and float(grey.std()) > 5


def listens(machine: Machine) -> bool:
    """Whether the kiosk's user has a connection to the page; the kernel's table has numbers in hexadecimal."""
    page = page_port(machine)
    user = machine.must("id -u maskgate-kiosk")
    rows = [line.split() for line in machine.must("cat /proc/net/tcp").splitlines()[1:]]
    return any(row[2] == f"0100007F:{int(page):04X}" and row[3] == "01" and row[7] == user for row in rows)


def page_port(machine: Machine) -> str:
    return machine.must(f"sed -n 's/.*KIOSK_PAGE=http:..127.0.0.1:\\([0-9]*\\).*/\\1/p' {DROP_IN}")


def browser(machine: Machine) -> str:
    """Process of the browser itself, or nothing."""
    return machine.run("pgrep --oldest --uid maskgate-kiosk --full 'chromium.* --kiosk'").stdout.strip()


def files(machine: Machine, release: str) -> list[str]:
    """What a release has, but for its environment."""
    return machine.must(f"cd /opt/maskgate/releases/{release} && find . -path ./venv -prune -o -print | sort").split()


def test_the_services_account_builds_a_clone(machine: Machine, tmp_path: Path) -> None:
    """What is fetched and built never runs as root."""
    put_clone(machine, tmp_path)
    told = machine.must(f"{INSTALL} 2>&1")
    assert "installed: " in told.splitlines()[-1], told
    wait_for(machine.judging, 30, "frames are judged")
    assert machine.must("find /opt/maskgate ! -user root") == ""
    assert machine.must(f"cat {BUILDER}") == "maskgate"
    assert machine.run("test -e /opt/maskgate/current/sent").returncode == 1


def test_the_page_appears_when_it_answers(machine: Machine, checkout: Checkout, tmp_path: Path) -> None:
    cloned = current(machine)
    code, line = checkout.deploy(machine, "install", "--kiosk")
    assert (code, "installed: " in line) == (0, True), line
    assert current(machine) != cloned
    assert files(machine, current(machine)) == files(machine, cloned)
    assert machine.must("systemctl is-enabled maskgate-kiosk 2>&1 || true") == "enabled"
    wait_for(lambda: shows_page(machine, tmp_path / "screen.png"), 120, "the page is on the screen")


def test_a_token_keeps_it_shown(machine: Machine, tmp_path: Path) -> None:
    """The stream stays open for longer than an idle connection would; another user of the device is refused."""
    machine.must(
        "/opt/maskgate/current/venv/bin/maskgate token --config /etc/maskgate/config.toml"
        " --file /var/lib/maskgate/web-token && systemctl restart maskgate.service"
    )
    wait_for(lambda: shows_page(machine, tmp_path / "screen.png"), 120, "the page is on the screen again")
    time.sleep(2 * KEPT_ALIVE)
    assert listens(machine)
    ask = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{page_port(machine)}/operator')"
    assert "HTTP Error 401" in machine.run(f'/opt/maskgate/current/venv/bin/python -c "{ask}"').stderr


def test_the_devices_systemd_accepts_the_units(machine: Machine) -> None:
    assert machine.must("systemd-analyze verify maskgate-kiosk.service 2>&1") == ""


def test_the_browser_keeps_its_own_sandbox(machine: Machine) -> None:
    """A renderer has a system call filter of Chromium's over that of the unit, and process numbers of its own."""
    renderer = machine.must("pgrep --newest --uid maskgate-kiosk --full 'type=renderer'")
    status = dict(line.split(":\t", 1) for line in machine.must(f"cat /proc/{renderer}/status").splitlines())
    assert status["Seccomp"] == "2"
    assert status["NoNewPrivs"] == "1"
    outside = machine.must(f"readlink /proc/{browser(machine)}/ns/net")
    assert machine.must(f"readlink /proc/{renderer}/ns/net") != outside
    assert int(status["Seccomp_filters"]) > int(filters(machine, browser(machine)))


def filters(machine: Machine, process: str) -> str:
    return machine.must(f"sed -n 's/^Seccomp_filters:\\t//p' /proc/{process}/status")


@pytest.mark.parametrize("victim", ["browser", "compositor"])
def test_a_dead_browser_comes_back(machine: Machine, victim: str, tmp_path: Path) -> None:
    process = browser(machine) if victim == "browser" else kiosk(machine, "MainPID")
    machine.must(f"kill -9 {process}")
    wait_for(lambda: browser(machine) not in ("", process), 60, "another browser")
    wait_for(lambda: shows_page(machine, tmp_path / "screen.png"), 120, "the page is on the screen again")


def test_a_clone_shows_its_page_too(machine: Machine) -> None:
    deployed, before = current(machine), kiosk(machine, "MainPID")
    told = machine.must(f"{INSTALL} --kiosk")
    assert told.splitlines()[-1].startswith("installed: ")
    assert current(machine) != deployed
    assert machine.judging()
    assert kiosk(machine, "MainPID") not in ("0", before)


def test_an_update_shows_its_page(machine: Machine, checkout: Checkout) -> None:
    """Also without being told to show it."""
    before = kiosk(machine, "MainPID")
    code, line = checkout.deploy(machine)
    assert (code, "installed: " in line) == (0, True), line
    assert kiosk(machine, "MainPID") not in ("0", before)


def test_uninstalling_takes_the_kiosk_away_too(machine: Machine, checkout: Checkout) -> None:
    code, line = checkout.deploy(machine, "uninstall")
    assert code == 0, line
    assert machine.run("systemctl cat maskgate-kiosk").returncode != 0
    assert machine.run("id maskgate-kiosk").returncode != 0
    assert browser(machine) == ""

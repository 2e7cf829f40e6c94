"""Deploying where something stands in the way: what is not maskgate's is neither followed nor deleted.

The tests are one story, told in order, in a device of its own. `make test-system` runs them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from tests.stand_ins.checkout import Checkout
from tests.stand_ins.container import GUEST, USER, Machine, missing, wait_for

BASE, RELEASES, HISTORY = "/opt/maskgate", "/opt/maskgate/releases", "/opt/maskgate/history"
LOCK = "/run/maskgate-install.lock"
STAGE = f"/home/{USER}/.cache/maskgate"
PHOTOS = f"/home/{USER}/photos/wedding.jpg"
CONFIG = '[camera]\nsource = "demo"\nloop = true\n\n[alerts]\noutput = "none"\n'

pytestmark = [pytest.mark.system, pytest.mark.skipif(missing() is not None, reason=missing() or "")]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("machine")) as machine:
        machine.must(f"mkdir $(dirname {PHOTOS}); touch -d 2000-01-01 {PHOTOS} $(dirname {PHOTOS})")
        machine.must(f"chown -R {USER}: /home/{USER}/photos")
        # Frames to judge: these tests are about places, not about a lost camera.
        machine.must(f"mkdir /etc/maskgate; printf '%s' {shlex.quote(CONFIG)} > /etc/maskgate/config.toml")
        yield machine


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("checkout") / "my checkout")


def refusal(machine: Machine, *words: str) -> str:
    """What the installer that was sent says last when it refuses; the photos are still there."""
    done = machine.run(f"sh {STAGE}/*/install.sh {' '.join(words)}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert machine.run(f"test -e {PHOTOS}").returncode == 0
    return done.stdout.splitlines()[-1]


def test_roots_cache_leaves_homes_alone(machine: Machine, checkout: Checkout) -> None:
    machine.must(f"mkdir /home/{USER}/.cache")
    code, line = checkout.deploy(machine)
    machine.must(f"rmdir /home/{USER}/.cache")
    assert (code, f"{STAGE} cannot be made" in line) == (1, True), line
    assert machine.run(f"test -e {PHOTOS}").returncode == 0


def test_a_small_cache_is_measured_first(machine: Machine, checkout: Checkout) -> None:
    cache = f"/home/{USER}/.cache"
    machine.must(f"mkdir {cache}; mount -t tmpfs -o size=4M,uid=$(id -u {USER}) none {cache}")
    code, line = checkout.deploy(machine)
    left = machine.must(f"ls -A {cache}; umount {cache}; rmdir {cache}")
    assert (code, "has 4 MB free and the release is" in line, left) == (1, True, ""), line


def test_releases_linked_to_homes_are_refused(machine: Machine, checkout: Checkout) -> None:
    machine.must(f"mkdir -p {BASE}; ln -s /home {RELEASES}")
    code, line = checkout.deploy(machine)
    assert (code, f"{RELEASES} is a link" in line) == (1, True), line
    assert machine.run(f"test -e {PHOTOS}").returncode == 0
    machine.must(f"rm {RELEASES}; rmdir {BASE}")


@pytest.mark.parametrize(
    ("make", "unmake", "sentence"),
    [
        (f"ln -s /home {BASE}", f"rm {BASE}", "is a link"),
        (f"ln -s /nowhere {BASE}", f"rm {BASE}", "is a link"),
        (f"touch {BASE}", f"rm {BASE}", "is not a folder"),
        (f"install -d -o {GUEST} {BASE}", f"rmdir {BASE}", "does not belong to root"),
        (f"install -d -m 777 {BASE}", f"rmdir {BASE}", "Others than root may write"),
        (
            f"mkdir {BASE}; mount -t tmpfs -o ro,mode=755 none {BASE}",
            f"umount {BASE}; rmdir {BASE}",
            "cannot be written to",
        ),
        ("mount -t tmpfs none /opt; mount -o remount,ro /opt", "umount /opt", "Read-only file system"),
    ],
    ids=["link", "dangling", "file", "foreign", "writable", "read-only", "read-only-above"],
)
def test_foreign_places_are_refused(machine: Machine, make: str, unmake: str, sentence: str) -> None:
    machine.must(make)
    told = refusal(machine, "install")
    machine.must(unmake)
    assert sentence in told, told


def test_uninstalling_does_not_follow_a_link(machine: Machine) -> None:
    machine.must(f"ln -s /home/{USER} {BASE}")
    told = refusal(machine, "uninstall")
    machine.must(f"rm {BASE}")
    assert "is a link" in told


def test_a_guest_cannot_hold_the_lock(machine: Machine) -> None:
    machine.must(f"test -f {LOCK}")
    assert machine.run(f"runuser -u {GUEST} -- flock -n {LOCK} true").returncode != 0
    assert machine.run(f"runuser -u {GUEST} -- rm -f {LOCK}").returncode != 0


def test_unlisted_wheels_are_not_installed(machine: Machine) -> None:
    machine.must(f"cd {STAGE}/*/wheels; cp numpy-*.whl unlisted-1.0-py3-none-any.whl")
    told = refusal(machine, "install")
    machine.must(f"rm {STAGE}/*/wheels/unlisted-1.0-py3-none-any.whl")
    assert "its list SHA256SUMS does not name: wheels/unlisted-1.0-py3-none-any.whl" in told
    assert machine.must(f"ls {RELEASES}") == ""


def test_altered_wheels_are_not_installed(machine: Machine) -> None:
    machine.must(f"cd {STAGE}/*/wheels; cp numpy-*.whl /srv/; for wheel in numpy-*.whl; do echo >> $wheel; done")
    told = refusal(machine, "install")
    machine.must(f"mv /srv/numpy-*.whl {STAGE}/*/wheels/")
    assert "What was sent is not whole" in told
    assert machine.must(f"ls {RELEASES}") == ""


def test_foreign_files_among_releases_stay(machine: Machine, checkout: Checkout) -> None:
    """Nor is a release removed whose history cannot be read."""
    machine.must(
        f"mkdir -p {RELEASES}/backup/photos {RELEASES}/0.0.1/venv; ln -s /home {RELEASES}/link; mkdir {HISTORY}"
    )
    code, line = checkout.deploy(machine)
    assert (code, "installed: " in line) == (0, True), line
    assert {"backup", "0.0.1", "link"} < set(machine.must(f"ls {RELEASES}").split())
    assert "history of releases could not be written" in machine.must("journalctl -t maskgate-install -o cat")
    assert machine.run(f"test -e {PHOTOS}").returncode == 0


def test_unlisted_releases_are_removed(machine: Machine, checkout: Checkout) -> None:
    machine.must(f"rmdir {HISTORY}")
    checkout.change_unit("Description=Maskgate", "Description=Next maskgate")
    code, line = checkout.deploy(machine)
    assert (code, "installed: " in line) == (0, True), line
    left = set(machine.must(f"ls {RELEASES}").split())
    assert left == {"backup", "link", *machine.must(f"cat {HISTORY}").split()}


def test_one_of_two_deployments_wins(machine: Machine, checkout: Checkout) -> None:
    checkout.change_unit("Description=Next maskgate", "Description=Contested maskgate")
    both = [checkout.start_deploying(machine) for _ in range(2)]
    told = [deployment.communicate(timeout=300)[0].splitlines()[-1] for deployment in both]
    assert sorted(deployment.returncode for deployment in both) == [0, 1], told
    won, lost = sorted(told, key=lambda line: "FAILED" in line)
    assert "installed: " in won
    assert "Another installation is under way on this device" in lost
    wait_for(machine.judging, 30, "frames are judged")
    assert machine.property("Description").startswith("Contested")


def test_uninstalling_leaves_the_homes_alone(machine: Machine, checkout: Checkout) -> None:
    code, line = checkout.deploy(machine, "uninstall")
    assert (code, "uninstalled" in line) == (0, True), line
    assert machine.run(f"test -e {BASE}").returncode == 1
    assert machine.run(f"test -e {STAGE}").returncode == 1
    assert machine.run(f"test -e {PHOTOS}").returncode == 0

"""A card from `make image` in the device: its first boot, with real systemd, without a network, the clock decades off.

The tests are one story, told in order. `make test-system` runs them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stand_ins.card import CONFIG, SETUP, UNIT, Card
from tests.stand_ins.card_base import MISSING
from tests.stand_ins.checkout import Checkout
from tests.stand_ins.container import Machine, missing, must, wait_for

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(missing() or MISSING), reason=missing() or MISSING or ""),
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("image") / "checkout")


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory, checkout: Checkout) -> Iterator[Card]:
    with Card(tmp_path_factory.mktemp("card"), checkout) as card:
        yield card


def test_making_the_image_explains_it(card: Card) -> None:
    assert "base.img is Debian GNU/Linux 13 (trixie)" in card.told
    assert "SHA-256" in card.told
    assert "Raspberry Pi Imager" in card.told
    assert card.told.splitlines()[-1] == "Then: ssh pi@door1.local"


def test_first_boot_survives_a_power_cut(card: Card) -> None:
    wait_for(lambda: "Building the release" in card.shown(), 180, "the release is being built")
    card.cut_power()
    assert not (card.root / "opt/maskgate/current").exists()
    card.boot()


def test_the_first_boot_reports_its_end(card: Card) -> None:
    wait_for(lambda: "This card is finished: maskgate runs." in card.shown(), 300, "the first boot ends")
    assert "THIS CARD IS NOT FINISHED" not in card.shown()
    assert "What the doctor found:" in card.shown()


def test_the_service_judges_frames(card: Card) -> None:
    card.know_host_key()
    assert card.judging()
    assert card.must("systemctl is-enabled maskgate 2>&1 || true") == "enabled"
    assert card.must("stat -c '%U %G %a' /etc/maskgate/config.toml") == "root maskgate 640"
    assert card.must("cat /etc/maskgate/config.toml") + "\n" == CONFIG


def test_it_installed_with_a_wrong_clock(card: Card) -> None:
    """The positive control: without it the story above would tell nothing of clocks."""
    assert "The clock says 1996-02-29" in card.shown()


def test_only_a_key_opens_the_device(card: Card) -> None:
    assert card.must("hostname") == "door1"
    fingerprint = must(["ssh-keygen", "-l", "-f", str(card.root / "etc/ssh/ssh_host_ed25519_key.pub")]).split()[1]
    assert fingerprint in card.shown()
    assert card.must("getent shadow pi | cut -d : -f 2").startswith("!")
    assert card.must("awk -F : '$2 !~ /^[!*]/' /etc/shadow") == ""
    assert "passwordauthentication no" in card.must("/usr/sbin/sshd -T")
    assert card.must("readlink /etc/localtime") == "../usr/share/zoneinfo/Europe/Berlin"


def test_first_boot_leaves_nothing_behind(card: Card) -> None:
    assert card.must(f"ls -d {SETUP} {UNIT} /etc/systemd/system/*/maskgate-first-boot* 2>/dev/null || true") == ""


def test_the_card_carries_its_own_model(card: Card) -> None:
    release = card.must("readlink -f /opt/maskgate/current")
    found = next(line for line in card.shown().splitlines() if "mask: mask-small.tflite" in line)
    assert f"of your own, {release}/" in found


def test_deploying_the_same_changes_nothing(card: Card, checkout: Checkout) -> None:
    """Card and deployment end in the same layout."""
    code, line = checkout.make(card, "deploy", MODEL=card.model)
    assert (code, "unchanged: " in line) == (0, True), line


def test_later_boots_need_nothing(card: Card) -> None:
    card.cut_power()
    shown = len(card.shown())
    Machine.boot(card)
    wait_for(card.judging, 90, "frames are judged")
    assert "Finishing this card" not in card.shown()[shown:]

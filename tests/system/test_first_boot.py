"""A card's first boot, cut short at any moment or run twice, ends as one that nothing disturbed.

Power is cut at each step, then at random moments: ``FIRST_BOOT_CUTS=50 make test-system
ARGS=tests/system/test_first_boot.py`` cuts 50 times, five times a card. `make test-system` runs this.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.stand_ins.card import CONFIGURING, CURRENT, SETUP, UNIT, Card, Copy, pristine
from tests.stand_ins.card_base import MISSING
from tests.stand_ins.checkout import Checkout
from tests.stand_ins.container import missing

CUTS = int(os.environ.get("FIRST_BOOT_CUTS", "2"))
CUTS_A_CARD = 5
LONGEST = 200
"""Seconds until a step is reached on a busy machine."""
STEPS = (
    f"{SETUP}/accounts",
    "/home/pi",
    f"{SETUP}/operator-made",
    "/home/pi/.ssh/authorized_keys",
    "/etc/maskgate",
    "/opt/maskgate/releases",
    "/opt/maskgate/current",
    "/etc/systemd/system/multi-user.target.wants/maskgate.service",
    "/opt/maskgate/history",
    CONFIGURING,
    f"{SETUP}/finished",
)
"""Files and folders that come one after the other."""

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(missing() or MISSING), reason=missing() or MISSING or ""),
]


@dataclass(frozen=True)
class Undisturbed:
    """A first boot without a cut: what it leaves, and how many seconds it took."""

    state: set[str]
    seconds: float


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Card]:
    checkout = Checkout(tmp_path_factory.mktemp("image") / "checkout")
    with pristine(tmp_path_factory.mktemp("card"), checkout) as card:
        yield card


@pytest.fixture
def copy(card: Card, tmp_path: Path) -> Iterator[Copy]:
    with Copy(tmp_path, card.root) as copy:
        yield copy


@pytest.fixture(scope="module")
def undisturbed(card: Card, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    with Copy(tmp_path_factory.mktemp("undisturbed"), card.root) as copy:
        seconds = copy.finish()
        return Undisturbed(copy.state(), seconds)


def test_the_first_boot_sets_it_up(undisturbed: Undisturbed) -> None:
    """The positive control: the states below are compared with this one."""
    names = {line.split(" ")[0] for line in undisturbed.state}
    assert {CURRENT, "/etc/maskgate/config.toml", "/home/pi/.ssh/authorized_keys", "/srv/configured"} <= names
    assert not {name for name in names if name == UNIT or name.startswith(SETUP)}


def test_cuts_at_each_step_are_harmless(copy: Copy, undisturbed: Undisturbed) -> None:
    for step in STEPS:
        if os.path.lexists(copy.path(step)):
            continue
        came = copy.cut(partial(os.path.lexists, copy.path(step)), LONGEST)
        assert came, f"{step} was never reached: {copy.shown()[-2000:]}"
    if not copy.is_finished():
        copy.finish()
    assert copy.state() ^ undisturbed.state == set()


def test_cuts_during_cleanup_are_harmless(copy: Copy, undisturbed: Undisturbed) -> None:
    assert copy.cut(lambda: not copy.path(f"{SETUP}/release").exists(), LONGEST)
    if not copy.is_finished():
        copy.finish()
    assert copy.state() ^ undisturbed.state == set()


def test_running_twice_is_harmless(copy: Copy, card: Card, undisturbed: Undisturbed) -> None:
    copy.finish()
    shutil.copytree(card.root / SETUP.lstrip("/"), copy.path(SETUP), symlinks=True)
    wants = Path(UNIT).parent / "multi-user.target.wants" / Path(UNIT).name
    for name in (UNIT, str(wants)):
        shutil.copy2(card.root / name.lstrip("/"), copy.path(name), follow_symlinks=False)
    copy.finish()
    assert copy.state() ^ undisturbed.state == set()


@pytest.mark.parametrize("number", range(-(-CUTS // CUTS_A_CARD)))
def test_random_cuts_are_harmless(copy: Copy, undisturbed: Undisturbed, number: int) -> None:
    chance = random.Random(number)
    moments = [chance.uniform(0, undisturbed.seconds) for _ in range(min(CUTS - number * CUTS_A_CARD, CUTS_A_CARD))]
    print(f"card {number}: cut after {', '.join(f'{moment:.1f}' for moment in moments)} s")
    for moment in moments:
        copy.cut(lambda: False, moment)
    if not copy.is_finished():
        copy.finish()
    assert copy.state() ^ undisturbed.state == set()

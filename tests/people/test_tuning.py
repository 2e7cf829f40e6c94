"""The constants of following people are passed in, and each can be switched off."""

from __future__ import annotations

import pytest

from edge.config import PeopleSettings
from edge.people import PeopleTracker, Tuning
from tests.bench.people_tuning import CHANGES, Change, outcome
from tests.people.helpers import BARE, kinds, reading, take_in


def test_a_tracker_follows_its_tuning() -> None:
    hasty = PeopleTracker(PeopleSettings(), Tuning(confirm_hits=1, confirm_seen=0.0))
    take_in(hasty, [reading(BARE)], 0.0)
    assert kinds(take_in(hasty, [reading(BARE)], 0.05)) == []
    assert len(hasty.people) == 1
    usual = PeopleTracker(PeopleSettings())
    take_in(usual, [reading(BARE)], 0.0)
    assert usual.people == ()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.words)
def test_each_constant_can_be_switched_off(change: Change) -> None:
    made = outcome("bursty (mean 0.2 s)", change, visits=4)
    assert made.truth >= 4
    assert made.counted + made.missed >= made.truth

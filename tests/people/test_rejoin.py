"""Who comes back, and who is somebody else."""

from __future__ import annotations

import pytest

from edge.values import Label, Verdict
from tests.people.helpers import BARE, MASKED, Door, face, kinds, reading, walk


@pytest.mark.parametrize("gap", [0.2, 0.7, 1.4])
def test_lost_for_a_moment_same_person(gap: float) -> None:
    door = Door()
    door.see(reading(MASKED), seconds=1)
    door.see(seconds=gap)
    assert [person.id for person in door.tracker.people] == [1]
    door.see(reading(MASKED), seconds=1)
    assert door.ended() == [Verdict.WITH_MASK]


def test_lost_for_longer_another_visit() -> None:
    door = Door()
    door.see(reading(MASKED), seconds=1)
    door.see(seconds=1.6)
    assert door.tracker.people == ()
    door.see(reading(MASKED), seconds=1)
    assert len(door.ended()) == 2


def test_behind_a_pillar_same_person() -> None:
    door = Door()
    walk(door, MASKED, [80 + 8 * n for n in range(20)])
    door.see(seconds=1.0)
    walk(door, MASKED, [80 + 8 * n for n in range(40, 60)])
    assert door.ended() == [Verdict.WITH_MASK]


def test_entering_where_somebody_left_is_new() -> None:
    door = Door()
    walk(door, MASKED, range(300, 640, 10))
    door.see(seconds=0.4)
    walk(door, BARE, range(640, 300, -10))
    assert door.ended() == [Verdict.WITH_MASK, Verdict.WITHOUT_MASK]


@pytest.mark.parametrize(("label", "y"), [(BARE, 200.0), (MASKED, 240.0)], ids=["another mask", "another height"])
def test_entering_at_once_is_new(label: Label, y: float) -> None:
    door = Door()
    walk(door, MASKED, range(300, 640, 10))
    door.see(seconds=0.05)
    walk(door, label, range(640, 300, -10), y)
    assert len(door.ended()) == 2


def leave(door: Door, label: Label = MASKED, y: float = 200.0) -> None:
    """In from the right and out there again."""
    walk(door, label, [*range(640, 400, -10), *range(400, 690, 10)], y)


def come_back(door: Door, label: Label = MASKED, y: float = 200.0) -> None:
    walk(door, label, range(690, 300, -10), y)


@pytest.mark.parametrize("pause", [0.2, 0.4, 0.6])
def test_stepping_out_briefly_same_person(pause: float) -> None:
    door = Door()
    leave(door)
    door.see(seconds=pause)
    come_back(door)
    assert door.ended() == [Verdict.WITH_MASK]
    assert kinds(door.events).count("visit_started") == 1


def test_returning_after_longer_another_visit() -> None:
    door = Door()
    leave(door)
    door.see(seconds=1.4)
    come_back(door)
    assert len(door.ended()) == 2


@pytest.mark.parametrize(("label", "y"), [(BARE, 200.0), (MASKED, 280.0)], ids=["another mask", "another height"])
def test_unlike_people_never_rejoin(label: Label, y: float) -> None:
    door = Door()
    leave(door)
    door.see(seconds=0.4)
    come_back(door, label, y)
    assert len(door.ended()) == 2


def test_entering_opposite_is_another_visit() -> None:
    door = Door()
    leave(door)
    door.see(seconds=0.4)
    walk(door, MASKED, range(-40, 300, 10))
    assert len(door.ended()) == 2


def test_nobody_turns_within_a_moment() -> None:
    door = Door()
    walk(door, MASKED, range(300, 660, 15))
    door.see(seconds=0.1)
    walk(door, MASKED, range(650, 300, -15))
    assert len(door.ended()) == 2


def test_a_visit_waits_for_its_newcomer() -> None:
    door = Door()
    door.see(reading(MASKED), seconds=2)
    door.see(seconds=1.4)
    door.see(reading(MASKED, x=400), seconds=1)
    assert kinds(door.events).count("visit_ended") == 0
    assert door.ended() == [Verdict.WITH_MASK]


def test_false_boxes_never_replace_the_lost() -> None:
    door = Door()
    door.see(reading(MASKED), seconds=2)
    door.see(seconds=0.5)
    door.see(reading(BARE, x=390, y=230))
    door.see(seconds=0.3)
    assert door.tracker.people[0].bbox == face(320).bbox
    door.see(reading(MASKED), seconds=1)
    assert door.ended() == [Verdict.WITH_MASK]


def test_a_passer_by_is_somebody_else() -> None:
    door = Door()
    door.see(reading(MASKED), seconds=2)
    door.see(seconds=0.5)
    walk(door, BARE, range(400, 640, 12), y=240.0)
    assert sorted(map(str, door.ended())) == ["with_mask", "without_mask"]


def test_unrecognised_newcomers_count_at_the_end() -> None:
    door = Door()
    leave(door)
    door.see(seconds=0.6)
    walk(door, MASKED, range(690, 600, -10))
    assert door.ended() == [Verdict.WITH_MASK]
    stranger = Door()
    stranger.see(reading(BARE), seconds=0.4)
    assert stranger.ended() == [Verdict.UNSURE]


def test_absence_gives_a_reading_no_weight() -> None:
    door = Door()
    door.see(reading(MASKED), seconds=1)
    door.see(seconds=1.2)
    door.see(reading(BARE), seconds=0.2)
    assert door.ended() == [Verdict.WITH_MASK]


def test_masking_while_turned_away_same_person() -> None:
    door = Door()
    door.see(reading(BARE), seconds=3)
    door.see(seconds=0.8)
    door.see(reading(MASKED), seconds=3)
    assert door.ended() == [Verdict.WITH_MASK]

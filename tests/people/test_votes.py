"""Readings become verdicts."""

from __future__ import annotations

from collections import Counter

import pytest

from edge.values import BBox, EventKind, Face, Label, Reading, Verdict
from tests.people.helpers import BADLY, BARE, FPS, MASKED, Door, face, kinds, reading


@pytest.mark.parametrize("dwell", [0.0, 0.3, 0.7, 2.0])
def test_the_verdict_comes_after_the_dwell(dwell: float) -> None:
    door = Door(dwell=dwell)
    door.see(reading(MASKED), seconds=4)
    (verdict,) = [event for event in door.events if event.kind is EventKind.VERDICT]
    assert verdict.at == pytest.approx(max(dwell, 0.2), abs=2.1 / FPS)


def test_short_visits_are_unsure() -> None:
    door = Door()
    door.see(reading(BARE), seconds=0.6)
    assert door.ended() == [Verdict.UNSURE]


def test_a_verdict_carries_its_confidence() -> None:
    door = Door()
    door.see(reading(BARE, sure=0.7), seconds=2)
    verdict = door.events[-1]
    person = door.tracker.people[0]
    (ended,) = door.tracker.finish(door.at)
    assert verdict.confidence == pytest.approx(0.7, abs=0.1)
    assert person.confidence == ended.confidence == pytest.approx(0.7, abs=0.1)
    assert ended.fields()["confidence"] == round(ended.confidence, 2)


def test_who_is_unsure_has_no_confidence() -> None:
    door = Door()
    (started,) = door.see(reading(BARE), seconds=0.3)
    assert door.tracker.people[0].confidence is None
    (ended,) = door.tracker.finish(door.at)
    assert "confidence" not in {**started.fields(), **ended.fields()}


def test_rare_wrong_readings_change_nothing() -> None:
    door = Door()
    for _ in range(10):
        door.see(reading(MASKED), seconds=0.5)
        door.see(reading(BARE))
    assert door.ended() == [Verdict.WITH_MASK]
    assert kinds(door.events).count("verdict") == 1


def test_badly_worn_is_its_own_verdict() -> None:
    door = Door()
    door.see(reading(BADLY), seconds=2)
    assert door.ended() == [Verdict.MASK_WORN_INCORRECTLY]


def test_wavering_readings_keep_the_verdict() -> None:
    door = Door()
    door.see(reading(MASKED), seconds=2)
    for _ in range(40):
        door.see(reading(BARE, sure=0.5))
        door.see(reading(MASKED, sure=0.5))
    assert kinds(door.events).count("verdict") == 1


def test_two_who_cross_keep_their_verdicts() -> None:
    door = Door()
    for n in range(60):
        left, right = 60 + 9 * n, 590 - 9 * n
        hidden = abs(left - right) < 50
        door.see(*([] if hidden else [reading(BARE, left, 190)]), reading(MASKED, right, 205, 90))
    assert Counter(door.ended()) == {Verdict.WITHOUT_MASK: 1, Verdict.WITH_MASK: 1}


def test_small_faces_do_not_vote() -> None:
    door = Door(min_face=32)
    door.see(reading(BARE, size=35), seconds=2)
    assert door.ended() == [Verdict.UNSURE]


def test_cut_faces_do_not_vote() -> None:
    door = Door()
    door.see(Reading(Face(BBox(0, 100, 60, 180), 0.9), (0.05, 0.9, 0.05)), seconds=2)
    assert door.ended() == [Verdict.UNSURE]


def test_large_sure_faces_weigh_more() -> None:
    door = Door()
    for _ in range(40):
        door.see(reading(MASKED, size=80))
        door.see(Reading(face(320, size=72, score=0.3), (0.05, 0.9, 0.05)))
    assert door.ended() == [Verdict.WITH_MASK]


def test_contradicting_readings_leave_it_unsure() -> None:
    door = Door()
    for _ in range(30):
        door.see(reading(BARE))
        door.see(reading(MASKED))
    assert door.ended() == [Verdict.UNSURE]


def test_masking_up_counts_as_masked() -> None:
    door = Door()
    door.see(reading(BARE), seconds=4)
    begin = door.at
    (verdict,) = door.see(reading(MASKED), seconds=4)
    assert verdict.verdict is Verdict.WITH_MASK
    assert 0.4 < verdict.at - begin < 2.5
    assert door.ended() == [Verdict.WITH_MASK]


class TestAlarmBelow:
    """mask.alarm_below decides between a mask and an alarm, in a reading and in the votes."""

    def test_readings_alarm_below_the_threshold(self) -> None:
        split = (0.55, 0.15, 0.3)
        assert Reading(face(320), split, alarm_below=0.6).label is Label.MASK_WORN_INCORRECTLY
        assert Reading(face(320), split, alarm_below=0.5).label is Label.WITH_MASK
        assert Reading(face(320), (0.45, 0.3, 0.25)).label is Label.WITHOUT_MASK

    def test_a_vote_at_threshold_splits_evenly(self) -> None:
        masked, *others = Reading(face(320), (0.7, 0.2, 0.1), alarm_below=0.7).votes
        assert masked == pytest.approx(0.5)
        assert sum(others) == pytest.approx(0.5)

    @pytest.mark.parametrize(
        ("alarm_below", "verdict"), [(0.5, Verdict.WITH_MASK), (0.9, Verdict.MASK_WORN_INCORRECTLY)]
    )
    def test_the_verdict_follows_the_threshold(self, alarm_below: float, verdict: Verdict) -> None:
        door = Door()
        door.see(Reading(face(320), (0.75, 0.05, 0.2), alarm_below), seconds=2)
        assert door.ended() == [verdict]

    def test_alarms_come_before_their_kind(self) -> None:
        door = Door()
        door.see(Reading(face(320), (0.1, 0.4, 0.5)), seconds=2)
        assert door.ended() == [Verdict.MASK_WORN_INCORRECTLY]

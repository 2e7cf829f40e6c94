"""Faces become people, and their visits are counted once."""

from __future__ import annotations

import math

import pytest

from edge.config import PeopleSettings, load
from edge.errors import ConfigError
from edge.people import PeopleTracker
from edge.values import EventKind, Verdict
from tests.nonempty import some
from tests.people.helpers import BARE, MASKED, ZONE, Door, kinds, reading, take_in


def test_a_visit_starts_and_ends_once() -> None:
    door = Door()
    door.see(reading(BARE), seconds=3)
    door.see(seconds=3)

    started, verdict, ended = door.events
    assert (started.kind, started.at, started.person) == (EventKind.VISIT_STARTED, 0.0, 1)
    assert (verdict.kind, verdict.verdict) == (EventKind.VERDICT, Verdict.WITHOUT_MASK)
    assert (ended.kind, ended.verdict) == (EventKind.VISIT_ENDED, Verdict.WITHOUT_MASK)
    assert ended.seconds == pytest.approx(2.95)
    assert ended.at - started.at == pytest.approx(ended.seconds)
    assert door.tracker.totals == {**dict.fromkeys(Verdict, 0), Verdict.WITHOUT_MASK: 1}


def test_one_false_box_is_no_visit() -> None:
    door = Door()
    door.see(reading(BARE), seconds=0.1)
    door.see(seconds=2)
    assert door.ended() == []


@pytest.mark.parametrize("fps", [2, 4, 8, 30])
def test_one_walker_at_any_frame_rate(fps: int) -> None:
    tracker = PeopleTracker(PeopleSettings())
    for frame in range(3 * fps):
        take_in(tracker, [reading(MASKED, 60 + 180 * frame / fps)], frame / fps)
    tracker.finish(3.0)
    assert sum(tracker.totals.values()) == 1


def test_two_boxes_are_one_person() -> None:
    door = Door()
    door.see(reading(MASKED, 320), reading(MASKED, 330), seconds=2)
    door.ended()
    assert sum(door.tracker.totals.values()) <= 2
    single = Door()
    single.see(reading(MASKED, 320), seconds=1)
    single.see(reading(MASKED, 320), reading(MASKED, 330), seconds=1)
    assert single.ended() == [Verdict.WITH_MASK]


@pytest.mark.parametrize(("x", "counted"), [(100, 0), (320, 1), (560, 0)])
def test_only_faces_in_the_zone_count(x: float, counted: int) -> None:
    door = Door(zone=ZONE)
    door.see(reading(BARE, x), seconds=2)
    assert len(door.ended()) == counted


@pytest.mark.parametrize("zone", [[[0, 0], [1, 0]], [[0, 0], [640, 0], [640, 480]], [[0, 0], [0.5, 0.5], [1, 1]]])
def test_a_zone_outside_is_refused(zone: list[list[float]]) -> None:
    with pytest.raises(ConfigError, match=r"people\.zone"):
        load(environment={}, overrides={"people.zone": zone})


def test_finishing_ends_every_visit() -> None:
    door = Door()
    door.see(reading(BARE, 200), reading(MASKED, 440), seconds=2)
    assert kinds(door.tracker.finish(door.at)) == ["visit_ended", "visit_ended"]
    assert door.tracker.people == ()
    door.at = 0.0
    door.see(reading(BARE, 200), seconds=2)
    assert door.tracker.people[0].id == 3


class TestLookingAway:
    """The camera is opened again while somebody stands there: 2.5 s without a frame, longer than ``lost_after``."""

    def look_away(self, door: Door) -> None:
        door.tracker.look_away()
        door.at += 2.5

    def test_visits_go_on(self) -> None:
        door = Door()
        door.see(reading(BARE), seconds=2)
        self.look_away(door)
        door.see(reading(BARE), seconds=1)
        assert door.ended() == [Verdict.WITHOUT_MASK]
        assert door.events[-1].seconds == pytest.approx(5.45)

    def test_a_step_aside_is_no_departure(self) -> None:
        door = Door()
        door.see(reading(BARE, 320), seconds=2)
        self.look_away(door)
        door.see(reading(BARE, 420), seconds=1)
        assert door.ended() == [Verdict.WITHOUT_MASK]

    @pytest.mark.parametrize(("absence", "visits"), [(1.0, 1), (2.0, 2)])
    def test_only_watched_absence_counts(self, absence: float, visits: int) -> None:
        door = Door()
        door.see(reading(BARE), seconds=2)
        self.look_away(door)
        door.see(seconds=absence)
        door.see(reading(BARE), seconds=1)
        assert len(door.ended()) == visits

    def test_a_departure_ends_at_the_last_sighting(self) -> None:
        door = Door()
        door.see(reading(BARE), seconds=2)
        self.look_away(door)
        door.see(seconds=3)
        assert [(event.at, event.seconds) for event in door.events[-1:]] == [(pytest.approx(1.95), pytest.approx(1.95))]

    def test_one_look_is_no_visit(self) -> None:
        door = Door()
        door.see(reading(BARE), seconds=0.05)
        self.look_away(door)
        door.see(reading(BARE), seconds=0.1)
        door.see(seconds=2)
        assert door.ended() == []


@pytest.mark.parametrize(
    "times", [[0.0] * 50, [n / 20 if n % 2 else 0.0 for n in range(50)], [5.0, *(n / 20 for n in range(50))]]
)
def test_repeated_times_do_no_harm(times: list[float]) -> None:
    tracker = PeopleTracker(PeopleSettings())
    afterwards = [10 + n / 20 for n in range(50)]
    events = [event for at in (*times, *afterwards) for event in take_in(tracker, [reading(BARE)], at)]
    events += tracker.finish(afterwards[-1])
    assert kinds(events)[-1] == "visit_ended"
    assert all(math.isfinite(event.at) and (event.seconds or 0) >= 0 for event in some(events))
    assert kinds(events).count("visit_ended") == kinds(events).count("visit_started") <= 2

"""Crowds of simulated walkers, and whatever else may be seen."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from edge.config import PeopleSettings
from edge.people import PeopleTracker
from edge.values import LABELS, BBox, EventKind, Face, Reading, Verdict
from tests.nonempty import some
from tests.people.helpers import BARE, FPS, MASKED, SIZE, Door, reading, take_in
from tests.stand_ins.simulate import Faults, Outcome, Scene, score

pytestmark = pytest.mark.slow
boxes = st.builds(
    lambda x, y, w, h: BBox(x, y, x + w, y + h),
    st.floats(-50, 640),
    st.floats(-50, 480),
    st.floats(0, 300),
    st.floats(0, 300),
)


items = st.builds(
    lambda bbox, score, label, judged: (
        Reading(Face(bbox, score), reading(label).probabilities) if judged else Face(bbox, score)
    ),
    boxes,
    st.floats(0, 1),
    st.sampled_from(LABELS),
    st.booleans(),
)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frames=st.lists(st.tuples(st.floats(-1, 3), st.lists(items, max_size=6)), min_size=1, max_size=40))
def test_every_visit_ends_once(frames: list[tuple[float, list[Face | Reading]]]) -> None:
    tracker = PeopleTracker(PeopleSettings())
    at, events = 0.0, []
    for step, seen in some(frames):
        at += step / 10
        events += take_in(tracker, seen, at)
        ids = [person.id for person in tracker.people]
        assert ids == sorted(set(ids))
    events += tracker.finish(at)

    started = [event.person for event in events if event.kind is EventKind.VISIT_STARTED]
    ended = [event.person for event in events if event.kind is EventKind.VISIT_ENDED]
    assert started == list(range(1, len(started) + 1))
    assert sorted(person or 0 for person in ended) == started
    assert sum(tracker.totals.values()) == len(started)


walkers = {
    "speed": st.floats(60, 280),
    "size": st.floats(50, 130),
    "y": st.floats(120, 330),
    "rng": st.builds(Random, st.integers(0, 2**32)),
}


gently = hypothesis_settings(max_examples=25, deadline=None)


def crossing(speed: float, begin: float = -60.0) -> list[float]:
    """Where a walker is from frame to frame, from one side of the picture out at the other."""
    return [begin + speed * n / FPS for n in range(math.ceil((SIZE[0] + 60 - begin) / speed * FPS))]


def shaken(item: Reading, rng: Random, share: float) -> Reading:
    """The same with every edge of its box moved, by a standard deviation of that share of its short side."""
    sigma = share * item.face.bbox.short_side
    return Reading(
        Face(BBox(*(edge + rng.gauss(0, sigma) for edge in item.face.bbox)), item.face.score), item.probabilities
    )


def in_picture(item: Reading) -> bool:
    x, _ = item.face.bbox.centre
    return 0 <= x <= SIZE[0]


@gently
@given(**walkers)
def test_a_jittering_box_is_one_visit(speed: float, size: float, y: float, rng: Random) -> None:
    door = Door()
    for x in crossing(speed):
        item = shaken(reading(BARE, x, y, size), rng, 0.05)
        door.see(*([item] if in_picture(item) else []))
    assert door.ended() == [Verdict.WITHOUT_MASK]


@gently
@given(**walkers)
def test_missed_frames_are_one_visit(speed: float, size: float, y: float, rng: Random) -> None:
    door = Door()
    for x in crossing(speed):
        item = reading(BARE, x, y, size)
        door.see(*([item] if in_picture(item) and rng.random() > 1 / 3 else []))
    assert door.ended() == [Verdict.WITHOUT_MASK]


@gently
@given(hidden=st.floats(0.3, 1.2), **walkers)
def test_hidden_for_a_moment_one_visit(hidden: float, speed: float, size: float, y: float, rng: Random) -> None:
    door = Door()
    since = rng.uniform(0.8, 1.2)
    for n, x in enumerate(crossing(speed, begin=60)):
        item = shaken(reading(BARE, x, y, size), rng, 0.02)
        door.see(*([item] if in_picture(item) and not since <= n / FPS < since + hidden else []))
    assert door.ended() == [Verdict.WITHOUT_MASK]


@gently
@given(apart=st.floats(-40, 40), **walkers)
def test_crossing_people_are_two_visits(apart: float, speed: float, size: float, y: float, rng: Random) -> None:
    door = Door()
    for x in crossing(speed):
        near = shaken(reading(MASKED, SIZE[0] - x, y, 1.2 * size), rng, 0.02)
        far = shaken(reading(BARE, x, y + apart, size), rng, 0.02)
        hidden = near.face.bbox.iou(far.face.bbox) > 0.3
        door.see(*(item for item in (near, far) if in_picture(item) and not (item is far and hidden)))
    assert Counter(door.ended()) == {Verdict.WITH_MASK: 1, Verdict.WITHOUT_MASK: 1}


@gently
@given(**walkers)
def test_false_boxes_disturb_nobody(speed: float, size: float, y: float, rng: Random) -> None:
    door = Door()
    for x in crossing(speed):
        item = reading(MASKED, x, y, size)
        false = reading(rng.choice(LABELS), rng.uniform(40, 600), rng.uniform(60, 420), rng.uniform(30, 120))
        door.see(*([item] if in_picture(item) else []), *([false] if rng.random() < 0.05 else []))
    assert door.ended() == [Verdict.WITH_MASK]


def simulated(visits: int, faults: Faults) -> Outcome:
    return score(Scene(visits, faults, seed=7), PeopleTracker(PeopleSettings()), sparing=True)


def test_people_seen_perfectly_are_counted_perfectly() -> None:
    outcome = simulated(60, Faults(missed=0, wrong=0, jitter=0.01, false_boxes=0))
    assert outcome.wrong == outcome.false_alarms == 0
    assert abs(outcome.counted - outcome.truth) <= 1, outcome


@pytest.mark.parametrize(("burst", "tolerance"), [(1.0, 0.02), (4.0, 0.04)])
def test_faulty_crowds_are_counted_well(burst: float, tolerance: float) -> None:
    outcome = simulated(100, Faults(burst=burst))
    assert abs(outcome.counted - outcome.truth) <= tolerance * outcome.truth, outcome
    assert outcome.wrong <= 1, outcome

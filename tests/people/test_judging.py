"""Which faces the mask model is asked to judge."""

from __future__ import annotations

from collections import Counter

import pytest

from edge.config import PeopleSettings
from edge.people import PeopleTracker
from edge.values import BBox, Face, Verdict
from tests.nonempty import some
from tests.people.helpers import BARE, FPS, MASKED, SIZE, ZONE, Door, crowd, face, masked, reading


def test_settled_people_are_judged_rarely() -> None:
    tracker = PeopleTracker(PeopleSettings(rejudge_every=0.3))
    asked = []
    for frame in range(4 * FPS):
        faces = [face(200), *([face(450)] if frame >= 3 * FPS else [])]
        plan = tracker.match(faces, frame / FPS, SIZE)
        asked.append([face in plan.to_judge for face in faces])
        tracker.update(plan, masked(plan))

    assert all(first for first, *_ in some(asked[: round(0.7 * FPS)]))
    settled = [first for first, *_ in asked[FPS : 3 * FPS]]
    assert 5 <= sum(settled) <= 8
    assert all(newcomer for _, newcomer in some(asked[3 * FPS : 3 * FPS + 10]))


def test_settled_people_take_turns() -> None:
    tracker = PeopleTracker(PeopleSettings())
    asked: list[tuple[Face, ...]] = []
    for frame in range(10 * FPS):
        faces = crowd(10 if frame >= 8 * FPS else 9)
        plan = tracker.match(faces, frame / FPS, SIZE)
        asked.append(plan.to_judge)
        tracker.update(plan, masked(plan))

    settled = asked[3 * FPS : 8 * FPS]
    assert max(map(len, settled)) == 1
    times = Counter(one for wanted in settled for one in wanted)
    assert len(times) == 9
    assert min(times.values()) >= 3
    newcomer = crowd(10)[-1]
    assert all(newcomer in wanted for wanted in some(asked[8 * FPS : 8 * FPS + 14]))


def test_undecided_people_are_judged_every_frame() -> None:
    tracker = PeopleTracker(PeopleSettings())
    for frame in some(range(FPS // 2)):
        plan = tracker.match(crowd(10), frame / FPS, SIZE)
        assert plan.to_judge == tuple(crowd(10))
        tracker.update(plan, masked(plan))


@pytest.mark.parametrize("fps", [4, 10, 30])
def test_settled_people_share_the_rate(fps: int) -> None:
    tracker = PeopleTracker(PeopleSettings(rejudge_rate=5))
    judged = 0
    for frame in range(23 * fps):
        plan = tracker.match(crowd(10), frame / fps, SIZE)
        judged += len(plan.to_judge) if frame >= 3 * fps else 0
        tracker.update(plan, masked(plan))
    assert 3 <= judged / 20 <= 5


def test_changed_readings_are_checked_at_once() -> None:
    tracker = PeopleTracker(PeopleSettings())
    for frame in range(3 * FPS):
        label = MASKED if frame < 2 * FPS else BARE
        plan = tracker.match([face(320)], frame / FPS, SIZE)
        tracker.update(plan, [reading(label)] if plan.to_judge else [])
    assert tracker.people[0].verdict is Verdict.WITHOUT_MASK or tracker.match([face(320)], 3.0, SIZE).to_judge


def test_faces_without_vote_are_never_judged() -> None:
    tracker = PeopleTracker(PeopleSettings(min_face=32, zone=ZONE))
    cut, small, outside = Face(BBox(200, 0, 260, 70), 0.9), face(320, size=30), face(60)
    assert tracker.match([cut, small, outside], 0.0, SIZE).to_judge == ()


def test_asking_changes_nothing() -> None:
    plain, asked = Door(), Door()
    for n in range(60):
        items = [reading(BARE, 60 + 9 * n), reading(MASKED, 590 - 9 * n, 230)]
        asked.tracker.match([item.face for item in items], asked.at, SIZE)
        plain.see(*items)
        asked.see(*items)
    plain.ended()
    asked.ended()
    assert plain.events == asked.events

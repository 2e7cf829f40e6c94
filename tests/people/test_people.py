"""Faces become people, readings become verdicts, visits are counted once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from edge.config import PeopleSettings, load
from edge.errors import ConfigError
from edge.people import PeopleTracker, Plan
from edge.values import LABELS, BBox, Event, EventKind, Face, Label, Reading, Verdict
from tests.stand_ins.simulate import Faults, Outcome, Scene, score

SIZE = (640, 480)
FPS = 20
BARE, MASKED, BADLY = Label.WITHOUT_MASK, Label.WITH_MASK, Label.MASK_WORN_INCORRECTLY


def face(x: float, y: float = 200.0, size: float = 80.0, score: float = 0.9) -> Face:
    """A face centred at (x, y)."""
    return Face(BBox(x - size * 0.4, y - size / 2, x + size * 0.4, y + size / 2), score)


def reading(label: Label, x: float = 320.0, y: float = 200.0, size: float = 80.0, sure: float = 0.9) -> Reading:
    rest = (1 - sure) / 2
    return Reading(face(x, y, size), tuple(sure if other is label else rest for other in LABELS))


def take_in(tracker: PeopleTracker, items: Sequence[Face | Reading], at: float) -> list[Event]:
    """One frame, of which the faces that come with a reading were judged, whatever the tracker advised."""
    plan = tracker.match([item.face if isinstance(item, Reading) else item for item in items], at, SIZE)
    return tracker.update(plan, [item for item in items if isinstance(item, Reading)])


class Door:
    """A tracker that is shown one frame after another."""

    def __init__(self, **settings: object) -> None:
        self.tracker = PeopleTracker(PeopleSettings.model_validate(settings))
        self.at = 0.0
        self.events: list[Event] = []

    def see(self, *items: Face | Reading, seconds: float = 1 / FPS) -> list[Event]:
        """The same picture for so long."""
        new: list[Event] = []
        for _ in range(round(seconds * FPS)):
            new += take_in(self.tracker, items, self.at)
            self.at += 1 / FPS
        self.events += new
        return new

    def ended(self) -> list[Verdict | None]:
        self.events += self.tracker.finish(self.at)
        return [event.verdict for event in self.events if event.kind is EventKind.VISIT_ENDED]


def kinds(events: Sequence[Event]) -> list[str]:
    return [str(event.kind) for event in events]


def test_a_visit_is_started_judged_and_ended_once() -> None:
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


@pytest.mark.parametrize("dwell", [0.0, 0.3, 0.7, 2.0])
def test_the_verdict_comes_after_the_dwell(dwell: float) -> None:
    door = Door(dwell=dwell)
    door.see(reading(MASKED), seconds=4)
    (verdict,) = [event for event in door.events if event.kind is EventKind.VERDICT]
    assert verdict.at == pytest.approx(max(dwell, 0.2), abs=2.1 / FPS)


def test_a_visit_shorter_than_the_dwell_is_unsure() -> None:
    door = Door()
    door.see(reading(BARE), seconds=0.6)
    assert door.ended() == [Verdict.UNSURE]


def test_readings_that_contradict_each_other_leave_it_unsure() -> None:
    door = Door()
    for _ in range(30):
        door.see(reading(BARE))
        door.see(reading(MASKED))
    assert door.ended() == [Verdict.UNSURE]


def test_the_verdict_says_how_large_its_share_of_the_votes_is() -> None:
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


def test_a_single_false_box_is_no_visit() -> None:
    door = Door()
    door.see(reading(BARE), seconds=0.1)
    door.see(seconds=2)
    assert door.ended() == []


def test_a_wrong_reading_now_and_then_changes_nothing() -> None:
    door = Door()
    for _ in range(10):
        door.see(reading(MASKED), seconds=0.5)
        door.see(reading(BARE))
    assert door.ended() == [Verdict.WITH_MASK]
    assert kinds(door.events).count("verdict") == 1


def test_who_masks_up_at_the_door_is_counted_masked() -> None:
    door = Door()
    door.see(reading(BARE), seconds=4)
    begin = door.at
    (verdict,) = door.see(reading(MASKED), seconds=4)
    assert verdict.verdict is Verdict.WITH_MASK
    assert 0.4 < verdict.at - begin < 2.5
    assert door.ended() == [Verdict.WITH_MASK]


def test_a_badly_worn_mask_is_a_verdict_of_its_own() -> None:
    door = Door()
    door.see(reading(BADLY), seconds=2)
    assert door.ended() == [Verdict.MASK_WORN_INCORRECTLY]


def test_a_verdict_once_reached_is_held_while_readings_waver() -> None:
    door = Door()
    door.see(reading(MASKED), seconds=2)
    for _ in range(40):
        door.see(reading(BARE, sure=0.5))
        door.see(reading(MASKED, sure=0.5))
    assert kinds(door.events).count("verdict") == 1


@pytest.mark.parametrize("gap", [0.2, 0.7, 1.4])
def test_a_face_lost_for_a_moment_is_the_same_person(gap: float) -> None:
    door = Door()
    door.see(reading(MASKED), seconds=1)
    door.see(seconds=gap)
    assert [person.id for person in door.tracker.people] == [1]
    door.see(reading(MASKED), seconds=1)
    assert door.ended() == [Verdict.WITH_MASK]


def test_a_face_lost_for_longer_is_another_visit() -> None:
    door = Door()
    door.see(reading(MASKED), seconds=1)
    door.see(seconds=1.6)
    assert door.tracker.people == ()
    door.see(reading(MASKED), seconds=1)
    assert len(door.ended()) == 2


def walk(door: Door, label: Label, xs: Sequence[float], y: float = 200.0) -> None:
    for x in xs:
        door.see(reading(label, x, y))


def test_a_walker_behind_a_pillar_comes_out_as_the_same_person() -> None:
    door = Door()
    walk(door, MASKED, [80 + 8 * n for n in range(20)])
    door.see(seconds=1.0)
    walk(door, MASKED, [80 + 8 * n for n in range(40, 60)])
    assert door.ended() == [Verdict.WITH_MASK]


@pytest.mark.parametrize("fps", [2, 4, 8, 30])
def test_a_brisk_walker_is_one_person_at_any_frame_rate(fps: int) -> None:
    tracker = PeopleTracker(PeopleSettings())
    for frame in range(3 * fps):
        take_in(tracker, [reading(MASKED, 60 + 180 * frame / fps)], frame / fps)
    tracker.finish(3.0)
    assert sum(tracker.totals.values()) == 1


def test_two_who_cross_keep_their_verdicts() -> None:
    door = Door()
    for n in range(60):
        left, right = 60 + 9 * n, 590 - 9 * n
        hidden = abs(left - right) < 50
        door.see(*([] if hidden else [reading(BARE, left, 190)]), reading(MASKED, right, 205, 90))
    assert Counter(door.ended()) == {Verdict.WITHOUT_MASK: 1, Verdict.WITH_MASK: 1}


def test_whoever_enters_where_somebody_has_walked_out_is_somebody_else() -> None:
    door = Door()
    walk(door, MASKED, range(300, 640, 10))
    door.see(seconds=0.4)
    walk(door, BARE, range(640, 300, -10))
    assert door.ended() == [Verdict.WITH_MASK, Verdict.WITHOUT_MASK]


@pytest.mark.parametrize(("label", "y"), [(BARE, 200.0), (MASKED, 240.0)], ids=["another mask", "another height"])
def test_whoever_enters_at_the_heels_of_somebody_who_walks_out_is_somebody_else(label: Label, y: float) -> None:
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
def test_who_steps_out_of_the_picture_and_comes_back_at_once_is_the_same_person(pause: float) -> None:
    door = Door()
    leave(door)
    door.see(seconds=pause)
    come_back(door)
    assert door.ended() == [Verdict.WITH_MASK]
    assert kinds(door.events).count("visit_started") == 1


def test_who_comes_back_after_longer_is_another_visit() -> None:
    door = Door()
    leave(door)
    door.see(seconds=1.4)
    come_back(door)
    assert len(door.ended()) == 2


@pytest.mark.parametrize(("label", "y"), [(BARE, 200.0), (MASKED, 280.0)], ids=["another mask", "another height"])
def test_whoever_enters_where_somebody_else_has_left_is_a_visit_of_their_own(label: Label, y: float) -> None:
    door = Door()
    leave(door)
    door.see(seconds=0.4)
    come_back(door, label, y)
    assert len(door.ended()) == 2


def test_whoever_enters_at_the_other_side_is_a_visit_of_their_own() -> None:
    door = Door()
    leave(door)
    door.see(seconds=0.4)
    walk(door, MASKED, range(-40, 300, 10))
    assert len(door.ended()) == 2


def test_nobody_leaves_and_turns_within_a_moment() -> None:
    door = Door()
    walk(door, MASKED, range(300, 660, 15))
    door.see(seconds=0.1)
    walk(door, MASKED, range(650, 300, -15))
    assert len(door.ended()) == 2


def test_a_visit_does_not_end_while_a_newcomer_may_be_that_person() -> None:
    door = Door()
    door.see(reading(MASKED), seconds=2)
    door.see(seconds=1.4)
    door.see(reading(MASKED, x=400), seconds=1)
    assert kinds(door.events).count("visit_ended") == 0
    assert door.ended() == [Verdict.WITH_MASK]


def test_a_false_box_does_not_take_the_place_of_somebody_who_is_lost() -> None:
    door = Door()
    door.see(reading(MASKED), seconds=2)
    door.see(seconds=0.5)
    door.see(reading(BARE, x=390, y=230))
    door.see(seconds=0.3)
    assert door.tracker.people[0].bbox == face(320).bbox
    door.see(reading(MASKED), seconds=1)
    assert door.ended() == [Verdict.WITH_MASK]


def test_a_passer_by_where_somebody_was_lost_is_somebody_else() -> None:
    door = Door()
    door.see(reading(MASKED), seconds=2)
    door.see(seconds=0.5)
    walk(door, BARE, range(400, 640, 12), y=240.0)
    assert sorted(map(str, door.ended())) == ["with_mask", "without_mask"]


def test_a_mask_put_on_with_the_face_turned_away_is_not_another_person() -> None:
    door = Door()
    door.see(reading(BARE), seconds=3)
    door.see(seconds=0.8)
    door.see(reading(MASKED), seconds=3)
    assert door.ended() == [Verdict.WITH_MASK]


def test_a_newcomer_who_is_not_yet_recognised_counts_when_all_ends() -> None:
    door = Door()
    leave(door)
    door.see(seconds=0.6)
    walk(door, MASKED, range(690, 600, -10))
    assert door.ended() == [Verdict.WITH_MASK]
    stranger = Door()
    stranger.see(reading(BARE), seconds=0.4)
    assert stranger.ended() == [Verdict.UNSURE]


def test_one_reading_after_a_long_absence_does_not_outweigh_those_before() -> None:
    door = Door()
    door.see(reading(MASKED), seconds=1)
    door.see(seconds=1.2)
    door.see(reading(BARE), seconds=0.2)
    assert door.ended() == [Verdict.WITH_MASK]


def test_two_boxes_on_one_face_are_one_person() -> None:
    door = Door()
    door.see(reading(MASKED, 320), reading(MASKED, 330), seconds=2)
    door.ended()
    assert sum(door.tracker.totals.values()) <= 2
    single = Door()
    single.see(reading(MASKED, 320), seconds=1)
    single.see(reading(MASKED, 320), reading(MASKED, 330), seconds=1)
    assert single.ended() == [Verdict.WITH_MASK]


def test_small_faces_are_followed_but_do_not_vote() -> None:
    door = Door(min_face=32)
    door.see(reading(BARE, size=35), seconds=2)
    assert door.ended() == [Verdict.UNSURE]


def test_faces_cut_by_the_edge_do_not_vote() -> None:
    door = Door()
    door.see(Reading(Face(BBox(0, 100, 60, 180), 0.9), (0.05, 0.9, 0.05)), seconds=2)
    assert door.ended() == [Verdict.UNSURE]


def test_large_sure_faces_outweigh_small_doubtful_ones() -> None:
    door = Door()
    for _ in range(40):
        door.see(reading(MASKED, size=80))
        door.see(Reading(face(320, size=72, score=0.3), (0.05, 0.9, 0.05)))
    assert door.ended() == [Verdict.WITH_MASK]


ZONE = ((0.25, 0.0), (0.75, 0.0), (0.75, 1.0), (0.25, 1.0))


@pytest.mark.parametrize(("x", "counted"), [(100, 0), (320, 1), (560, 0)])
def test_only_faces_centred_in_the_zone_count(x: float, counted: int) -> None:
    door = Door(zone=ZONE)
    door.see(reading(BARE, x), seconds=2)
    assert len(door.ended()) == counted


@pytest.mark.parametrize("zone", [[[0, 0], [1, 0]], [[0, 0], [640, 0], [640, 480]], [[0, 0], [0.5, 0.5], [1, 1]]])
def test_a_zone_outside_the_picture_is_refused_early(zone: list[list[float]]) -> None:
    with pytest.raises(ConfigError, match=r"people\.zone"):
        load(environment={}, overrides={"people.zone": zone})


def test_finishing_ends_every_open_visit_and_a_new_scene_may_begin() -> None:
    door = Door()
    door.see(reading(BARE, 200), reading(MASKED, 440), seconds=2)
    assert kinds(door.tracker.finish(door.at)) == ["visit_ended", "visit_ended"]
    assert door.tracker.people == ()
    door.at = 0.0
    door.see(reading(BARE, 200), seconds=2)
    assert door.tracker.people[0].id == 3


def test_settled_people_are_judged_a_few_times_a_second_and_new_ones_every_frame() -> None:
    tracker = PeopleTracker(PeopleSettings(rejudge_every=0.3))
    asked = []
    for frame in range(4 * FPS):
        faces = [face(200), *([face(450)] if frame >= 3 * FPS else [])]
        plan = tracker.match(faces, frame / FPS, SIZE)
        asked.append([face in plan.to_judge for face in faces])
        tracker.update(plan, masked(plan))

    assert all(first for first, *_ in asked[: round(0.7 * FPS)])
    settled = [first for first, *_ in asked[FPS : 3 * FPS]]
    assert 5 <= sum(settled) <= 8
    assert all(newcomer for _, newcomer in asked[3 * FPS : 3 * FPS + 10])


def masked(plan: Plan) -> list[Reading]:
    """What the mask model says of the faces that it was asked to judge."""
    return [Reading(one, (0.9, 0.05, 0.05)) for one in plan.to_judge]


def crowd(people: int) -> list[Face]:
    return [face(60 + 125 * (n % 5), 120 + 200 * (n // 5)) for n in range(people)]


def test_ten_settled_people_take_turns_and_newcomers_come_first() -> None:
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
    assert all(newcomer in wanted for wanted in asked[8 * FPS : 8 * FPS + 14])


def test_ten_undecided_people_are_all_judged_every_frame() -> None:
    tracker = PeopleTracker(PeopleSettings())
    for frame in range(FPS // 2):
        plan = tracker.match(crowd(10), frame / FPS, SIZE)
        assert plan.to_judge == tuple(crowd(10))
        tracker.update(plan, masked(plan))


@pytest.mark.parametrize("fps", [4, 10, 30])
def test_settled_people_share_the_rate_at_any_frame_rate(fps: int) -> None:
    tracker = PeopleTracker(PeopleSettings(rejudge_rate=5))
    judged = 0
    for frame in range(23 * fps):
        plan = tracker.match(crowd(10), frame / fps, SIZE)
        judged += len(plan.to_judge) if frame >= 3 * fps else 0
        tracker.update(plan, masked(plan))
    assert 3 <= judged / 20 <= 5


def test_a_settled_person_whose_reading_changes_is_judged_every_frame() -> None:
    tracker = PeopleTracker(PeopleSettings())
    for frame in range(3 * FPS):
        label = MASKED if frame < 2 * FPS else BARE
        plan = tracker.match([face(320)], frame / FPS, SIZE)
        tracker.update(plan, [reading(label)] if plan.to_judge else [])
    assert tracker.people[0].verdict is Verdict.WITHOUT_MASK or tracker.match([face(320)], 3.0, SIZE).to_judge


def test_faces_that_cannot_vote_are_never_judged() -> None:
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


@pytest.mark.parametrize(
    "times", [[0.0] * 50, [n / 20 if n % 2 else 0.0 for n in range(50)], [5.0, *(n / 20 for n in range(50))]]
)
def test_times_that_repeat_or_go_back_do_no_harm(times: list[float]) -> None:
    tracker = PeopleTracker(PeopleSettings())
    events = [event for at in times for event in take_in(tracker, [reading(BARE)], at)]
    events += tracker.finish(times[-1])
    assert all(math.isfinite(event.at) and (event.seconds or 0) >= 0 for event in events)
    assert kinds(events).count("visit_ended") == kinds(events).count("visit_started") <= 1


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
@given(frames=st.lists(st.tuples(st.floats(-1, 3), st.lists(items, max_size=6)), max_size=40))
def test_every_visit_that_starts_ends_once_whatever_is_seen(frames: list[tuple[float, list[Face | Reading]]]) -> None:
    tracker = PeopleTracker(PeopleSettings())
    at, events = 0.0, []
    for step, seen in frames:
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
def test_a_walker_whose_box_jitters_is_one_visit(speed: float, size: float, y: float, rng: Random) -> None:
    door = Door()
    for x in crossing(speed):
        item = shaken(reading(BARE, x, y, size), rng, 0.05)
        door.see(*([item] if in_picture(item) else []))
    assert door.ended() == [Verdict.WITHOUT_MASK]


@gently
@given(**walkers)
def test_a_walker_missed_in_a_third_of_the_frames_is_one_visit(
    speed: float, size: float, y: float, rng: Random
) -> None:
    door = Door()
    for x in crossing(speed):
        item = reading(BARE, x, y, size)
        door.see(*([item] if in_picture(item) and rng.random() > 1 / 3 else []))
    assert door.ended() == [Verdict.WITHOUT_MASK]


@gently
@given(hidden=st.floats(0.3, 1.2), **walkers)
def test_a_walker_hidden_for_a_moment_is_one_visit(
    hidden: float, speed: float, size: float, y: float, rng: Random
) -> None:
    door = Door()
    since = rng.uniform(0.8, 1.2)
    for n, x in enumerate(crossing(speed, begin=60)):
        item = shaken(reading(BARE, x, y, size), rng, 0.02)
        door.see(*([item] if in_picture(item) and not since <= n / FPS < since + hidden else []))
    assert door.ended() == [Verdict.WITHOUT_MASK]


@gently
@given(apart=st.floats(-40, 40), **walkers)
def test_two_who_cross_are_two_visits_with_their_own_verdicts(
    apart: float, speed: float, size: float, y: float, rng: Random
) -> None:
    door = Door()
    for x in crossing(speed):
        near = shaken(reading(MASKED, SIZE[0] - x, y, 1.2 * size), rng, 0.02)
        far = shaken(reading(BARE, x, y + apart, size), rng, 0.02)
        hidden = near.face.bbox.iou(far.face.bbox) > 0.3
        door.see(*(item for item in (near, far) if in_picture(item) and not (item is far and hidden)))
    assert Counter(door.ended()) == {Verdict.WITH_MASK: 1, Verdict.WITHOUT_MASK: 1}


@gently
@given(**walkers)
def test_false_boxes_are_no_visits_and_disturb_none(speed: float, size: float, y: float, rng: Random) -> None:
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
def test_visits_are_counted_through_missed_faces_false_boxes_and_wrong_readings(burst: float, tolerance: float) -> None:
    outcome = simulated(100, Faults(burst=burst))
    assert abs(outcome.counted - outcome.truth) <= tolerance * outcome.truth, outcome
    assert outcome.wrong <= 1, outcome


class TestAlarmBelow:
    """mask.alarm_below decides between a mask and an alarm, in a reading and in the votes."""

    def test_a_reading_alarms_below_the_threshold_only(self) -> None:
        split = (0.55, 0.15, 0.3)
        assert Reading(face(320), split, alarm_below=0.6).label is Label.MASK_WORN_INCORRECTLY
        assert Reading(face(320), split, alarm_below=0.5).label is Label.WITH_MASK
        assert Reading(face(320), (0.45, 0.3, 0.25)).label is Label.WITHOUT_MASK

    def test_a_vote_at_the_threshold_is_split_evenly(self) -> None:
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

    def test_an_alarm_is_sure_before_its_kind_is(self) -> None:
        door = Door()
        door.see(Reading(face(320), (0.1, 0.4, 0.5)), seconds=2)
        assert door.ended() == [Verdict.MASK_WORN_INCORRECTLY]

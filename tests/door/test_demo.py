"""The demo clip: what ships, what is true of it, and what maskgate makes of it."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras.demo import DEMO_CLIP, DEMO_TRUTH
from edge.config import AlertSettings, PeopleSettings
from edge.values import Verdict
from train.demo_clip.draw_mask import Build, Landmarks, Mask, Wear, draw_mask
from train.demo_clip.scenes import SCENES, SEEN, truth

ROOT = Path(__file__).parents[2]
SHIPPED = json.loads(DEMO_TRUTH.read_text("utf-8"))
ALARMING = [visit for visit in SHIPPED["visits"] if Verdict(visit["verdict"]).alarming]


MIDDLES = [round((visit["enters"] + visit["leaves"]) / 2 * SHIPPED["fps"]) for visit in SHIPPED["visits"]]


@pytest.fixture(scope="module")
def clip():
    """Times in seconds and shapes of all pictures, and the pictures in the middle of a visit."""
    capture = cv2.VideoCapture(str(DEMO_CLIP))
    times, shapes, middles = [], [], {}
    while True:
        found, picture = capture.read()
        if not found:
            return times, shapes, middles
        if len(times) in MIDDLES:
            middles[len(times)] = picture
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        shapes.append(picture.shape)


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """The events of ``maskgate run --source demo --events -``, with times in seconds after the first visit began."""
    home = tmp_path_factory.mktemp("home")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MASKGATE_", "XDG_"))}
    finished = subprocess.run(
        [sys.executable, "-m", "edge", "run", "--source", "demo", "--events", "-"],
        cwd=ROOT,
        env={**environment, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    events = [json.loads(line) for line in finished.stdout.splitlines()]
    for event in events:
        event["at"] = (
            datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp() if "time" in event else None
        )
    origin = next(event["at"] for event in events if event["event"] == "visit_started")
    return [{**event, "at": event["at"] and event["at"] - origin} for event in events]


def of_kind(events, kind):
    return [event for event in events if event["event"] == kind]


def visits_heard(events):
    """(verdict, enters, leaves) in the order of entering; seconds after the first visit began."""
    ended = {event["person"]: event for event in of_kind(events, "visit_ended")}
    started = sorted(of_kind(events, "visit_started"), key=lambda event: event["at"])
    return [
        (ended[event["person"]]["verdict"], event["at"], event["at"] + ended[event["person"]]["seconds"])
        for event in started
    ]


class TestTheClip:
    def test_is_small_enough_to_ship(self):
        assert DEMO_CLIP.stat().st_size < 2_000_000

    def test_has_the_stated_size(self, clip):
        _, shapes, _ = clip
        assert len(shapes) == round(SHIPPED["seconds"] * SHIPPED["fps"])
        assert set(shapes) == {(480, 640, 3)}
        assert SHIPPED["clip"] == DEMO_CLIP.name

    def test_carries_its_own_evenly_spaced_times(self, clip):
        times, _, _ = clip
        np.testing.assert_allclose(np.diff(times[1:]), 1 / SHIPPED["fps"], atol=0.002)
        assert times[-1] == pytest.approx(SHIPPED["seconds"], abs=0.1)

    def test_says_where_its_people_come_from(self):
        licence = DEMO_CLIP.with_name("LICENSE.md").read_text("utf-8")
        assert "public domain" in licence
        assert all(source in licence for source in ("skimage.data.astronaut()", "grace_hopper.jpg"))

    @pytest.mark.parametrize("index", MIDDLES)
    def test_can_be_rendered_again(self, clip, index):
        pytest.importorskip("skimage")
        pytest.importorskip("matplotlib")
        from train.demo_clip.__main__ import frame

        _, _, middles = clip
        assert cv2.PSNR(frame(index), middles[index]) > 32


class TestTheTruth:
    def test_is_what_the_scenes_say(self):
        assert truth() == SHIPPED

    def test_has_every_way_to_wear_masks(self):
        assert {walk.mask and walk.mask.wear for walk in SCENES} == {None, *Wear}
        assert {walk.mask.build for walk in SCENES if walk.mask} == set(Build)

    def test_has_a_masked_and_unmasked_pair(self):
        pairs = [
            {one["verdict"], other["verdict"]}
            for one in SHIPPED["visits"]
            for other in SHIPPED["visits"]
            if one["enters"] < other["enters"] < one["leaves"]
        ]
        assert pairs == [{"with_mask", "without_mask"}]

    def test_has_somebody_briefly_hidden(self):
        walk = next(walk for walk in SCENES if "still the same person" in walk.note)
        shown = [second for second in np.arange(walk.begins, walk.ends, 0.05) if walk.seen(second) >= SEEN]
        away = max(np.diff(shown))
        assert 0.5 < away < PeopleSettings().lost_after
        assert sum(visit["note"] == walk.note for visit in SHIPPED["visits"]) == 1

    def test_late_returns_are_new_visits(self):
        back = next(walk for walk in SCENES if "a new visit" in walk.note)
        before = next(walk for walk in SCENES if walk.person == back.person)
        assert back.begins - before.ends > PeopleSettings().lost_after

    def test_everyone_gets_a_separate_alarm(self):
        enters = [visit["enters"] for visit in ALARMING]
        assert min(np.diff(enters)) > AlertSettings().refractory

    def test_totals_are_those_of_the_visits(self):
        verdicts = [visit["verdict"] for visit in SHIPPED["visits"]]
        assert SHIPPED["totals"] == {"visits": len(verdicts), **{str(each): verdicts.count(each) for each in Verdict}}


@pytest.mark.slow
class TestARunOnIt:
    def test_finds_every_visit_and_verdict(self, heard):
        assert [verdict for verdict, _, _ in visits_heard(heard)] == [visit["verdict"] for visit in SHIPPED["visits"]]

    def test_finds_entry_and_exit_times(self, heard):
        first = SHIPPED["visits"][0]["enters"]
        expected = [(visit["enters"] - first, visit["leaves"] - first) for visit in SHIPPED["visits"]]
        np.testing.assert_allclose([times for _, *times in visits_heard(heard)], expected, atol=1.0)

    def test_ends_with_these_totals(self, heard):
        summary = heard[-1]
        assert summary["event"] == "summary"
        assert {key: summary[key] for key in SHIPPED["totals"]} == SHIPPED["totals"]
        assert summary["frames"] == round(SHIPPED["seconds"] * SHIPPED["fps"])

    def test_alerts_once_per_alarming_visit(self, heard):
        verdicts = {event["person"]: event["verdict"] for event in of_kind(heard, "visit_ended")}
        alerted = [event["person"] for event in of_kind(heard, "alert_on")]
        assert len(alerted) == len(set(alerted))
        assert [verdicts[person] for person in alerted] == [visit["verdict"] for visit in ALARMING]

    def test_switches_every_alert_off_again(self, heard):
        assert len(of_kind(heard, "alert_off")) == len(of_kind(heard, "alert_on"))


FACE = Landmarks(
    bridge=(100, 80),
    nose_base=(100, 110),
    lower_lip=(100, 132),
    jaw=((55, 85), (58, 115), (68, 140), (85, 155), (100, 158), (115, 155), (132, 140), (142, 115), (145, 85)),
    left_ear=((53, 90), (54, 112)),
    right_ear=((147, 90), (146, 112)),
)
SKIN = np.full((200, 200, 3), (120, 150, 190), np.uint8)
BLUE = (226, 204, 172)


def is_covered(wear, y, build):
    """Whether the mask is on the face ``y`` pixels down, a little to the side of a middle seam."""
    drawn = draw_mask(SKIN, FACE, Mask(build, BLUE, wear))[y, 92].astype(int)
    return abs(drawn - BLUE).sum() < abs(drawn - SKIN[y, 92]).sum()


class TestDrawnMasks:
    @pytest.mark.parametrize("build", Build)
    @pytest.mark.parametrize(
        ("wear", "nose", "mouth", "chin"),
        [(Wear.PROPERLY, True, True, True), (Wear.NOSE_BARE, False, True, True), (Wear.UNDER_CHIN, False, False, True)],
    )
    def test_cover_what_their_wear_says(self, build, wear, nose, mouth, chin):
        assert is_covered(wear, 102, build) == nose
        assert is_covered(wear, 125, build) == mouth
        assert is_covered(wear, 152, build) == chin

    @pytest.mark.parametrize("wear", Wear)
    def test_leave_eyes_and_forehead_unchanged(self, wear):
        drawn = draw_mask(SKIN, FACE, Mask(Build.SURGICAL, BLUE, wear))
        np.testing.assert_array_equal(drawn[:74], SKIN[:74])

    @pytest.mark.parametrize("wear", Wear)
    def test_same_seed_gives_the_same(self, wear):
        mask = Mask(Build.FFP2, (232, 236, 236), wear)
        np.testing.assert_array_equal(draw_mask(SKIN, FACE, mask, 3), draw_mask(SKIN, FACE, mask, 3))
        assert (draw_mask(SKIN, FACE, mask, 3) != draw_mask(SKIN, FACE, mask, 4)).any()

    def test_leave_the_portrait_unchanged(self):
        portrait = SKIN.copy()
        draw_mask(portrait, FACE, Mask(Build.CLOTH, (62, 48, 44)))
        np.testing.assert_array_equal(portrait, SKIN)

    def test_landmarks_mirrored_twice_are_as_before(self):
        assert FACE.mirrored(200).mirrored(200) == FACE

    def test_landmarks_follow_an_enlarged_portrait(self):
        assert FACE.scaled(2, (10, 0)).chin == (210, 316)
        assert FACE.scaled(2).width == 2 * FACE.width

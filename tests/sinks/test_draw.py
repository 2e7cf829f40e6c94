"""What is drawn on a picture. Looks are judged by eye; here is what must hold of every picture."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sinks.draw import annotate, annotate_still
from edge.sinks.window import RED, picture_of
from edge.status import CameraState, Status
from edge.values import BBox, Face, Image, Person, Reading, Verdict

MIDDLE = BBox(200, 150, 400, 380)


def grey(height: int = 480, width: int = 640) -> Image:
    return np.full((height, width, 3), 127, np.uint8)


def person(verdict: Verdict, bbox: BBox = MIDDLE) -> Person:
    return Person(1, bbox, verdict, 0.0, 1.0)


def reading(probabilities: tuple[float, ...], bbox: BBox = MIDDLE) -> Reading:
    return Reading(Face(bbox, 0.9), probabilities)


def coloured(image: Image, verdict: Verdict) -> np.ndarray:
    return (image == verdict.row.colours.picture_bgr).all(axis=2)


def test_the_picture_given_is_not_changed() -> None:
    image = grey()
    annotate(image, [person(Verdict.WITH_MASK)], {Verdict.WITH_MASK: 1})
    assert (image == 127).all()


def test_nothing_to_draw_changes_nothing() -> None:
    assert (annotate(grey(), []) == grey()).all()


@pytest.mark.parametrize("verdict", list(Verdict))
def test_boxes_have_their_verdicts_colour(verdict: Verdict) -> None:
    marked = coloured(annotate(grey(), [person(verdict)]), verdict)
    assert marked[150, 200:400].any()
    assert marked[150:380, 200].any()
    assert not marked[200:330, 240:360].any(), "the face itself stays free"


@pytest.mark.parametrize("verdict", list(Verdict))
def test_small_faces_in_large_pictures_stay_free(verdict: Verdict) -> None:
    marked = coloured(annotate(grey(3000, 4000), [person(verdict, BBox(2000, 1500, 2100, 1600))]), verdict)
    assert marked[1495:1606, 1995:2106].any()
    assert not marked[1515:1586, 2015:2086].any()


def test_verdicts_differ_without_their_colours() -> None:
    def outline(verdict: Verdict) -> bytes:
        drawn = annotate(grey(), [person(verdict)])
        return (drawn[140:390, 190:410] != 127).any(axis=2).tobytes()

    assert len({outline(verdict) for verdict in Verdict}) == len(Verdict)
    assert len({verdict.words for verdict in Verdict}) == len(Verdict)


def test_a_reading_shows_verdict_and_certainty() -> None:
    said = annotate(grey(), [reading((0.1, 0.9, 0.0))])
    held = annotate(grey(), [person(Verdict.WITHOUT_MASK)])
    assert (said[150:380, 200:400] == held[150:380, 200:400]).all()
    assert (said != held).any(), "the probability is written"


def test_counts_hide_no_face() -> None:
    low = person(Verdict.WITH_MASK, BBox(0, 400, 300, 479))
    counts = {Verdict.WITHOUT_MASK: 3}
    assert coloured(annotate(grey(), [low], counts), Verdict.WITHOUT_MASK)[:60].any()
    assert coloured(annotate(grey(), [], counts), Verdict.WITHOUT_MASK)[-60:].any()


def test_other_counts_look_different() -> None:
    assert (annotate(grey(), [], {Verdict.WITH_MASK: 1}) != annotate(grey(), [], {Verdict.WITH_MASK: 2})).any()


class TestStills:
    @pytest.mark.parametrize(("height", "width"), [(480, 640), (40, 60), (1, 1)])
    def test_pictures_keep_their_size(self, height: int, width: int) -> None:
        drawn = annotate_still(grey(height, width), [], {Verdict.WITH_MASK: 1})
        assert (drawn[:height, :width] == 127).all()
        assert coloured(drawn, Verdict.WITH_MASK)[height:].any(), "the counts are below"

    def test_counts_cover_nothing(self) -> None:
        crowd = [reading((0.1, 0.9, 0.0), BBox(x, 300, x + 150, 479)) for x in (0, 200, 400)]
        with_counts = annotate_still(grey(), crowd, {Verdict.WITHOUT_MASK: 3})[:480]
        assert (with_counts == annotate(grey(), crowd)).all()

    def test_faces_have_labels_or_numbers(self) -> None:
        crowd = [reading((0.1, 0.9, 0.0), BBox(x, y, x + 9, y + 9)) for x in range(20, 320, 11) for y in (20, 31, 42)]
        drawn = annotate_still(grey(240, 320), crowd, {Verdict.WITHOUT_MASK: len(crowd)})
        few = annotate_still(grey(240, 320), crowd[:1], {Verdict.WITHOUT_MASK: 1})
        assert drawn.shape[0] > few.shape[0] + 100, "a key explains the numbers"

    def test_no_faces_and_no_counts(self) -> None:
        assert annotate_still(grey(), [], {}).shape[1] == 640


class TestWindowPicture:
    def test_text_follows_the_window_size(self) -> None:
        large = picture_of(status(person(Verdict.WITHOUT_MASK)), (1920, 1440))
        assert large.shape == (1440, 1920, 3)
        assert coloured(large, Verdict.WITHOUT_MASK)[450:1140, 600].any(), "the box is where the face is"

    def test_nobody_in_sight_gets_no_box(self) -> None:
        gone = replace(status(person(Verdict.WITHOUT_MASK)), at=10.0)
        assert not coloured(picture_of(gone, None), Verdict.WITHOUT_MASK)[150:380].any()

    def test_alarm_is_across_the_top(self) -> None:
        alarm = replace(status(person(Verdict.WITHOUT_MASK)), alarm=True)
        assert (picture_of(alarm, None)[2] == RED).all()

    def test_lost_camera_is_said(self) -> None:
        lost = replace(status(), image=None, camera=CameraState("usb:0", trouble="usb:0 is unplugged."))
        assert (picture_of(lost, None)[2, :640] == RED).all()

    def test_help_stands_below(self) -> None:
        assert picture_of(status(), None, helping=True).shape[0] > picture_of(status(), None).shape[0]


def status(*people: Person) -> Status:
    return Status(1.0, 0.0, CameraState("a camera", last_frame_at=1.0), people=people, image=grey())


coordinates = st.floats(-100, 700)


@given(boxes=st.lists(st.tuples(coordinates, coordinates, coordinates, coordinates), max_size=12))
@settings(max_examples=30, deadline=None)
def test_outside_and_empty_boxes_are_drawn(boxes: list[tuple[float, float, float, float]]) -> None:
    seen = [reading((0.2, 0.3, 0.5), BBox(*box)) for box in boxes]
    assert annotate(grey(), seen, {Verdict.MASK_WORN_INCORRECTLY: len(seen)}).shape == (480, 640, 3)

"""What is drawn on a picture. Looks are judged by eye; here is what must hold of every picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sinks.draw import annotate
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


@pytest.mark.parametrize(
    ("shape", "expected"), [((240, 320), (240, 320)), ((40, 60), (240, 360)), ((1, 1), (240, 240))]
)
def test_small_pictures_are_enlarged(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    assert annotate(grey(*shape), [], {Verdict.WITH_MASK: 1}).shape == (*expected, 3)


coordinates = st.floats(-100, 700)


@given(boxes=st.lists(st.tuples(coordinates, coordinates, coordinates, coordinates), max_size=12))
@settings(max_examples=30, deadline=None)
def test_outside_and_empty_boxes_are_drawn(boxes: list[tuple[float, float, float, float]]) -> None:
    seen = [reading((0.2, 0.3, 0.5), BBox(*box)) for box in boxes]
    assert annotate(grey(), seen, {Verdict.MASK_WORN_INCORRECTLY: len(seen)}).shape == (480, 640, 3)

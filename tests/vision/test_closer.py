"""Stills looked at closer: tiles, what is taken from them, and small faces in large photos."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras.demo import DEMO_CLIP
from edge.config import Config
from edge.values import BBox, Face, Frame, Image
from edge.vision.closer import OVERLAP, CloserDetector, tile_sides, tiles
from edge.vision.face_detector import Detector
from edge.vision.pipeline import load_pipeline
from tests.nonempty import some

SEEN_SIDE = 12
"""Pixels of a face at 320 pixels, from which on the eye below sees it."""


class Eye(Detector):
    """Sees bright rectangles that are large enough once the frame is fitted into 320x320."""

    def __init__(self) -> None:
        self.looks: list[tuple[int, int]] = []

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        self.looks.append(frame.image.shape[1::-1])
        scale = 320 / max(frame.image.shape[:2])
        _, _, boxes, _ = cv2.connectedComponentsWithStats((frame.image[..., 0] > 128).astype(np.uint8))
        corners = [(x, y, x + w, y + h) for x, y, w, h, _ in boxes[1:].tolist()]
        return [Face(BBox(*c), 0.9) for c in corners if (c[2] - c[0]) * scale >= SEEN_SIDE]


def still(width: int, height: int, faces: Sequence[tuple[int, int, int]]) -> Image:
    """A dark picture with bright squares at x, y, with a side."""
    image = np.zeros((height, width, 3), np.uint8)
    for x, y, side in faces:
        image[y : y + side, x : x + side] = 255
    return image


def found(image: Image, eye: Eye | None = None) -> list[tuple[int, ...]]:
    faces = CloserDetector(eye or Eye(), 200).detect(Frame.still(image), 0.5)
    return sorted(tuple(int(side) for side in face.bbox) for face in faces)


@pytest.mark.parametrize(
    ("size", "sides"),
    [((4000, 3000), [2000, 1000, 500]), ((640, 480), [320]), ((480, 640), [320]), ((320, 240), [])],
)
def test_larger_stills_are_searched_closer(size: tuple[int, int], sides: list[int]) -> None:
    assert tile_sides(*size) == sides


@given(width=st.integers(1, 3000), height=st.integers(1, 3000), side=st.integers(200, 1500), data=st.data())
def test_small_faces_lie_within_tiles(width: int, height: int, side: int, data: st.DataObject) -> None:
    face = max(1, int(min(side * OVERLAP, width, height)) - 2)
    x, y = data.draw(st.integers(0, width - face)), data.draw(st.integers(0, height - face))
    cut = list(tiles(width, height, side))
    assert all(0 <= one.x0 < one.x1 <= width and 0 <= one.y0 < one.y1 <= height for one in some(cut))
    assert any(one.x0 <= x and one.y0 <= y and x + face <= one.x1 and y + face <= one.y1 for one in cut)


def test_very_small_faces_are_found() -> None:
    faces = [(100, 100, 60), (1990, 1480, 60), (3900, 2900, 60)]
    assert found(still(4000, 3000, faces)) == [(x, y, x + side, y + side) for x, y, side in faces]


def test_faces_in_tiles_must_be_surer() -> None:
    asked: list[float] = []

    class Asked(Eye):
        def detect(self, frame: Frame, threshold: float) -> list[Face]:
            asked.append(threshold)
            return []

    found(still(640, 480, []), Asked())
    assert asked[0] == 0.5
    assert set(asked[1:]) == {0.55}


def test_faces_in_several_tiles_count_once() -> None:
    assert found(still(2000, 1500, [(900, 700, 200)])) == [(900, 700, 1100, 900)]


def test_face_parts_are_no_faces() -> None:
    assert found(still(1600, 1200, [(400, 300, 700)])) == [(400, 300, 1100, 1000)]


def test_small_stills_are_searched_once() -> None:
    eye = Eye()
    found(still(320, 240, [(10, 10, 40)]), eye)
    assert eye.looks == [(320, 240)]


def test_the_surest_faces_are_kept() -> None:
    faces = CloserDetector(Eye(), 2).detect(Frame.still(still(640, 480, [(x, 9, 40) for x in (9, 99, 199)])), 0.5)
    assert len(faces) == 2


def demo_people(second: float) -> Image:
    clip = cv2.VideoCapture(str(DEMO_CLIP))
    clip.set(cv2.CAP_PROP_POS_MSEC, second * 1000)
    _, frame = clip.read()
    return frame


@pytest.mark.slow
def test_group_faces_need_the_closer_search() -> None:
    config, frame = Config(), cv2.resize(demo_people(6), (320, 240), interpolation=cv2.INTER_AREA)
    (once, *_) = load_pipeline(config, 0.5).detect(Frame.still(frame))
    group = np.full((3000, 4000, 3), 120, np.uint8)
    places = [(x, y) for y in (300, 1500) for x in (200, 1500, 3100)]
    for x, y in places:
        group[y : y + 240, x : x + 320] = frame
    assert load_pipeline(config, 0.5, 200).detect(Frame.still(group)) == []
    faces = load_pipeline(config, 0.5, 200, closely=True).detect(Frame.still(group))
    for x, y in some(places):
        there = BBox(*(side + move for side, move in zip(once.bbox, (x, y, x, y), strict=True)))
        assert max(face.bbox.iou(there) for face in faces) > 0.5

"""The preprocessing that training, conversion and the device share."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.values import BBox, Image
from edge.vision.preprocess import PAD_VALUE, crop_face, letterbox, normalise, quantization_table, resize

RED_BGR = (0, 0, 255)
RED_RGB = (255, 0, 0)

sides = st.integers(1, 700)


def plain(height: int, width: int, colour: tuple[int, int, int] = RED_BGR) -> Image:
    return np.full((height, width, 3), colour, np.uint8)


def test_levels_become_symmetric() -> None:
    assert normalise(np.array([0, 255], np.uint8)).tolist() == [-1.0, 1.0]


def test_letterbox_gives_rgb() -> None:
    fitted, _ = letterbox(plain(10, 10), 32, 32)
    assert fitted[5, 5].tolist() == list(RED_RGB)


def test_letterbox_pads_right_and_below_only() -> None:
    fitted, _ = letterbox(plain(50, 100), 64, 64)
    assert (fitted[:32] == RED_RGB).all()
    assert (fitted[32:] == PAD_VALUE).all()


@given(width=sides, height=sides)
@settings(max_examples=60, deadline=None)
def test_letterbox_maps_back_onto_the_picture(width: int, height: int) -> None:
    fitted, placed = letterbox(plain(height, width), 96, 64)
    assert fitted.shape == (64, 96, 3)
    assert fitted.dtype == np.uint8
    rows, columns = np.nonzero((fitted == RED_RGB).all(axis=2))
    picture = np.array([[0, 0, columns.max() + 1, rows.max() + 1]], np.float32)
    tolerance = 1.0 / placed.scale
    assert placed.to_frame(picture)[0] == pytest.approx([0, 0, width, height], abs=tolerance)


@given(x0=st.floats(-50, 150), y0=st.floats(-50, 150), width=st.floats(0, 200), height=st.floats(0, 200), size=sides)
@settings(max_examples=60, deadline=None)
def test_crops_are_squares_anywhere(x0: float, y0: float, width: float, height: float, size: int) -> None:
    crop = crop_face(plain(80, 120), BBox(x0, y0, x0 + width, y0 + height), size, 0.3)
    assert crop.shape == (size, size, 3)
    assert crop.dtype == np.uint8
    assert (crop == RED_RGB).all(), "beyond the picture its edge is repeated: no other colour appears"


def test_crops_are_centred_with_margin() -> None:
    image = plain(100, 100, (0, 0, 0))
    cv2.rectangle(image, (40, 40), (59, 59), (255, 255, 255), cv2.FILLED)
    crop = crop_face(image, BBox(40, 40, 60, 60), 40, 0.5)
    rows, columns = np.nonzero(crop[:, :, 0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 29, 10, 29)


def test_tall_boxes_are_not_distorted() -> None:
    image = plain(100, 100, (0, 0, 0))
    cv2.rectangle(image, (45, 30), (54, 69), (255, 255, 255), cv2.FILLED)
    crop = crop_face(image, BBox(45, 30, 55, 70), 40, 0.0)
    rows, columns = np.nonzero(crop[:, :, 0])
    assert (columns.max() - columns.min() + 1, rows.max() - rows.min() + 1) == (10, 40)


def test_resizing_to_itself_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    assert (resize(image, 7, 9) == image).all()


@given(side=st.integers(20, 300).map(lambda half: 2 * half), target=st.integers(16, 40), data=st.data())
def test_a_thin_line_survives_any_shrinking(side: int, target: int, data: st.DataObject) -> None:
    image = np.zeros((side, side, 3), np.uint8)
    left = data.draw(st.integers(0, side - 2))
    image[:, left : left + 2] = 255
    halvings = max(0, int(np.log2(side / target)))
    left_out = 2**halvings  # odd last columns
    if left + left_out < side:
        assert resize(image, target, target).max() > 0


def test_shrinking_keeps_brightness_and_place() -> None:
    image = np.zeros((480, 800, 3), np.uint8)
    cv2.rectangle(image, (200, 120), (399, 239), (255, 255, 255), cv2.FILLED)
    small = resize(image, 300, 180)
    assert small.mean() == pytest.approx(image.mean(), rel=0.02)
    rows, columns = np.nonzero(small[:, :, 0] > 127)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (75, 149, 45, 89)


@given(scale=st.floats(1 / 512, 1 / 32), zero_point=st.integers(-128, 127))
def test_the_table_rounds_normalised_levels(scale: float, zero_point: int) -> None:
    levels = np.arange(256, dtype=np.uint8)
    table = quantization_table(scale, zero_point)
    assert table.dtype == np.int8
    represented = (table.astype(np.float64) - zero_point) * scale
    reachable = np.clip(normalise(levels), (-128 - zero_point) * scale, (127 - zero_point) * scale)
    assert np.abs(represented - reachable).max() <= scale * 0.502


def test_usual_scale_keeps_levels_apart() -> None:
    assert len(set(quantization_table(float(np.float32(2 / 255)), -1).tolist())) == 256

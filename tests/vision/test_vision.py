"""The face detector's decode and the mask classifier, on models that are told what to answer."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.runtime import UNQUANTIZED, Quantization, Tensor, TensorSpec
from edge.values import LABELS, BBox, Face, Frame, Image, Label
from edge.vision.detectors.maskgate import Layout, decode
from edge.vision.face_detector import FaceDetector
from edge.vision.mask_classifier import MaskClassifier
from edge.vision.model_input import ModelInput
from edge.vision.models import FaceEntry, MaskEntry
from edge.vision.preprocess import quantization_table
from tests.nonempty import some

LAYOUT = Layout(160, 96, (8, 16, 32))
SCORE_STEPS = Quantization(1 / 256, -128)
BBOX_STEPS = Quantization(1 / 32, 0)
INPUT_STEPS = Quantization(1 / 128, 0)

Cell = tuple[int, int, int, float, tuple[float, float, float, float]]
"""Stride, row, column, score, (dx, dy, log_w, log_h)."""


def maps(*cells: Cell) -> list[Tensor]:
    """A face model's float outputs, silent but for the given cells."""
    outputs = []
    for stride in LAYOUT.strides:
        rows, columns = LAYOUT.height // stride, LAYOUT.width // stride
        score, bbox = np.zeros((1, rows, columns, 1), np.float32), np.zeros((1, rows, columns, 4), np.float32)
        for _, row, column, value, offsets in (cell for cell in cells if cell[0] == stride):
            score[0, row, column, 0] = value
            bbox[0, row, column] = offsets
        outputs += [Tensor(score), Tensor(bbox)]
    return outputs


def quantized(outputs: Sequence[Tensor]) -> list[Tensor]:
    return [as_int8(tensor.values, SCORE_STEPS if tensor.values.shape[-1] == 1 else BBOX_STEPS) for tensor in outputs]


def as_int8(values: NDArray[Any], steps: Quantization) -> Tensor:
    stored = np.clip(np.round(values / steps.scale) + steps.zero_point, -128, 127)
    return Tensor(stored.astype(np.int8), steps)


class ToldModel:
    """Answers what it was told, and remembers what it was shown."""

    runtime = "told"

    def __init__(self, answer: Sequence[Tensor], width: int, height: int, dtype: Any = np.int8) -> None:
        steps = INPUT_STEPS if dtype == np.int8 else UNQUANTIZED
        self.input = TensorSpec("image", (1, height, width, 3), np.dtype(dtype), steps)
        self.outputs = tuple(
            TensorSpec(f"out_{index}", tensor.values.shape, tensor.values.dtype, tensor.quantization)
            for index, tensor in enumerate(answer)
        )
        self.shown: list[NDArray[Any]] = []
        self._answer = answer

    def invoke(self, values: NDArray[Any]) -> Sequence[Tensor]:
        assert values.shape == self.input.shape
        assert values.dtype == self.input.dtype
        self.shown.append(values.copy())
        return self._answer


def face_entry(**changes: Any) -> FaceEntry:
    fields = {
        "task": "face-detection",
        "input": {"width": LAYOUT.width, "height": LAYOUT.height},
        "labels": ["face"],
        "strides": LAYOUT.strides,
    }
    return FaceEntry.model_validate(common_fields() | fields | changes)


def mask_entry(labels: Sequence[str] = tuple(map(str, LABELS)), **changes: Any) -> MaskEntry:
    fields = {
        "task": "mask-classification",
        "input": {"width": 32, "height": 32},
        "labels": list(labels),
        "margin": 0.3,
    }
    return MaskEntry.model_validate(common_fields() | fields | changes)


def common_fields() -> dict[str, Any]:
    return {
        "file": "m.tflite",
        "sha256": "0" * 64,
        "training": "none",
        "data": [],
        "figures": {},
        "card": "m.md",
    }


def picture(height: int, width: int) -> Image:
    return np.full((height, width, 3), (0, 0, 255), np.uint8)


# Decoding


def test_cells_become_boxes_by_formula() -> None:
    outputs = maps((16, 2, 3, 0.75, (0.25, -0.5, math.log(2), math.log(3))))
    boxes, scores = decode(outputs, LAYOUT, 0.5, 0.45, 20)
    centre_x, centre_y = (3 + 0.5 + 0.25) * 16, (2 + 0.5 - 0.5) * 16
    assert boxes[0] == pytest.approx([centre_x - 16, centre_y - 24, centre_x + 16, centre_y + 24], abs=1e-3)
    assert scores.tolist() == [0.75]


def test_below_the_threshold_is_no_face() -> None:
    boxes, scores = decode(maps((8, 0, 0, 0.49, (0, 0, 0, 0))), LAYOUT, 0.5, 0.45, 20)
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


@pytest.mark.parametrize("form", [list, quantized], ids=["float32", "int8"])
def test_at_the_threshold_is_a_face(form: Any) -> None:
    assert len(decode(form(maps((8, 0, 0, 0.5, (0, 0, 0, 0)))), LAYOUT, 0.5, 0.45, 20).scores) == 1


def test_output_order_means_nothing() -> None:
    outputs = quantized(maps((8, 5, 6, 0.9, (0, 0, 1, 1)), (32, 1, 2, 0.8, (0, 0, 1, 1))))
    expected = decode(outputs, LAYOUT, 0.5, 0.45, 20)
    for turn in some(range(len(outputs))):
        shuffled = outputs[turn:] + outputs[:turn]
        for reordered in (shuffled, shuffled[::-1]):
            found = decode(reordered, LAYOUT, 0.5, 0.45, 20)
            assert found.boxes.tolist() == expected.boxes.tolist()
            assert found.scores.tolist() == expected.scores.tolist()


cells = st.builds(
    lambda stride, row, column, score, offsets: (
        stride,
        int(row * (LAYOUT.height // stride)),
        int(column * (LAYOUT.width // stride)),
        score,
        offsets,
    ),
    st.sampled_from(LAYOUT.strides),
    st.floats(0, 0.99),
    st.floats(0, 0.99),
    st.floats(0.55, 0.99),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1.5), st.floats(0, 1.5)),
)


@given(cell=cells)
@settings(max_examples=80, deadline=None)
def test_int8_decodes_like_float(cell: Cell) -> None:
    exact, rounded = (decode(form(maps(cell)), LAYOUT, 0.5, 0.45, 20) for form in (list, quantized))
    side = math.exp(max(cell[4][2:])) * cell[0]
    assert rounded.boxes[0] == pytest.approx(exact.boxes[0], abs=(cell[0] + side) / 32)
    assert rounded.scores[0] == pytest.approx(exact.scores[0], abs=1 / 256)


def test_each_map_has_its_quantization() -> None:
    outputs = maps((8, 1, 2, 0.75, (0, 0, 1, 1)), (16, 4, 7, 0.875, (0, 0, 1, 1)), (32, 1, 3, 0.5, (0, 0, 1, 1)))
    steps = [Quantization(1 / (16 << index), index) for index in range(3) for _ in range(2)]
    rounded = [as_int8(tensor.values, own) for tensor, own in zip(outputs, steps, strict=True)]
    rounded[1::2] = [as_int8(tensor.values, Quantization(1 / (8 << n), -n)) for n, tensor in enumerate(outputs[1::2])]
    exact, found = decode(outputs, LAYOUT, 0.5, 0.45, 20), decode(rounded, LAYOUT, 0.5, 0.45, 20)
    assert found.scores == pytest.approx(exact.scores, abs=1 / 64)
    assert found.boxes == pytest.approx(exact.boxes, abs=1.0)


@given(found=st.lists(cells, min_size=1, max_size=30), most=st.integers(1, 10))
@settings(max_examples=60, deadline=None)
def test_the_best_boxes_stay(found: list[Cell], most: int) -> None:
    boxes, scores = decode(maps(*found), LAYOUT, 0.5, 0.45, most)
    assert 1 <= len(scores) <= most
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    kept = [BBox(*box) for box in boxes.tolist()]
    assert [a.iou(b) for index, a in enumerate(kept) for b in kept[:index] if a.iou(b) > 0.45 + 1e-4] == []


def test_the_surer_of_two_boxes_stays() -> None:
    outputs = maps((8, 4, 4, 0.6, (0, 0, 1, 1)), (8, 4, 5, 0.9, (-0.9, 0, 1, 1)), (8, 9, 15, 0.7, (0, 0, 1, 1)))
    assert decode(outputs, LAYOUT, 0.5, 0.45, 20).scores.tolist() == pytest.approx([0.9, 0.7])


def test_wild_sides_do_not_overflow() -> None:
    boxes, _ = decode(maps((32, 0, 0, 0.9, (0, 0, 500.0, 500.0))), LAYOUT, 0.5, 0.45, 20)
    assert np.isfinite(boxes).all()


def test_missing_maps_are_refused_by_stride() -> None:
    with pytest.raises(ModelError, match="stride 16"):
        decode(maps()[:3] + maps()[4:], LAYOUT, 0.5, 0.45, 20)


# The detector


def test_faces_are_in_frame_pixels() -> None:
    outputs = maps((16, 2, 3, 0.75, (0.5, 0.5, math.log(2), math.log(2))))
    detector = FaceDetector(ToldModel(quantized(outputs), 160, 96), face_entry())
    (face,) = detector.detect(Frame.still(picture(480, 800)), 0.5)
    assert face.bbox == pytest.approx((48 * 5, 32 * 5, 80 * 5, 64 * 5), abs=5)
    assert face.score == pytest.approx(0.75)


def test_faces_are_cut_to_the_frame() -> None:
    outputs = maps((32, 0, 0, 0.9, (0, 0, math.log(4), math.log(4))))
    (face,) = FaceDetector(ToldModel(outputs, 160, 96), face_entry()).detect(Frame.still(picture(96, 160)), 0.5)
    assert face.bbox == pytest.approx((0, 0, 80, 80), abs=0.01)


def test_boxes_in_padding_are_dropped() -> None:
    outputs = maps((8, 11, 2, 0.9, (0, 0, 0, 0)))
    assert FaceDetector(ToldModel(outputs, 160, 96), face_entry()).detect(Frame.still(picture(20, 160)), 0.5) == []


@pytest.mark.parametrize(
    ("dtype", "expected"), [(np.int8, [127, -128, -128]), (np.float32, [1.0, -1.0, -1.0])], ids=["int8", "float32"]
)
def test_the_model_is_shown_normalised_rgb(dtype: Any, expected: list[float]) -> None:
    model = ToldModel(maps(), 160, 96, dtype)
    FaceDetector(model, face_entry()).detect(Frame.still(picture(96, 160)), 0.5)
    assert model.shown[0][0, 40, 40].tolist() == expected


def test_no_picture_leaks_into_the_next() -> None:
    wide, tall = np.full((40, 160, 3), 255, np.uint8), np.full((96, 40, 3), 7, np.uint8)
    model = ToldModel(maps(), 160, 96)
    detector = FaceDetector(model, face_entry())
    for image in (tall, wide, tall):
        detector.detect(Frame.still(image), 0.5)
    first, between, last = model.shown
    assert (first == last).all()
    assert between.max() > first.max()


@pytest.mark.parametrize(
    "steps", [Quantization(float(np.float32(2 / 255)), -1), Quantization(1 / 64, 3)], ids=["usual scale", "another"]
)
def test_pictures_are_quantized_by_table(steps: Quantization) -> None:
    spec = TensorSpec("image", (1, 6, 9, 3), np.dtype(np.int8), steps)
    image = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    shown = ModelInput(spec, 9, 6)(image)
    assert shown.shape == spec.shape
    assert (shown[0] == quantization_table(steps.scale, steps.zero_point)[image]).all()


def test_a_wrong_input_size_is_refused() -> None:
    with pytest.raises(ModelError, match="manifest"):
        FaceDetector(ToldModel(maps(), 320, 320), face_entry())


def test_missing_strides_are_refused() -> None:
    with pytest.raises(ModelError, match="stride 4"):
        FaceDetector(ToldModel(maps(), 160, 96), face_entry(strides=[4]))


def test_other_number_types_are_refused() -> None:
    with pytest.raises(ModelError, match="int16"):
        FaceDetector(ToldModel(maps(), 160, 96, np.int16), face_entry())


# The classifier

FACE = Face(BBox(10, 10, 40, 40), 0.9)


def classifier(answer: Tensor, labels: Sequence[str] = tuple(map(str, LABELS))) -> MaskClassifier:
    return MaskClassifier(ToldModel([answer], 32, 32), mask_entry(labels))


def test_rounded_probabilities_sum_to_one() -> None:
    answer = as_int8(np.array([[0.334, 0.334, 0.334]]), SCORE_STEPS)
    (reading,) = classifier(answer).classify(picture(60, 60), [FACE])
    assert sum(reading.probabilities) == pytest.approx(1.0)
    assert reading.face is FACE


def test_outputs_follow_the_labels() -> None:
    answer = Tensor(np.array([[0.1, 0.2, 0.7]], np.float32))
    order = ["mask_worn_incorrectly", "with_mask", "without_mask"]
    (reading,) = classifier(answer, order).classify(picture(60, 60), [FACE])
    assert reading.probabilities == pytest.approx((0.2, 0.7, 0.1))
    assert reading.label is Label.WITHOUT_MASK


def test_unknown_labels_have_probability_zero() -> None:
    answer = as_int8(np.array([[0.25, 0.75]]), SCORE_STEPS)
    (reading,) = classifier(answer, ["without_mask", "with_mask"]).classify(picture(60, 60), [FACE])
    assert reading.probabilities == pytest.approx((0.75, 0.25, 0.0))


@pytest.mark.parametrize(("set_to", "label"), [(None, Label.MASK_WORN_INCORRECTLY), (0.5, Label.WITH_MASK)])
def test_alarm_threshold_defaults_to_the_models(set_to: float | None, label: Label) -> None:
    answer = Tensor(np.array([[0.6, 0.1, 0.3]], np.float32))
    judge = MaskClassifier(ToldModel([answer], 32, 32), mask_entry(alarm_below=0.7), set_to)
    (reading,) = judge.classify(picture(60, 60), [FACE])
    assert reading.label is label


def test_a_silent_model_is_unsure() -> None:
    (reading,) = classifier(as_int8(np.zeros((1, 3)), SCORE_STEPS)).classify(picture(60, 60), [FACE])
    assert reading.probabilities == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_readings_follow_the_faces() -> None:
    judge = classifier(Tensor(np.array([[0.8, 0.1, 0.1]], np.float32)))
    faces = [Face(BBox(x, 5, x + 20, 25), 0.9) for x in (0, 20, 40)]
    assert [reading.face for reading in judge.classify(picture(60, 60), faces)] == faces
    assert judge.classify(picture(60, 60), []) == []


@pytest.mark.parametrize("shape", [(1, 2), (1, 3, 1), (3,)])
def test_unfitting_labels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="labels"):
        classifier(Tensor(np.zeros(shape, np.float32)))


def test_mask_models_must_be_square() -> None:
    with pytest.raises(ModelError, match="square"):
        MaskClassifier(
            ToldModel([Tensor(np.zeros((1, 3), np.float32))], 32, 64),
            mask_entry(input={"width": 32, "height": 64}),
        )


# The camera's own smaller picture


def test_the_smaller_picture_is_looked_at() -> None:
    model = ToldModel(quantized(maps((8, 4, 6, 0.9, (0.0, 0.0, 0.7, 0.7)))), LAYOUT.width, LAYOUT.height)
    detector = FaceDetector(model, face_entry())
    whole = np.zeros((192, 320, 3), np.uint8)
    bright = np.full((96, 160, 3), 255, np.uint8)
    (plain,) = detector.detect(Frame.still(whole), 0.5)
    (scaled,) = detector.detect(Frame(whole, 0.0, 0, bright), 0.5)
    assert plain == scaled
    dark, light = model.shown
    assert dark.max() < light.min()


def test_unfitting_smaller_pictures_are_ignored() -> None:
    model = ToldModel(quantized(maps()), LAYOUT.width, LAYOUT.height)
    detector = FaceDetector(model, face_entry())
    whole = np.zeros((192, 320, 3), np.uint8)
    detector.detect(Frame.still(whole), 0.5)
    detector.detect(Frame(whole, 0.0, 0, np.full((48, 80, 3), 255, np.uint8)), 0.5)
    assert (model.shown[0] == model.shown[1]).all()

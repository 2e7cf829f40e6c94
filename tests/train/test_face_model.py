"""The face detector: its layers, its losses and the boxes it learns from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.runtime import Tensor
from edge.values import BBox
from edge.vision.detectors.maskgate import Layout, decode_all
from tests.nonempty import some
from tests.train.face_photos import EDGE_TPU_LAYERS, SIZE, demo_frame, outputs, targets
from tests.train.needs import keras
from train.common.start_models import YUNET
from train.face import augment as face_augment
from train.face import distil as face_distil
from train.face import figures as face_eval
from train.face import fit as face_fit
from train.face import loss as face_loss
from train.face import merge as face_merge
from train.face import model as face_model
from train.face.narrow import narrowed

YUNET_WIDTHS = face_model.Early(16, (16, 64, 64, 64))
NARROW = face_model.Early(8, (16, 40, 40, 64))
SURPLUS = {"stem": 8, "stage_4_1": 24, "stage_4_2": 24}
"""By block, the channels of ``YUNET_WIDTHS`` that ``NARROW`` lacks."""


@pytest.fixture(scope="module")
def grid() -> face_loss.Cells:
    return face_loss.cells(SIZE, SIZE)


def test_each_stride_has_two_maps() -> None:
    model = face_model.build_face_model(96, 64)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.output.items()}
    assert model.input_shape == (None, 64, 96, 3)
    assert shapes == {
        "score_8": (None, 8, 12, 1), "bbox_8": (None, 8, 12, 4),
        "score_16": (None, 4, 6, 1), "bbox_16": (None, 4, 6, 4),
        "score_32": (None, 2, 3, 1), "bbox_32": (None, 2, 3, 4),
    }  # fmt: skip


def test_all_layers_suit_the_edge_tpu() -> None:
    model = face_model.build_face_model(SIZE, SIZE)
    assert {type(layer).__name__ for layer in model.layers} <= EDGE_TPU_LAYERS
    enlarging = [layer for layer in model.layers if isinstance(layer, keras.layers.UpSampling2D)]
    assert {layer.interpolation for layer in enlarging} == {"nearest"}


def test_the_model_is_small() -> None:
    assert face_model.build_face_model(SIZE, SIZE).count_params() < 150_000


def test_untrained_models_find_nothing() -> None:
    maps = face_model.build_face_model(SIZE, SIZE)(np.zeros((1, SIZE, SIZE, 3), np.float32))
    scores = np.concatenate([np.ravel(maps[f"score_{stride}"]) for stride in face_model.STRIDES])
    assert 0 < scores.min() <= scores.max() < 0.1


def test_logits_stay_within_int8_steps() -> None:
    model = face_model.build_face_model(SIZE, SIZE)
    for value in (-1e4, 1e4):
        kernel, bias = model.get_layer("bounded_8").get_weights()
        model.get_layer("bounded_8").set_weights([kernel, np.full_like(bias, value)])
        score = np.asarray(model(np.zeros((1, SIZE, SIZE, 3), np.float32))["score_8"])
        limit = np.copysign(face_model.LOGIT_LIMIT, value)
        np.testing.assert_allclose(score, 1 / (1 + np.exp(-limit)), rtol=1e-4)


@pytest.mark.parametrize("size", [(300, 320), (320, 240), (0, 320)])
def test_inputs_must_be_multiples_of_strides(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="multiples of 32"):
        face_model.build_face_model(*size)


def test_a_yunet_start_equals_yunet() -> None:
    model = face_model.build_face_model(320, 320, YUNET_WIDTHS)
    face_fit.start_from(f"yunet={YUNET}", model)
    picture = demo_frame()
    (faces,) = face_eval.detect([picture], model.predict_on_batch, 320, 320)
    height, width = picture.shape[:2]
    yunet = cv2.FaceDetectorYN.create(str(YUNET), "", (320, round(320 * height / width)), 0.8)
    _, rows = yunet.detect(cv2.resize(picture, (320, round(320 * height / width))))
    assert len(rows) >= 1
    for x, y, w, h in some(rows[:, :4] * width / 320):
        bbox = BBox(x - 0.05 * w, y - 0.05 * h, x + 1.05 * w, y + 1.05 * h)
        assert max(face.bbox.iou(bbox) for face in faces if face.score > 0.3) > 0.7


@pytest.mark.skipif(not YUNET.exists(), reason="needs YuNet next to the project")
def test_taught_scores_match_the_cells() -> None:
    model = face_model.build_face_model(320, 320, YUNET_WIDTHS)
    face_fit.start_from(f"yunet={YUNET}", model)
    picture = cv2.resize(demo_frame(), (320, 320))
    maps = model.predict_on_batch(np.float32(picture[None, ..., ::-1]) / 127.5 - 1)
    own = np.concatenate([np.ravel(maps[f"score_{stride}"]) for stride in face_model.STRIDES])
    taught = face_distil.DenseScores(YUNET)(picture)
    assert taught.shape == own.shape
    assert taught.max() > 0.7
    # The port adds the two logits whose probabilities YuNet multiplies, so the scores agree in order, not in value.
    assert np.corrcoef(taught, own)[0, 1] > 0.7


@pytest.mark.parametrize("content", [None, b"nothing"])
def test_wrong_score_teachers_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.onnx"
    if content:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"other\.onnx"):
        face_distil.DenseScores(path)


def test_two_scores_become_their_sum() -> None:
    keras.utils.set_random_seed(5)
    features = keras.Input((8, 8, 6))
    pair = keras.layers.Conv2D(2, 1, bias_initializer="normal", name="scores_8_pointwise")(features)
    pair = keras.layers.DepthwiseConv2D(3, padding="same", bias_initializer="normal", name="scores_8_depthwise")(pair)
    earlier = keras.Model(features, keras.layers.Conv2D(1, 1, bias_initializer="normal", name="logit_8")(pair))
    known = {layer.name: layer.get_weights() for layer in earlier.layers if layer.weights}
    (kernel, bias) = face_merge.with_merged_scores(known)["bounded_8"]
    picture = np.random.default_rng(0).normal(size=(1, 8, 8, 6)).astype(np.float32)
    expected = face_model.bounded(np.asarray(earlier(picture)))
    found = keras.ops.conv(picture, kernel, padding="same") + bias
    np.testing.assert_allclose(np.asarray(found)[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], rtol=1e-3, atol=1e-4)


def test_narrowing_keeps_the_channels_that_count() -> None:
    narrow, wide = (face_model.build_face_model(SIZE, SIZE, early) for early in (NARROW, YUNET_WIDTHS))
    face_fit.start_from(f"yunet={YUNET}", wide)
    for layer in wide.layers:
        if layer.weights and (silent := SURPLUS.get(layer.name.rpartition("_")[0] or layer.name)):
            kernel, bias = layer.get_weights()
            channels = kernel.swapaxes(2, 3) if "depthwise" in layer.name else kernel
            channels[..., 1 : 1 + silent] = bias[1 : 1 + silent] = 0
            layer.set_weights([kernel, bias])
    for name, weights in narrowed({layer.name: layer.get_weights() for layer in wide.layers}, narrow).items():
        narrow.get_layer(name).set_weights(weights)
    picture = np.random.default_rng(0).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)
    expected, found = wide(picture), narrow(picture)
    assert all(np.ptp(expected[name]) > 0 for name in some(expected))
    for name in some(found):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("content", [None, b"nothing"])
def test_wrong_starts_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.onnx"
    if content:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"other\.onnx"):
        face_fit.start_from(f"yunet={path}", face_model.build_face_model(SIZE, SIZE))


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_training_decodes_as_the_device_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = outputs(rng)
    for stride in face_model.STRIDES:
        maps[f"score_{stride}"] = rng.uniform(0.01, 1, maps[f"score_{stride}"].shape).astype(np.float32)
    here = face_loss.flatten(maps, face_loss.cells(SIZE, SIZE))
    there = decode_all([Tensor(value) for value in maps.values()], Layout(SIZE, SIZE, face_model.STRIDES), 0.005)
    order = np.argsort(-np.asarray(here.scores)[0])
    best = np.argsort(-there.scores)
    np.testing.assert_allclose(there.scores[best], np.asarray(here.scores)[0][order], rtol=1e-6)
    np.testing.assert_allclose(there.boxes[best], np.asarray(here.boxes)[0][order], rtol=1e-4, atol=1e-3)


@given(
    x=st.floats(4, SIZE - 4),
    y=st.floats(4, SIZE - 4),
    width=st.floats(4, 60),
    height=st.floats(4, 60),
    seed=st.integers(0, 99),
)
@example(x=46.5, y=18.0, width=4.0, height=4.0, seed=11)  # several cells cost the same
@settings(max_examples=40, deadline=None)
def test_faces_go_to_central_cells(x: float, y: float, width: float, height: float, seed: int) -> None:
    grid = face_loss.cells(SIZE, SIZE)
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    predictions = face_loss.flatten(outputs(np.random.default_rng(seed)), grid)
    found = face_loss.assign(targets((*box, face_loss.FACE)), predictions, grid)
    positive = np.asarray(found.positive)[0]
    assert 1 <= positive.sum() <= face_loss.MAX_MATCHES
    distance = np.abs(grid.centres[positive] - (x, y)).max(axis=1)
    assert np.all(distance <= face_loss.REACH / 2 * grid.strides[positive] + 1e-3)
    np.testing.assert_allclose(
        np.asarray(found.boxes)[0][positive], np.tile(np.float32(box), (positive.sum(), 1)), rtol=1e-5
    )


def test_overlapping_faces_have_separate_cells(grid: face_loss.Cells) -> None:
    faces = [(8.0, 8.0, 32.0, 32.0), (26.0, 26.0, 50.0, 50.0)]
    maps = outputs(np.random.default_rng(3))
    found = face_loss.assign(targets(*[(*box, 1.0) for box in faces]), face_loss.flatten(maps, grid), grid)
    lefts = np.asarray(found.boxes)[0][np.asarray(found.positive)[0]][:, 0]
    assert set(lefts.tolist()) == {8.0, 26.0}


def test_large_faces_need_a_coarse_stride() -> None:
    grid = face_loss.cells(128, 128)
    maps = outputs(np.random.default_rng(0), size=128)
    found = face_loss.assign(targets((10, 10, 110, 110, face_loss.FACE)), face_loss.flatten(maps, grid), grid)
    assert grid.strides[np.asarray(found.positive)[0]].min() >= 16


def test_ignore_regions_silence_their_cells(grid: face_loss.Cells) -> None:
    maps = outputs(np.random.default_rng(0))
    found = face_loss.assign(targets((0, 0, 16, 16, face_loss.IGNORE)), face_loss.flatten(maps, grid), grid)
    ignored = np.asarray(found.ignored)[0]
    assert not np.any(found.positive)
    corner = (grid.centres < 16 + grid.strides[:, None] / 2).all(axis=1)
    np.testing.assert_array_equal(ignored, corner)


def test_ignored_scores_cost_nothing(grid: face_loss.Cells) -> None:
    loud, quiet = outputs(np.random.default_rng(0), score=0.9), outputs(np.random.default_rng(0), score=1e-4)
    everywhere = targets((0, 0, SIZE, SIZE, face_loss.IGNORE))
    assert float(face_loss.detection_loss(everywhere, loud, grid)[0]) == pytest.approx(0, abs=1e-6)
    assert float(face_loss.detection_loss(targets(), loud, grid)[0]) > 10
    assert float(face_loss.detection_loss(targets(), quiet, grid)[0]) < 1e-3


def test_taught_scores_rule_unannotated_cells(grid: face_loss.Cells) -> None:
    def loss(score: float, taught: float) -> float:
        maps = outputs(np.random.default_rng(0), score=score)
        scores = np.full((1, len(grid.strides)), taught, np.float32)
        everywhere = targets((0, 0, SIZE, SIZE, face_loss.IGNORE))
        return float(face_loss.detection_loss(everywhere, maps, grid, scores)[0])

    assert loss(0.3, 0.3) == pytest.approx(0, abs=1e-4)
    assert loss(0.3, 0.4) < loss(0.3, 0.7)
    assert loss(0.04, 0.01) == 0  # neither takes it for a face


def test_box_loss_grows_with_distance(grid: face_loss.Cells) -> None:
    def loss(shift: float) -> float:
        maps = outputs(np.random.default_rng(0))
        for stride in face_model.STRIDES:
            cells = SIZE // stride
            x, y = np.meshgrid(np.arange(cells) + 0.5, np.arange(cells) + 0.5)
            maps[f"bbox_{stride}"][0, ..., 0] = (32 + shift) / stride - x
            maps[f"bbox_{stride}"][0, ..., 1] = 32 / stride - y
            maps[f"bbox_{stride}"][0, ..., 2:] = np.log(24 / stride)
        return float(face_loss.detection_loss(targets((20, 20, 44, 44, face_loss.FACE)), maps, grid)[1])

    assert loss(0) == pytest.approx(0, abs=1e-4)
    assert loss(0) < loss(4) < loss(12) < loss(40)


@given(seed=st.integers(0, 10_000), zoom=st.booleans())
@settings(max_examples=40, deadline=None)
def test_boxes_follow_scaling_turning_and_flipping(seed: int, zoom: bool) -> None:
    picture = np.zeros((90, 120, 3), np.uint8)
    cv2.ellipse(picture, (70, 40), (15, 20), 0, 0, 360, (255, 255, 255), -1)
    scene = face_augment.Scene(picture, np.float32([[55, 20, 85, 60, face_loss.FACE]]), focus=0)
    placed = face_augment.place(scene, 128, 128, np.random.default_rng(seed), zoom)
    inside = [box for box in placed.boxes if box[4] == face_loss.FACE]
    assume(inside)
    lit = (placed.image > 200).all(axis=2)
    for x0, y0, x1, y1, _ in some(inside):
        rows, columns = np.nonzero(lit)
        drawn = BBox(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert drawn.iou(BBox(x0, y0, x1, y1)) > 0.6


def test_tiny_and_cut_faces_are_ignored() -> None:
    rows = [(10, 10, 40, 40), (-25, 10, 5, 40), (10, 10, 14, 40), (-40, 10, -5, 40), (40, 40, 80, 80)]
    boxes = np.float32([(*row, face_loss.FACE) for row in rows])
    clipped = face_augment.clip_boxes(boxes, 64, 64)
    assert clipped[:, 4].tolist() == [face_loss.FACE, face_loss.IGNORE, face_loss.IGNORE, face_loss.IGNORE]
    assert clipped[3, :4].tolist() == [40, 40, 64, 64]


def test_the_largest_faces_are_kept() -> None:
    sides = np.arange(7, 7 + face_augment.MAX_FACES + 5, dtype=np.float32)
    boxes = np.column_stack([np.zeros((len(sides), 2)), sides, sides, np.full(len(sides), face_loss.FACE)])
    target = face_augment.to_target(boxes.astype(np.float32), 200)
    assert target.shape == (face_augment.MAX_FACES, 5)
    assert sorted(target[:, 2]) == sides[5:].tolist()

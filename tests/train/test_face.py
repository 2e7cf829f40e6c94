"""What the training of the face detector promises."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.cameras.demo import DEMO_CLIP
from edge.errors import ConfigError
from edge.runtime import Tensor
from edge.values import BBox, Face
from edge.vision.detectors.maskgate import Layout, decode

keras = pytest.importorskip("keras")
pytest.importorskip("pycocotools")

from tests.nonempty import some  # noqa: E402
from train.common.average import Average  # noqa: E402
from train.common.start_models import YUNET  # noqa: E402
from train.face import augment as face_augment  # noqa: E402
from train.face import command as face  # noqa: E402
from train.face import convention as face_convention  # noqa: E402
from train.face import data as face_data  # noqa: E402
from train.face import distil as face_distil  # noqa: E402
from train.face import figures as face_eval  # noqa: E402
from train.face import fit as face_fit  # noqa: E402
from train.face import fuse as face_fuse  # noqa: E402
from train.face import hard as face_hard  # noqa: E402
from train.face import loss as face_loss  # noqa: E402
from train.face import merge as face_merge  # noqa: E402
from train.face import model as face_model  # noqa: E402
from train.face import photos as face_photos  # noqa: E402
from train.face import scores as face_scores  # noqa: E402
from train.face import teacher as face_teacher  # noqa: E402

SIZE = 64
EDGE_TPU_LAYERS = {
    "InputLayer", "Conv2D", "DepthwiseConv2D", "ReLU", "MaxPooling2D", "Add", "UpSampling2D", "Activation",
}  # fmt: skip


@pytest.fixture(scope="module")
def grid() -> face_loss.Cells:
    return face_loss.cells(SIZE, SIZE)


def targets(*rows: tuple[float, ...]) -> np.ndarray:
    """A batch of one picture with these boxes and kinds."""
    batch = np.zeros((1, 6, 5), np.float32)
    batch[0, : len(rows)] = np.reshape(rows, (-1, 5))
    return batch


def demo_frame() -> np.ndarray:
    """A frame of the demo clip with people in it."""
    clip = cv2.VideoCapture(str(DEMO_CLIP))
    clip.set(cv2.CAP_PROP_POS_MSEC, 6000)
    _, frame = clip.read()
    return frame


def outputs(rng: np.random.Generator, size: int = SIZE, score: float = 0.5) -> dict[str, np.ndarray]:
    """Maps as a model could give them."""
    maps = {}
    for stride in face_model.STRIDES:
        cells = size // stride
        maps[f"score_{stride}"] = np.full((1, cells, cells, 1), score, np.float32)
        maps[f"bbox_{stride}"] = rng.normal(0, 0.5, (1, cells, cells, 4)).astype(np.float32)
    return maps


CATEGORIES = [{"id": number, "name": name} for number, name in enumerate(("person", "mask", "no mask", "head"), 1)]


def coco(folder: Path, photos: int = 6, seed: int = 0, **more: Any) -> Path:
    """A COCO file of pictures with one drawn face each."""
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    (folder / "images").mkdir(parents=True)
    for index in range(photos):
        picture = rng.integers(90, 130, (60, 80, 3)).astype(np.uint8)
        cv2.ellipse(picture, (40, 30), (12, 16), 0, 0, 360, (150, 180, 230), -1)
        name = f"images/{index}.png"
        cv2.imwrite(str(folder / name), picture)
        images.append({"id": index, "file_name": name, "width": 80, "height": 60})
        annotations.append(
            {"id": index, "image_id": index, "category_id": 1 + index % 4, "bbox": [28, 14, 24, 32], **more}
        )
    path = folder / "faces.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": CATEGORIES}))
    return path


# The model


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


def test_logits_stay_where_int8_has_steps_for_them() -> None:
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
    model = face_model.build_face_model(320, 320)
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


@pytest.mark.skipif(not YUNET.exists(), reason="needs YuNet beside the project")
def test_taught_scores_are_of_the_cells_of_this_detector() -> None:
    model = face_model.build_face_model(320, 320)
    face_fit.start_from(f"yunet={YUNET}", model)
    picture = cv2.resize(demo_frame(), (320, 320))
    maps = model.predict_on_batch(np.float32(picture[None, ..., ::-1]) / 127.5 - 1)
    own = np.concatenate([np.ravel(maps[f"score_{stride}"]) for stride in face_model.STRIDES])
    taught = face_distil.DenseScores(YUNET)(picture)
    assert taught.shape == own.shape
    assert taught.max() > 0.7
    assert np.corrcoef(taught, own)[0, 1] > 0.8


@pytest.mark.parametrize("content", [None, b"nothing"])
def test_wrong_teachers_of_scores_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.onnx"
    if content:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"other\.onnx"):
        face_distil.DenseScores(path)


def test_two_scores_become_the_one_they_sum_to() -> None:
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


def test_taught_scores_need_pictures_of_their_size(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--train-size of 320"):
        face.run(arguments(tmp_path / "faces.json", tmp_path / "out", "--distil", "yunet.onnx"))


@pytest.mark.parametrize("content", [None, b"nothing"])
def test_wrong_starts_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.onnx"
    if content:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"other\.onnx"):
        face_fit.start_from(f"yunet={path}", face_model.build_face_model(SIZE, SIZE))


# The loss


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_training_decodes_as_the_device_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = outputs(rng)
    for stride in face_model.STRIDES:
        maps[f"score_{stride}"] = rng.uniform(0.01, 1, maps[f"score_{stride}"].shape).astype(np.float32)
    here = face_loss.flatten(maps, face_loss.cells(SIZE, SIZE))
    there = decode([Tensor(value) for value in maps.values()], Layout(SIZE, SIZE, face_model.STRIDES), 0.005, 1.0, 1000)
    order = np.argsort(-np.asarray(here.scores)[0])
    np.testing.assert_allclose(there.scores, np.asarray(here.scores)[0][order], rtol=1e-6)
    np.testing.assert_allclose(there.boxes, np.asarray(here.boxes)[0][order], rtol=1e-4, atol=1e-3)


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


def test_where_nobody_is_annotated_the_taught_scores_are_right(grid: face_loss.Cells) -> None:
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


# The pictures


@given(seed=st.integers(0, 10_000), zoom=st.booleans())
@settings(max_examples=40, deadline=None)
def test_boxes_follow_scaling_turning_and_flipping(seed: int, zoom: bool) -> None:
    picture = np.zeros((90, 120, 3), np.uint8)
    cv2.ellipse(picture, (70, 40), (15, 20), 0, 0, 360, (255, 255, 255), -1)
    scene = face_augment.Scene(picture, np.float32([[55, 20, 85, 60, face_loss.FACE]]), focus=0)
    placed = face_augment.place(scene, 128, 128, np.random.default_rng(seed), zoom)
    inside = [box for box in placed.boxes if box[4] == face_loss.FACE]
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


def batches(path: Path, seed: int = 1) -> face_data.FaceBatches:
    return face_data.FaceBatches(face_photos.read_photos(path), size=SIZE, batch_size=3, batches=2, seed=seed)


def test_batches_are_reproducible(tmp_path: Path) -> None:
    path = coco(tmp_path)
    one, two = batches(path), batches(path)
    one[1]
    np.testing.assert_array_equal(one[0][0], two[0][0])
    np.testing.assert_array_equal(one[0][1], two[0][1])
    assert np.any(one[0][0] != one[1][0])
    first = two[0][0]
    two.epoch = 1
    assert np.any(first != two[0][0])
    assert np.any(first != batches(path, seed=2)[0][0])


def test_taught_scores_are_of_the_very_picture(tmp_path: Path) -> None:
    photos = face_photos.read_photos(coco(tmp_path))
    taught = face_data.FaceBatches(
        photos, size=SIZE, batch_size=3, batches=2, seed=1, distil=lambda picture: np.float32([picture.mean()])
    )
    images, (boxes, scores) = taught[0]
    assert boxes.shape == (3, face_augment.MAX_FACES, 5)
    np.testing.assert_allclose(scores[:, 0], (images.mean(axis=(1, 2, 3)) + 1) * 127.5, rtol=1e-3)


def test_batches_fit_the_model(tmp_path: Path) -> None:
    images, boxes = batches(coco(tmp_path))[0]
    assert images.shape == (3, SIZE, SIZE, 3)
    assert images.dtype == np.float32
    assert -1 <= images.min() < images.max() <= 1
    assert boxes.shape == (3, face_augment.MAX_FACES, 5)


def test_large_sources_do_not_dominate() -> None:
    nothing, one = np.empty((0, 4), np.float32), np.ones((1, 4), np.float32)
    photos = [face_data.Photo(Path("a"), "large", one, nothing)] * 100
    photos += [face_data.Photo(Path("b"), "small", np.repeat(one, 2, axis=0), nothing)] * 2
    weights = face_data.source_weights(photos)
    assert weights.sum() == pytest.approx(1)
    assert weights[:100].sum() == pytest.approx(10 / 12)


def test_sources_are_drawn_as_asked() -> None:
    nothing, one = np.empty((0, 4), np.float32), np.ones((1, 4), np.float32)
    photos = [face_data.Photo(Path(name), name, one, nothing) for name in ("street", "web")]
    np.testing.assert_allclose(face_data.source_weights(photos, draw={"street": 3.0}), [3 / 4, 1 / 4])
    with pytest.raises(ConfigError, match="--draw names streets, but the sources are street, web"):
        face_data.source_weights(photos, draw={"streets": 3.0})


def test_empty_photos_get_their_share() -> None:
    nothing, one = np.empty((0, 4), np.float32), np.ones((1, 4), np.float32)
    photos = [face_data.Photo(Path("a"), "people", one, nothing)] * 3
    photos += [face_data.Photo(Path("b"), "rooms", nothing, nothing)] * 2
    weights = face_data.source_weights(photos, negatives=0.2)
    np.testing.assert_allclose([weights[:3].sum(), weights[3:].sum()], [0.8, 0.2])


def test_missed_faces_are_drawn_more_often() -> None:
    nothing, two = np.empty((0, 4), np.float32), np.ones((2, 4), np.float32)
    easy = face_data.Photo(Path("a"), "", two, nothing, hardness=np.float32([0, 0]))
    hard = face_data.Photo(Path("b"), "", two, nothing, hardness=np.float32([0.5, 1]))
    assert hard.draws(4).tolist() == [3, 5]
    np.testing.assert_allclose(face_data.source_weights([easy, hard], 4), [1 / 6, 5 / 6])
    np.testing.assert_allclose(face_data.source_weights([easy, hard]), [1 / 2, 1 / 2])


def test_hardness_follows_the_surest_box() -> None:
    boxes = np.float32([(0, 0, 40, 40), (100, 0, 140, 40), (200, 0, 240, 40)])
    found = [Face(BBox(0, 0, 40, 40), 0.9), Face(BBox(1, 0, 41, 40), 0.3), Face(BBox(100, 0, 118, 18), 0.8)]
    found.append(Face(BBox(200, 0, 240, 30), 0.25))
    np.testing.assert_allclose(face_hard.hardness(boxes, found), [0.1, 1, 0.75], rtol=1e-6)


# The data


def test_every_category_is_a_face(tmp_path: Path) -> None:
    photos = face_photos.read_photos(coco(tmp_path / "faces"))
    assert [photo.boxes.tolist() for photo in photos] == [[[28, 14, 52, 46]]] * 6
    crowds = face_photos.read_photos(coco(tmp_path / "crowds", iscrowd=1))
    assert [len(photo.boxes) for photo in crowds] == [0] * 6
    assert [photo.ignore.tolist() for photo in crowds] == [[[28, 14, 52, 46]]] * 6


def test_held_out_photos_never_change(tmp_path: Path) -> None:
    photos = face_photos.read_photos(coco(tmp_path, photos=10))
    rest, held = face_data.hold_out(photos, 0.3, seed=5)
    assert (len(rest), len(held)) == (7, 3)
    assert {photo.path for photo in rest}.isdisjoint(photo.path for photo in held)
    assert [photo.path for photo in face_data.hold_out(photos, 0.3, seed=5)[1]] == [photo.path for photo in held]


@pytest.mark.parametrize("content", [None, "{", "{}", "[]"])
def test_other_files_than_coco_are_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "faces.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"faces\.json"):
        face_photos.read_photos(path)


def test_absent_and_broken_pictures_are_named(tmp_path: Path) -> None:
    path = coco(tmp_path)
    (tmp_path / "images/3.png").write_bytes(b"not a picture")
    with pytest.raises(ConfigError, match=r"3\.png"):
        face_data.read_image(tmp_path / "images/3.png")
    (tmp_path / "images/3.png").unlink()
    with pytest.raises(ConfigError, match=r"3\.png"):
        face_photos.read_photos(path)


def test_wrong_teachers_are_named(tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.onnx"
    teacher.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=r"teacher\.onnx"):
        face_teacher.look([], teacher, tmp_path / "cache.json", print)


def test_the_teacher_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Told:
        looks = 0

        def __init__(self, model: Path) -> None: ...

        def find(self, image: np.ndarray) -> np.ndarray:
            Told.looks += 1
            return np.float32([(20, 10, 40, 50, 0.9)])

    monkeypatch.setattr(face_teacher, "Teacher", Told)
    photos = face_photos.read_photos(coco(tmp_path, photos=1))
    for _ in range(2):
        (found,) = face_teacher.look(photos, tmp_path / "teacher.onnx", tmp_path / "cache.json", print)
        np.testing.assert_allclose(found, [[19, 8, 41, 52, 0.9]], rtol=1e-6)
    assert Told.looks == 1


def test_the_teacher_adds_unannotated_faces() -> None:
    found = np.float32([(2, 2, 52, 62, 0.9), (100, 0, 115, 30, 0.8), (200, 0, 210, 12, 0.5)])
    taught = face_teacher.with_missed(photo((0, 0, 50, 60)), found, face_teacher.YUNET)
    assert taught.boxes.tolist() == [[0, 0, 50, 60], [100, 0, 115, 30]]
    assert taught.ignore.tolist() == [[200, 0, 210, 12]]


def test_the_teacher_respects_ignore_regions() -> None:
    uncertain = replace(photo(), ignore=np.float32([(0, 0, 50, 60)]))
    taught = face_teacher.with_missed(uncertain, np.float32([(2, 2, 52, 62, 0.9)]), face_teacher.FUSED)
    assert taught.boxes.tolist() == []
    assert taught.ignore.tolist() == [[0, 0, 50, 60]]


def test_fused_labels_are_drawn_larger(tmp_path: Path) -> None:
    photos = face_photos.read_photos(coco(tmp_path, photos=1))
    labels = tmp_path / "teachers.json"
    labels.write_text(json.dumps({"photos": {str(photos[0].path.resolve()): [[20, 10, 40, 50, 0.6]]}}))
    (found,) = face_teacher.read_found(photos, labels)
    np.testing.assert_allclose(found, [[19, 8, 41, 52, 0.6]], rtol=1e-6)


@pytest.mark.parametrize("content", ["{", "[]", '{"photos": {}}'])
def test_broken_labels_are_named(tmp_path: Path, content: str) -> None:
    labels = tmp_path / "teachers.json"
    labels.write_text(content)
    with pytest.raises(ConfigError, match=r"teachers\.json"):
        face_teacher.read_found(face_photos.read_photos(coco(tmp_path, photos=1)), labels)


def seen(*rows: tuple[float, ...]) -> np.ndarray:
    return np.float32(rows).reshape(-1, 5)


def test_agreement_gives_the_mean_box() -> None:
    (face,) = face_fuse.fuse({"yunet": seen((10, 10, 50, 60, 0.95)), "0204": seen((14, 10, 54, 60, 1.0))})
    np.testing.assert_allclose(face[:4], [12, 10, 52, 60], atol=0.2)
    assert face[4] > 0.9


def test_disagreement_is_doubt() -> None:
    (face,) = face_fuse.fuse({"yunet": seen((10, 10, 50, 60, 0.95)), "0205": seen()})
    assert 0.42 < face[4] < 0.5


def test_boxes_of_one_detector_stay_apart() -> None:
    pair = seen((0, 0, 40, 40, 0.9), (30, 0, 70, 40, 0.9))
    faces = face_fuse.fuse({"yunet": pair, "centerface": pair})
    np.testing.assert_allclose(np.sort(faces[:, 0]), [0, 30], atol=0.1)


def test_disbelieved_faces_are_left_out() -> None:
    assert face_fuse.fuse({"yunet": seen((10, 10, 50, 60, 0.3)), "0204": seen()}).shape == (0, 5)


def test_unknown_detectors_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert face_fuse.main(["--data", str(coco(tmp_path)), "--detector", "mtcnn=a.onnx"]) == 2
    assert "NAME one of 0204, 0205, yunet, centerface" in capsys.readouterr().err


def test_found_faces_get_the_teachers_box() -> None:
    annotated = photo((10, 10, 30, 40), (100, 100, 120, 130))
    (redrawn,) = face_convention.redraw([annotated], [np.float32([(8, 5, 32, 42), (300, 300, 320, 320)])])
    assert redrawn.boxes.tolist() == [[8, 5, 32, 42], [100, 100, 120, 130]]


def test_missed_faces_change_like_their_source() -> None:
    taller = np.float32([(0, -10, 40, 50)])  # the same centre line, from a fifth above to the same chin
    pairs = [photo((0, 0, 40, 50))] * face_convention.LEAST_PAIRS
    missed, elsewhere = photo((100, 200, 180, 300)), replace(photo((100, 200, 180, 300)), source="another")
    found = [taller] * len(pairs) + [np.empty((0, 4), np.float32)] * 2
    *_, redrawn, untouched = face_convention.redraw([*pairs, missed, elsewhere], found)
    np.testing.assert_allclose(redrawn.boxes, [[100, 180, 180, 300]], atol=0.01)
    assert untouched.boxes.tolist() == elsewhere.boxes.tolist()


def test_the_better_box_is_taken_once() -> None:
    annotated = photo((0, 0, 40, 40), (20, 0, 60, 40))
    (redrawn,) = face_convention.redraw([annotated], [np.float32([(18, 0, 60, 40)])])
    assert redrawn.boxes.tolist() == [[0, 0, 40, 40], [18, 0, 60, 40]]


# The figures


def photo(*boxes: tuple[float, float, float, float]) -> face_data.Photo:
    return face_data.Photo(Path("p"), "", np.float32(boxes).reshape(-1, 4), np.empty((0, 4), np.float32))


def test_recall_is_split_by_size() -> None:
    photos = [photo((0, 0, 50, 60), (100, 0, 115, 30)), photo((0, 0, 25, 25))]
    found = [
        [Face(BBox(2, 2, 52, 62), 0.9), Face(BBox(200, 200, 230, 230), 0.45)],
        [Face(BBox(0, 0, 25, 25), 0.45), Face(BBox(0, 0, 24, 25), 0.44)],
    ]
    figures = face_eval.score(photos, found)
    assert figures["faces"] == {"8_20": 1, "20_40": 1, "40_up": 1}
    assert figures["at_0.4"] == {"recall": {"8_20": 0.0, "20_40": 1.0, "40_up": 1.0}, "unmatched": 1.0}
    assert figures["at_0.5"] == {"recall": {"8_20": 0.0, "20_40": 0.0, "40_up": 1.0}, "unmatched": 0.0}


def test_average_precision_spans_zero_to_one() -> None:
    photos = [photo((0, 0, 50, 60)), photo((10, 10, 40, 40))]
    truth = [[Face(BBox(0, 0, 50, 60), 0.9)], [Face(BBox(10, 10, 40, 40), 0.8)]]
    assert face_eval.precision(photos, truth) == {"ap": 1.0, "ap50": 1.0}
    assert face_eval.precision(photos, [[], []]) == {"ap": 0.0, "ap50": 0.0}


def test_boxes_are_in_picture_pixels() -> None:
    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        maps = {f"score_{s}": np.zeros((len(images), 64 // s, 64 // s, 1), np.float32) for s in face_model.STRIDES}
        maps |= {f"bbox_{s}": np.zeros((len(images), 64 // s, 64 // s, 4), np.float32) for s in face_model.STRIDES}
        maps["score_16"][:, 1, 2] = 0.8
        return maps

    picture = np.zeros((128, 256, 3), np.uint8)
    found = face_eval.detect([picture, picture[:64, :64]], predict, 64, 64)
    assert [faces[0].bbox for faces in found] == [BBox(128, 64, 192, 128), BBox(32, 16, 48, 32)]


# What scores mean


def test_rescaled_scores_keep_their_order() -> None:
    chosen = face_scores.meaning(live=0.62, still=0.43)
    old = np.array([0.3, 0.43, 0.5, 0.62, 0.9])
    new = 1 / (1 + np.exp(-(np.log(old / (1 - old)) * chosen.scale + chosen.shift)))
    np.testing.assert_allclose(new[[1, 3]], [0.4, 0.5])
    assert np.all(np.diff(new) > 0)


def test_thresholds_too_close_are_refused() -> None:
    with pytest.raises(ConfigError, match="train the detector further"):
        face_scores.meaning(live=0.4, still=0.45)


def test_the_lowest_good_score_is_taken() -> None:
    steps = np.array([0.2, 0.4, 0.6, 0.8])
    assert face_scores.lowest(steps, [0.9, 0.3, 0.02, 0.0], 0.02) == 0.6
    with pytest.raises(ConfigError, match="Too many boxes"):
        face_scores.lowest(steps, [0.9, 0.3, 0.2, 0.1], 0.02)


def test_the_detector_says_its_new_scores() -> None:
    model = face_model.build_face_model(SIZE, SIZE)
    picture = np.random.default_rng(0).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)
    before = np.asarray(model(picture)["score_8"])
    face_scores.set_meaning(model, face_scores.Meaning(0.5, 0.25))
    expected = 1 / (1 + np.exp(-(np.log(before / (1 - before)) * 0.5 + 0.25)))
    np.testing.assert_allclose(np.asarray(model(picture)["score_8"]), expected, rtol=1e-4)


# A run


@pytest.fixture
def tiny_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of a few layers in the place of the real one, whose training step takes half a minute to build."""

    def build(width: int, height: int) -> keras.Model:
        image = keras.Input((height, width, 3))
        maps = {}
        for stride in face_model.STRIDES:
            x = keras.layers.AveragePooling2D(stride)(image)
            x = keras.layers.BatchNormalization(name=f"bn_{stride}")(x)
            score = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid", name=f"score_{stride}")
            maps[f"score_{stride}"] = score(x)
            maps[f"bbox_{stride}"] = keras.layers.Conv2D(4, 3, padding="same", name=f"bbox_{stride}")(x)
        return keras.Model(image, maps)

    monkeypatch.setattr(face_fit, "build_face_model", build)


def arguments(path: Path, out: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    face.add_arguments(parser)
    small = ["--size", "64", "64", "--train-size", "64", "--epochs", "2", "--batches", "2", "--batch", "2"]
    fixed = ["--weights", "none", "--data", str(path), "--out", str(out), "--hold-out", "0.3"]
    return parser.parse_args([*fixed, *small, *more])


def stop_after_first_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    choose = face_fit.Run.choose

    def stop(self: face_fit.Run, *rest: Any) -> None:
        choose(self, *rest)
        raise KeyboardInterrupt

    monkeypatch.setattr(face_fit.Run, "choose", stop)


def test_the_average_includes_batch_norm() -> None:
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.BatchNormalization()(inputs))
    average = Average(model)
    model.set_weights([np.full_like(weight, 10) for weight in model.get_weights()])
    before = [weight.copy() for weight in average.weights]
    average.update()
    for start, weight in zip(before, average.weights, strict=True):
        np.testing.assert_allclose(weight, start + (10 - start) * 9 / 11, rtol=1e-6)
    for _ in range(2000):
        average.update()
    np.testing.assert_allclose(np.concatenate(average.weights), 10, rtol=0.05)


def test_saved_averages_continue(tmp_path: Path) -> None:
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.BatchNormalization()(inputs))
    one, other = Average(model), Average(model)
    model.set_weights([weight + 3 for weight in model.get_weights()])
    one.update()
    one.save(tmp_path / "average.npz")
    other.load(tmp_path / "average.npz")
    for average in (one, other):
        average.update()
    np.testing.assert_array_equal(np.concatenate(one.weights), np.concatenate(other.weights))
    with pytest.raises(ConfigError, match=r"absent\.npz"):
        other.load(tmp_path / "absent.npz")


def test_deeper_models_inherit_trained_weights(tmp_path: Path) -> None:
    def chain(*layers: keras.layers.Layer) -> keras.Model:
        inputs = keras.Input((8, 8, 3))
        return keras.Model(inputs, keras.Sequential(list(layers))(inputs)).layers[-1]

    def convolution(name: str, channels: int = 3) -> keras.layers.Layer:
        return keras.layers.Conv2D(channels, 1, name=name)

    trained, deeper = chain(convolution("shared")), chain(convolution("shared"), convolution("new"))
    trained.save(tmp_path / "trained.keras")
    own = deeper.get_layer("new").get_weights()[0]
    face_fit.adopt(tmp_path / "trained.keras", deeper)
    np.testing.assert_array_equal(deeper.get_layer("shared").get_weights()[0], trained.get_weights()[0])
    np.testing.assert_array_equal(deeper.get_layer("new").get_weights()[0], own)
    with pytest.raises(ConfigError, match="of another network"):
        face_fit.adopt(tmp_path / "trained.keras", chain(convolution("shared", channels=5)))


@pytest.mark.usefixtures("tiny_model")
def test_hard_faces_are_weighed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = coco(tmp_path), tmp_path / "out"
    assert face.run(arguments(path, tmp_path / "first")) == 0
    hard = ["--weights", str(tmp_path / "first/face.keras"), "--seek-hard", "3", "--epochs", "1"]
    assert face.run(arguments(path, out, *hard)) == 0
    assert "4 of 4 photos seen" in capsys.readouterr().out
    weighed = json.loads((out / "hardness.json").read_text())
    assert [len(row) for row in weighed.values()] == [1] * 4
    assert face.run(arguments(path, out, *hard, "--resume")) == 0
    assert "photos seen" not in capsys.readouterr().out


@pytest.mark.usefixtures("tiny_model")
def test_resumed_runs_end_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = coco(tmp_path)
    others = coco(tmp_path / "others", seed=1)
    assert face.run(arguments(path, tmp_path / "whole", "--validation", str(others))) == 0
    with monkeypatch.context() as patch:
        stop_after_first_epoch(patch)
        with pytest.raises(KeyboardInterrupt):
            face.run(arguments(path, tmp_path / "halves"))
    assert face.run(arguments(path, tmp_path / "halves", "--resume")) == 0

    whole, halves = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("whole", "halves"))
    assert [row["epoch"] for row in halves["history"]] == [1, 2]
    for row, other in some(zip(whole["history"], halves["history"], strict=True)):
        assert row["learning_rate"] == pytest.approx(other["learning_rate"])
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-3)
    assert whole["validation"]["photos"] == 6
    assert whole["seed"] == 7
    assert whole["seconds"] > 0
    model = keras.models.load_model(tmp_path / "whole/face.keras", compile=False)
    assert model.input_shape == (None, 64, 64, 3)
    assert (tmp_path / "whole/curves_loss.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--resume"], "Nothing to resume"),
        (["--epochs", "0"], "--epochs is 0"),
        (["--hold-out", "1"], "--hold-out"),
        (["--learning-rate", "0"], "--learning-rate"),
        (["--seek-hard", "4"], "--weights it looks with"),
        (["--draw", "street_masks"], "give a source and a number above 0"),
        (["--draw", "street_masks=-1"], "give a source and a number above 0"),
        (["--train-size", "100"], "multiples of 32"),
    ],
)
def test_impossible_options_are_refused(tmp_path: Path, more: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        face.run(arguments(coco(tmp_path), tmp_path / "out", *more))


def test_runs_keep_their_settings(tmp_path: Path) -> None:
    path, out = coco(tmp_path), tmp_path / "out"
    (out / "backup").mkdir(parents=True)
    (out / "metrics.json").write_text(json.dumps({"settings": {"seed": 7}}))
    with pytest.raises(ConfigError, match="--resume"):
        face.run(arguments(path, out))
    with pytest.raises(ConfigError, match=r"another .*epochs.* repeat its options"):
        face.run(arguments(path, out, "--resume"))


def test_the_shipped_face_model_is_the_default_start(tmp_path: Path) -> None:
    args = argparse.ArgumentParser()
    face.add_arguments(args)
    out = tmp_path / "out"
    short = ["--epochs", "1", "--batches", "1", "--batch", "2", "--train-size", "64", "--size", "64", "64"]
    assert face.run(args.parse_args([str(coco(tmp_path / "door", photos=10)), "--out", str(out), *short])) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["start"]["model"] == "the shipped face model of maskgate"
    assert metrics["settings"]["learning_rate"] == 3e-4
    for name in ("dataset.jpg", "augmented.jpg"):
        assert cv2.imread(str(out / name)) is not None
    learned, held = face_photos.read_split(out / "split.json")
    assert (len(learned), len(held)) == (8, 2)


def test_photos_without_boxes_teach_no_detector(tmp_path: Path) -> None:
    coco(tmp_path / "with_mask", photos=2)
    with pytest.raises(ConfigError, match="has a face without a box, and a detector learns from boxes"):
        (tmp_path / "list.csv").write_text("file,label\nwith_mask/images/0.png,with_mask\n")
        face_photos.read_photos(tmp_path / "list.csv")

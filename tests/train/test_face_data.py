"""What the training of the face detector reads, draws and learns from a teacher."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.values import BBox, Face, Image
from tests.train.face_photos import SIZE, arguments, coco, photo
from train.common.dataset import FaceNames
from train.face import augment as face_augment
from train.face import command as face
from train.face import data as face_data
from train.face import hard as face_hard
from train.face import photos as face_photos
from train.face import teacher as face_teacher
from train.face.batches import FaceBatches
from train.face.loss import FACE
from train.face.preview import COLOURS, draw_preview


def test_taught_scores_need_their_size(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--train-size of 320"):
        face.run(arguments(tmp_path / "faces.json", tmp_path / "out", "--distil", "yunet.onnx"))


Scores = Callable[[Image], NDArray[np.float32]]


def batches(path: Path, seed: int = 1) -> FaceBatches:
    return FaceBatches(face_photos.read_photos(path), size=SIZE, batch_size=3, batches=2, seed=seed)


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


def test_taught_scores_follow_the_picture(tmp_path: Path) -> None:
    photos = face_photos.read_photos(coco(tmp_path))
    taught = FaceBatches(
        photos, size=SIZE, batch_size=3, batches=2, seed=1, distil=lambda picture: np.float32([picture.mean()])
    )
    images, (boxes, scores) = taught[0]
    assert boxes.shape == (3, face_augment.MAX_FACES, 5)
    np.testing.assert_allclose(scores[:, 0], (images.mean(axis=(1, 2, 3)) + 1) * 127.5, rtol=1e-3)


@pytest.mark.parametrize("distil", [None, lambda picture: np.float32([picture.mean()])], ids=["boxes", "scores, too"])
def test_previews_show_what_training_draws(
    tmp_path: Path, distil: Callable[[Image], NDArray[np.float32]] | None
) -> None:
    photos = face_photos.read_photos(coco(tmp_path))
    draw_preview(
        tmp_path / "augmented.jpg",
        FaceBatches(photos, size=SIZE, batch_size=3, batches=2, seed=1, distil=distil),
    )
    sheet = cv2.imread(str(tmp_path / "augmented.jpg"))
    assert np.any(np.all(np.abs(sheet.astype(int) - COLOURS[FACE]) < 60, axis=2)), "no box of a face"


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


def test_an_earlier_split_is_kept(tmp_path: Path) -> None:
    def run(name: str, data: Path, seed: int, keep: Path | None = None) -> face_data.Faces:
        out = tmp_path / name
        out.mkdir()
        return face_photos.gather([data], [], fraction=0.2, seed=seed, out=out, names=FaceNames(), keep=keep)

    everything = coco(tmp_path, photos=40)
    described = json.loads(everything.read_text("utf-8"))
    half = tmp_path / "half.json"
    first_ones = {part: described[part][:20] for part in ("images", "annotations")}
    half.write_text(json.dumps({**described, **first_ones}), "utf-8")
    first = run("first", half, seed=1)
    later = run("later", everything, seed=2, keep=tmp_path / "first" / face_photos.SPLIT_FILE)
    held, learned = ({photo.path for photo in part} for part in (first.held_out, first.training))
    assert held < {photo.path for photo in later.held_out}
    assert learned < {photo.path for photo in later.training}
    assert len(later.held_out) == len(held) + 4


@pytest.mark.parametrize("content", [None, "{", "{}", "[]"])
def test_other_files_than_coco_are_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "faces.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"faces\.json"):
        face_photos.read_photos(path)


def test_photos_without_any_face_are_refused(tmp_path: Path) -> None:
    images = [{"id": number, "file_name": f"{number}.png"} for number in range(4)]
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 255, (40, 60, 3), np.uint8)
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), noise)
    file = tmp_path / "faces.json"
    file.write_text(json.dumps({"images": images, "annotations": [], "categories": []}), "utf-8")
    with pytest.raises(ConfigError, match=r"no box of a face on \d photos to learn from; check that the annotations"):
        face_photos.gather([file], [], fraction=0.25, seed=1, out=tmp_path, names=FaceNames())


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


def test_thorough_annotators_overrule_the_teacher() -> None:
    found = np.float32([(100, 0, 115, 30, 0.8), (200, 0, 210, 12, 0.5)])
    (taught,) = face_teacher.teach([photo((0, 0, 50, 60))], [found], face_teacher.YUNET, [photo().source])
    assert taught.boxes.tolist() == [[0, 0, 50, 60]]
    assert taught.ignore.tolist() == [[100, 0, 115, 30]]


def test_unknown_thorough_sources_are_refused(tmp_path: Path) -> None:
    coco(tmp_path)
    with pytest.raises(ConfigError, match="--thorough names elsewhere, but the sources are "):
        face.run(arguments(tmp_path / "faces.json", tmp_path / "out", "--thorough", "elsewhere"))


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

"""Labels of several detectors, figures, and what the scores of a face detector mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.values import BBox, Face
from tests.train.face_photos import SIZE, coco, photo
from train.face import convention as face_convention
from train.face import figures as face_eval
from train.face import fuse as face_fuse
from train.face import model as face_model
from train.face import scores as face_scores


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

"""The ablation: faces are degraded as told, all classes alike, and alarms are counted by class before and after."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.values import BBox, Face, Frame, Image, Reading
from edge.vision.pipeline import Pipeline
from tests.nonempty import some
from train.evaluate import degrade
from train.evaluate.degrade import CHANGES, SMALL_SIDE, alarms, around, blurred, compressed, shrunk
from train.evaluate.measure import Share
from train.evaluate.photos import Photo, Truth

NOISE = np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8)


class ReadsSharpness:
    """Takes whatever is sharp for masked: the shortcut that the ablation is there to show.

    Attributes:
        found: What it finds in any picture.
        asked: The faces that it was last asked to judge.
    """

    def __init__(self, *found: Face) -> None:
        self.found = list(found)
        self.asked: Sequence[Face] = ()

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        return self.found

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        self.asked = faces
        sharp = cv2.Laplacian(image, cv2.CV_64F).var() > 5000
        return [Reading(face, (1.0, 0.0, 0.0) if sharp else (0.0, 1.0, 0.0)) for face in faces]


def pipeline() -> Pipeline:
    model = ReadsSharpness()
    return Pipeline(model, model, 0.5)


def photo(folder: Path, *truths: Truth) -> Photo:
    path = folder / "0.png"
    cv2.imwrite(str(path), NOISE)
    return Photo(path, "", truths)


@pytest.mark.parametrize("change", [change for change in CHANGES.values() if change])
def test_changes_remove_detail_only(change: degrade.Change) -> None:
    changed = change(NOISE, 80)
    assert changed.shape == NOISE.shape
    assert changed.dtype == np.uint8
    assert cv2.Laplacian(changed, cv2.CV_64F).var() < cv2.Laplacian(NOISE, cv2.CV_64F).var()


def test_small_faces_are_not_scaled() -> None:
    assert np.array_equal(shrunk(NOISE, SMALL_SIDE), NOISE)


def test_blur_grows_with_the_face() -> None:
    assert blurred(NOISE, 200).std() < blurred(NOISE, 50).std()


def test_jpeg_does_not_depend_on_size() -> None:
    assert np.array_equal(compressed(NOISE, 40), compressed(NOISE, 80))


def test_edge_faces_keep_their_place() -> None:
    bbox = BBox(0, 40, 50, 90)
    cut, inside = around(NOISE, bbox)
    assert np.array_equal(cut[int(inside.y0) : int(inside.y1), int(inside.x0) : int(inside.x1)], NOISE[40:90, 0:50])


def test_models_that_read_sharpness_are_exposed(tmp_path: Path) -> None:
    shown = photo(tmp_path, Truth(BBox(0, 0, 60, 60), "with_mask"), Truth(BBox(70, 0, 130, 60), "without_mask"))
    measured = alarms([shown], pipeline())
    assert measured["as it is"]["with_mask"] == Share(0, 1)
    assert measured["all three"]["with_mask"] == Share(1, 1)
    assert measured["as it is"]["mask_worn_incorrectly"] == Share(0, 0)


def test_faces_are_cut_as_detected(tmp_path: Path) -> None:
    shown = photo(tmp_path, Truth(BBox(10, 10, 60, 60), "with_mask"))
    for found, side in ((Face(BBox(12, 4, 66, 58), 0.9), 54.0), (Face(BBox(90, 60, 150, 120), 0.9), 55.0)):
        model = ReadsSharpness(found)
        alarms([shown], Pipeline(model, model, 0.5))
        (judged,) = model.asked
        assert judged.bbox.short_side == pytest.approx(side)


def test_far_and_unknown_faces_are_skipped(tmp_path: Path) -> None:
    shown = photo(tmp_path, Truth(BBox(0, 0, 60, 60), "face"), Truth(BBox(70, 0, 109, 60), "with_mask"))
    assert all(share == Share(0, 0) for row in some(alarms([shown], pipeline()).values()) for share in row.values())


def test_the_command_prints_every_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(tmp_path)
    content = {
        "images": [{"id": 1, "file_name": "0.png"}],
        "categories": [{"id": 1, "name": "with_mask"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 60, 60]}],
    }
    (tmp_path / "val.json").write_text(json.dumps(content))
    monkeypatch.setattr(degrade, "load_pipeline", lambda settings, threshold, max_faces: pipeline())
    report = tmp_path / "report.json"
    assert degrade.main(["--data", str(tmp_path), "--json", str(report)]) == 0
    printed = capsys.readouterr().out
    assert "| as it is | none | 0.0% (0 of 1) | none |" in printed
    assert "| all three | none | 100.0% (1 of 1) | none |" in printed
    assert json.loads(report.read_text())["alarms"]["all three"]["with_mask"] == {"hits": 1, "total": 1}


def test_a_wrong_path_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert degrade.main(["--data", str(tmp_path / "nowhere.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1

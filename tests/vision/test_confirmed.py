"""Faces that the face model doubts are looked at again by a second, small model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import ModelError
from edge.runtime import Tensor, TensorSpec
from edge.values import BBox, Face, Frame
from edge.vision.confirmed import Confirmation, ConfirmedDetector
from edge.vision.face_detector import Detector
from edge.vision.models import SHIPPED_MANIFEST, ConfirmEntry, load_confirmation

FRAME = Frame.still(np.zeros((100, 400, 3), np.uint8))
RULE = {"doubtful_from": 0.3, "doubtful_to": 0.6, "face": 1.0, "confirm": 1.0, "bias": 0.0}


def entry(**changes: Any) -> ConfirmEntry:
    fields = {
        "task": "face-confirmation",
        "file": "c.tflite",
        "sha256": "0" * 64,
        "face_sha256": "0" * 64,
        "input": {"width": 64, "height": 64},
        "labels": ["face"],
        "margin": 0.4,
        "rule": RULE,
        "training": "none",
        "data": [],
        "figures": {},
        "card": "c.md",
    }
    return ConfirmEntry.model_validate(fields | changes)


class Finds(Detector):
    """Finds faces of given scores, side by side, and remembers the threshold it was asked for."""

    def __init__(self, *scores: float) -> None:
        self.threshold = 1.0
        self._faces = [Face(BBox(10.0 + 3 * n, 20, 40 + 3 * n, 60), score) for n, score in enumerate(scores)]

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        del frame
        self.threshold = threshold
        return [face for face in self._faces if face.score >= threshold]


class Says:
    """A model that gives probabilities in turn, and counts how often it is asked."""

    runtime = "told"

    def __init__(self, *answers: float, outputs: Sequence[tuple[int, ...]] = ((1, 1),)) -> None:
        self.input = TensorSpec("image", (1, 64, 64, 3), np.dtype(np.float32))
        self.outputs = tuple(TensorSpec(f"out_{n}", shape, np.dtype(np.float32)) for n, shape in enumerate(outputs))
        self.asked = 0
        self._answers = answers

    def invoke(self, _: Any) -> list[Tensor]:
        self.asked += 1
        return [Tensor(np.array([[self._answers[(self.asked - 1) % len(self._answers)]]], np.float32))]


def scores(detector: Finds, model: Says, threshold: float = 0.5, **rule: float) -> list[float]:
    confirming = entry(rule={**RULE, **rule})
    looks = ConfirmedDetector(detector, Confirmation(model, confirming), confirming)
    return [round(face.score, 2) for face in looks.detect(FRAME, threshold)]


def test_only_doubtful_faces_are_looked_at_again() -> None:
    model = Says(0.9)
    assert scores(Finds(0.95, 0.6, 0.5, 0.3, 0.29), model) == [0.95, 0.9, 0.79, 0.6]
    assert model.asked == 2


def test_what_looks_like_no_face_is_dropped() -> None:
    assert scores(Finds(0.7, 0.55), Says(0.05)) == [0.7]


def test_a_face_below_the_threshold_can_be_confirmed() -> None:
    detector = Finds(0.4)
    assert scores(detector, Says(0.8), threshold=0.5) == [0.73]
    assert detector.threshold == 0.3


def test_what_cannot_reach_the_threshold_is_not_looked_at() -> None:
    model = Says(0.9)
    assert scores(Finds(0.45, 0.31), model, confirm=0.2) == [0.56]
    assert model.asked == 1


def test_lower_thresholds_reach_the_face_model() -> None:
    detector = Finds(0.2, 0.1)
    assert scores(detector, Says(0.9), threshold=0.05) == [0.2, 0.1]
    assert detector.threshold == 0.05


def test_the_second_look_never_decides_alone() -> None:
    assert scores(Finds(0.5), Says(1.0)) == [0.92]
    assert scores(Finds(0.5), Says(0.0), threshold=0.005) == [0.08]


def test_weights_and_bias_make_the_score() -> None:
    assert scores(Finds(0.5), Says(0.5), threshold=0.01, bias=-1.0) == [0.27]
    assert scores(Finds(0.5), Says(0.9), threshold=0.01, confirm=0.5) == [0.75]


def test_extreme_rules_end_in_scores() -> None:
    assert scores(Finds(0.5), Says(0.5), bias=1e300) == [1.0]
    assert scores(Finds(0.5), Says(0.5), bias=-1e300) == []


def test_the_best_face_comes_first() -> None:
    assert scores(Finds(0.65, 0.5, 0.45), Says(0.5, 0.9)) == [0.88, 0.65, 0.5]


def test_the_input_size_is_the_face_models() -> None:
    assert ConfirmedDetector(Finds(), Confirmation(Says(0.5), entry()), entry()).input_size(640, 480) == (640, 480)


@pytest.mark.parametrize(
    ("model", "changes", "words"),
    [
        (Says(0.5, outputs=[(1, 3)]), {}, "instead of one probability"),
        (Says(0.5), {"input": {"width": 64, "height": 48}}, "a square is needed"),
    ],
)
def test_another_model_is_refused(model: Says, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Confirmation(model, entry(**changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A face model of one's own, with the model that confirms it."""
    said = json.loads(SHIPPED_MANIFEST.read_text("utf-8"))["models"]
    (tmp_path / "manifest.json").write_text(
        json.dumps({"version": 1, "models": {name: said[name] for name in ("face", "confirm")}})
    )
    for name in ("face.tflite", "confirm.tflite"):
        shutil.copy(SHIPPED_MANIFEST.with_name(name), tmp_path)
    return tmp_path


def change(folder: Path, model: str, **fields: Any) -> None:
    manifest = folder / "manifest.json"
    said = json.loads(manifest.read_text("utf-8"))
    said["models"][model] |= fields
    manifest.write_text(json.dumps(said))


def test_ones_own_pair_is_found(folder: Path) -> None:
    found = load_confirmation(f"{folder}/")
    assert found is not None
    assert (found.path, found.title) == (folder / "confirm.tflite", "confirm, your own")


def test_nobody_has_to_confirm(folder: Path) -> None:
    change(folder, "face", confirmed_by=None)
    assert load_confirmation(f"{folder}/") is None


@pytest.mark.parametrize("fault", ["absent", "altered"])
def test_a_damaged_confirmation_is_refused(folder: Path, fault: str) -> None:
    if fault == "absent":
        (folder / "confirm.tflite").unlink()
    else:
        (folder / "confirm.tflite").write_bytes(b"other")
    with pytest.raises(
        ModelError, match=r"confirm\.tflite .*convert the model again\. The model 'face' is confirmed by"
    ):
        load_confirmation(f"{folder}/")


def test_who_asked_for_an_unknown_model_is_said(folder: Path) -> None:
    change(folder, "face", confirmed_by="other")
    with pytest.raises(ModelError, match=r"There is no model 'other' in .* The model 'face' is confirmed by it\."):
        load_confirmation(f"{folder}/")


def test_the_rule_is_for_one_face_model(folder: Path) -> None:
    change(folder, "confirm", face_sha256="0" * 64)
    with pytest.raises(ModelError, match=r"confirm\.tflite was made for another face model than face\.tflite"):
        load_confirmation(f"{folder}/")

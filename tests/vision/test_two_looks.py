"""A small mask model that judges first, and a larger one that is asked where the small one is unsure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.__main__ import main
from edge import config
from edge.config import MaskSettings
from edge.errors import ModelError
from edge.runtime import Tensor, TensorSpec
from edge.values import LABELS, BBox, Face, Label
from edge.vision.mask_classifier import MaskClassifier
from edge.vision.models import SHIPPED_MANIFEST, FirstLook, MaskEntry, find_entry, load_first_look, load_model
from edge.vision.pipeline import load_pipeline
from edge.vision.two_looks import TwoLooks

IMAGE = np.zeros((60, 200, 3), np.uint8)
SURE = FirstLook(model="small", sure_below=0.05, sure_above=0.95)


class Told:
    """A model that gives probabilities of a mask in turn, and counts how often it is asked."""

    runtime = "told"

    def __init__(self, *masked: float) -> None:
        self.input = TensorSpec("image", (1, 96, 96, 3), np.dtype(np.float32))
        self.outputs: tuple[TensorSpec, ...] = (TensorSpec("probabilities", (1, 3), np.dtype(np.float32)),)
        self.asked = 0
        self._masked = masked

    def invoke(self, _: Any) -> list[Tensor]:
        masked = self._masked[self.asked]
        self.asked += 1
        return [Tensor(np.array([[masked, 1 - masked, 0]], np.float32))]


def faces(count: int) -> list[Face]:
    return [Face(BBox(10 + 30 * n, 10, 35 + 30 * n, 40), 0.9) for n in range(count)]


def both(first: Told, second: Told, alarm_below: float | None = None) -> TwoLooks:
    small, large = (MaskClassifier(model, find_entry("mask-small", MaskEntry)) for model in (first, second))
    return TwoLooks(small, large, SURE, alarm_below)


def masked(looks: TwoLooks, count: int) -> list[float]:
    readings = looks.classify(IMAGE, faces(count))
    assert [reading.face for reading in readings] == faces(count)
    return [round(reading.probabilities[LABELS.index(Label.WITH_MASK)], 2) for reading in readings]


def test_only_unsure_faces_are_judged_again() -> None:
    first, second = Told(0.99, 0.6, 0.01, 0.2), Told(0.3, 0.4)
    assert masked(both(first, second), 4) == [0.99, 0.3, 0.01, 0.4]
    assert (first.asked, second.asked) == (4, 2)


@pytest.mark.parametrize(("threshold", "again"), [(0.5, 0), (0.985, 1), (0.015, 1)])
def test_near_the_threshold_nothing_is_sure(threshold: float, again: int) -> None:
    first, second = Told(0.98, 0.02), Told(0.9, 0.9)
    masked(both(first, second, threshold), 2)
    assert second.asked == again


def test_one_threshold_holds_for_both_looks() -> None:
    looks = both(Told(0.97, 0.6, 0.97, 0.6), Told(0.7, 0.7, 0.7))
    assert [reading.alarm_below for reading in looks.classify(IMAGE, faces(2))] == [0.5, 0.5]
    looks.configure(0.8)
    assert [reading.alarm_below for reading in looks.classify(IMAGE, faces(2))] == [0.8, 0.8]


def test_shipped_models_have_first_looks() -> None:
    first = load_first_look("mask")
    assert first is not None
    assert first.name == "mask-small"
    assert load_first_look("mask-small") is None


def test_settings_reach_the_shipped_pair() -> None:
    pipeline = load_pipeline(config.load().config)
    pipeline.configure(MaskSettings(alarm_below=0.8))
    assert [reading.alarm_below for reading in pipeline.judge(IMAGE, faces(1))] == [0.8]


def test_an_altered_first_look_is_refused(tmp_path: Path) -> None:
    shipped = shutil.copytree(SHIPPED_MANIFEST.parent, tmp_path / "models")
    (shipped / "mask-small.tflite").write_bytes(b"something else")
    chosen = config.load(overrides={"mask.model": f"{shipped}/manifest.json#mask"}).config
    with pytest.raises(ModelError, match=r"mask-small\.tflite is not the one in its manifest"):
        load_pipeline(chosen)


class TestPublishing:
    def test_first_looks_are_published_together(self, tmp_path: Path) -> None:
        source, target = SHIPPED_MANIFEST.parent, tmp_path / "models"
        for command in (["mask-small"], ["mask", "--first-look", "mask-small"]):
            assert main(["publish", *command, "--from", str(source), "--to", str(target)]) == 0
        first = load_first_look(f"{target}/manifest.json#mask")
        assert first is not None
        assert first.content == load_model("mask-small", MaskEntry).content
        entry = json.loads((target / "manifest.json").read_text())["models"]["mask"]
        assert entry["first_look"] == {"model": "mask-small", "sure_below": 0.05, "sure_above": 0.95}

    @pytest.mark.parametrize("names", [["face"], ["face", "mask"], ["mask-small"]])
    def test_one_larger_model_has_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], names: list[str]
    ) -> None:
        source, target = SHIPPED_MANIFEST.parent, str(tmp_path / "models")
        assert main(["publish", "mask-small", "--from", str(source), "--to", target]) == 0
        arguments = ["publish", *names, "--first-look", "mask-small", "--from", str(source), "--to", target]
        assert main(arguments) == 2
        assert "name the one larger mask model to publish" in capsys.readouterr().err

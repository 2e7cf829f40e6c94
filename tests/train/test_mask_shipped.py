"""Training that begins from the shipped model: nothing is downloaded, and nothing that it knows is lost."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert import provenance, tables
from edge.errors import ConfigError
from edge.runtime import open_model
from edge.values import LABELS, Label
from edge.vision.model_input import ModelInput
from edge.vision.models import MaskEntry, load_model, read_manifest
from edge.vision.preprocess import normalise
from train.__main__ import main
from train.common.start_models import MASK, YUNET
from train.mask.kept import MOST_KEPT, Kept
from train.mask.locate import YuNet
from train.mask.start import settled_of
from train.mask.views import Deck

BADLY = LABELS.index(Label.MASK_WORN_INCORRECTLY)


def pictures(count: int, side: int = 128) -> np.ndarray:
    rng = np.random.default_rng(1)
    coarse = [rng.integers(0, 256, (6, 6, 3), np.uint8) for _ in range(count)]
    return np.stack([cv2.resize(each, (side, side), interpolation=cv2.INTER_CUBIC) for each in coarse])


class Answers:
    """Stands for a start model that gives the same probabilities for every view."""

    def __init__(self, *probabilities: float) -> None:
        self._row = np.array(probabilities, np.float32)

    def predict_on_batch(self, inputs: np.ndarray) -> np.ndarray:
        return np.tile(self._row, (len(inputs), 1))


def test_the_float_mask_model_is_shipped() -> None:
    import keras

    shipped = load_model("mask", MaskEntry)
    side = shipped.entry.input.width
    device = open_model(shipped.content)
    prepare = ModelInput(device.input, side, side)
    views = pictures(8, side)
    told = np.array([device.invoke(prepare(view))[0].real(0) for view in views])
    float_model = keras.models.load_model(MASK, compile=False)
    given = np.asarray(float_model.predict_on_batch(normalise(views)))
    assert np.abs(given - told).max() < 0.1, f"copy the run that made mask.tflite to {MASK.parent}"
    kept = provenance.read_metrics(MASK.with_name("metrics.json"), "command", "door_ratios")
    assert provenance.training_figures(kept) == read_manifest().models["mask"].figures["training"][-1]


def test_starts_leave_their_door_behind() -> None:
    import keras

    from train.mask.model import classifier, for_door
    from train.mask.start import adopt

    views = normalise(pictures(4))
    model = classifier(128, 1.0, "none", len(LABELS), 0.3)
    adopt(model, MASK, views)
    told = json.loads(MASK.with_name("metrics.json").read_text())
    temperature = told["history"][told["kept_epoch"] - 1]["held_out_temperature"]
    again = for_door(model, np.log(told["door_ratios"]).tolist(), temperature)
    shipped = keras.models.load_model(MASK, compile=False)
    np.testing.assert_allclose(again.predict_on_batch(views), shipped.predict_on_batch(views), atol=1e-4)


def test_few_photos_train_the_shipped_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label in (Label.WITH_MASK, Label.WITHOUT_MASK):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number, view in enumerate(pictures(16, 64)[:: 1 if label is Label.WITH_MASK else -1]):
            cv2.imwrite(str(tmp_path / "photos" / label / f"{number}.png"), view // (1 + (label is Label.WITH_MASK)))
    short = ["--epochs", "1", "--faces", "4", "--batch", "4", "--workers", "1", "--train-from", "block_16"]
    assert main(["mask", str(tmp_path / "photos"), "--out", str(tmp_path / "run"), *short]) == 0
    said = capsys.readouterr().out
    assert "mask_worn_incorrectly: no example to learn from" in said
    assert "what the start model knows of it is kept" in said
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["settings"]["start_from"] == "shipped"
    temperature, threshold, _ = settled_of(MASK)
    kept = f"the start model's temperature {temperature:g} and alarm threshold {threshold:g} are kept"
    assert [row["held_out_temperature"] for row in metrics["history"]] == [temperature]
    assert kept in said
    assert metrics["alarm_below"] == threshold
    assert metrics["uncalibrated"].endswith(kept)
    assert metrics["uncalibrated"] in tables.training_tables([provenance.training_figures(metrics)])


def test_classes_without_examples_keep_answers() -> None:
    targets = np.eye(3, dtype=np.float32)[[0, 1]]
    kept = Kept(Answers(0.7, 0.1, 0.2), [Label.MASK_WORN_INCORRECTLY])(np.zeros((2, 8, 8, 3), np.float32), targets)
    np.testing.assert_allclose(kept, [[0.8, 0, 0.2], [0, 0.8, 0.2]], atol=1e-6)


def test_labels_outweigh_a_wrong_start() -> None:
    targets = np.eye(3, dtype=np.float32)[[0]]
    kept = Kept(Answers(0.02, 0.03, 0.95), [Label.MASK_WORN_INCORRECTLY])(np.zeros((1, 8, 8, 3), np.float32), targets)
    assert kept[0, BADLY] == pytest.approx(MOST_KEPT)
    assert kept[0].argmax() == 0


def test_decks_name_missing_classes() -> None:
    assert Deck([], LABELS).absent == list(LABELS)


def test_the_projects_own_landmarks_are_found() -> None:
    assert YuNet(YUNET).find(np.zeros((64, 64, 3), np.uint8)) == []
    assert "MIT License" in (YUNET.parent / "LICENSE.txt").read_text()


def test_offline_imagenet_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.mask.model import backbone

    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with (
        pytest.warns(UserWarning),
        pytest.raises(ConfigError, match=r"cannot be downloaded: .*leave --weights out") as told,
    ):
        backbone(32, 0.35, "imagenet")
    assert "\n" not in str(told.value)

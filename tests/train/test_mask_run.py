"""What a run of the mask stage keeps and says besides its model."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from convert import provenance, tables
from edge.errors import ConfigError
from edge.values import LABELS, Label
from tests.train.mask_photos import FAST, folders, sample
from train.__main__ import main
from train.common.scalars import Scalars
from train.mask import door, gallery

SHORT = ["--faces", "8", "--members", "1", "--warmup-epochs", "0", "--train-from", "block_16"]


@pytest.fixture
def in_16_bits() -> Iterator[None]:
    keras = pytest.importorskip("keras")
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


def held(*counts: int) -> list:  # type: ignore[type-arg]
    return [sample(f"{label}{n}", label) for label, count in zip(LABELS, counts, strict=True) for n in range(count)]


class TestCalibration:
    def test_too_few_faces_say_how_many(self) -> None:
        why = door.uncalibrated(held(40, 29, 0), set(LABELS))
        assert why == "too few held-out faces (without_mask 29, mask_worn_incorrectly 0; it takes 30 of each class)"

    def test_untrained_classes_need_no_faces(self) -> None:
        assert door.uncalibrated(held(40, 30, 0), {Label.WITH_MASK, Label.WITHOUT_MASK}) == ""

    def test_no_calibration_changes_no_answer(self) -> None:
        faces = held(20, 20, 20)
        truth = np.repeat(np.arange(3), 20)
        unsure = np.full((60, 3), 0.25) + 0.25 * np.eye(3)[truth]
        fitted, left = (door.settle(unsure, faces, {}, calibrate) for calibrate in (True, False))
        assert fitted.temperature < 1
        assert (left.temperature, left.alarm_below) == (1.0, 0.5)

    def test_the_starts_settings_stay(self) -> None:
        faces = held(20, 20, 20)
        unsure = np.full((60, 3), 0.25) + 0.25 * np.eye(3)[np.repeat(np.arange(3), 20)]
        kept = door.settle(unsure, faces, {}, calibrate=False, started=door.Settled(0.5, 0.35))
        assert kept.found is not None
        assert (kept.temperature, kept.alarm_below, kept.found["temperature"]) == (0.5, 0.35, 0.5)
        assert kept.found["balanced_loss"] == pytest.approx(-np.log(0.5**2 / (0.5**2 + 2 * 0.25**2)), abs=1e-3)
        assert door.settle(unsure, [], {}, calibrate=False, started=door.Settled(0.5, 0.35)) == door.Settled(0.5, 0.35)

    def test_few_easy_faces_make_nothing_surer(self) -> None:
        faces = held(30, 30, 0)
        right = np.where(np.eye(3)[np.repeat(np.arange(2), 30)] == 1, 0.9, 0.05)
        doubtful = np.where(right == 0.9, 0.3, 0.35)
        fitted, kept, lower = (
            door.settle(answers, faces, {}, calibrate=True, started=door.Settled(0.8), surer=surer).temperature
            for answers, surer in ((right, True), (right, False), (doubtful, False))
        )
        assert fitted < 0.8
        assert kept == 0.8
        assert lower > 0.8

    def test_the_starts_threshold_decides(self) -> None:
        faces = held(2, 2, 0)
        leaning = np.log([[0.5, 0.3, 0.2]] * 4) - np.log(door.ratios())
        probabilities = np.exp(leaning) / np.exp(leaning).sum(axis=1, keepdims=True)
        lenient, strict = (
            door.settle(probabilities, faces, {}, calibrate=False, started=door.Settled(alarm_below=least)).found
            for least in (0.4, 0.6)
        )
        assert lenient is not None
        assert strict is not None
        assert (lenient["bare_alarmed"], lenient["masked_wrongly_alarmed"]) == (0.0, 0.0)
        assert (strict["bare_alarmed"], strict["masked_wrongly_alarmed"]) == (1.0, 1.0)

    def test_the_card_explains_missing_calibration(self) -> None:
        metrics = {"command": "python -m train mask photos/", "uncalibrated": "too few held-out faces"}
        stage = provenance.training_figures(metrics)
        assert "| uncalibrated | too few held-out faces |" in tables.training_tables([stage])
        assert "uncalibrated" not in provenance.training_figures({**metrics, "uncalibrated": ""})


class TestGallery:
    def test_the_worst_errors_come_first(self) -> None:
        probabilities = np.array([[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.2, 0.8, 0.0], [0.05, 0.9, 0.05]])
        truth = np.array([1, 1, 1, 0])
        assert gallery.worst(truth, probabilities, LABELS, None) == [3, 0, 1]

    def test_thresholds_decide_what_is_wrong(self) -> None:
        probabilities = np.array([[0.55, 0.45, 0.0]])
        assert gallery.worst(np.array([0]), probabilities, LABELS, 0.5) == []
        assert gallery.worst(np.array([0]), probabilities, LABELS, 0.6) == [0]


class TestScalars:
    def test_a_missing_tensorboard_is_one_sentence(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(importlib.sys.modules, "tensorboard.summary", None)  # type: ignore[attr-defined]
        with pytest.raises(ConfigError, match=r"pip install 'maskgate\[tensorboard\]'"):
            Scalars(tmp_path)

    def test_tensorboard_reads_what_an_epoch_gave(self, tmp_path: Path) -> None:
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        scalars = Scalars(tmp_path / "log")
        scalars.add(1, {"loss": 0.5, "held_out": {"ap": 0.25}, "note": "text"})
        events = accumulator.EventAccumulator(str(tmp_path / "log"))
        events.Reload()
        assert sorted(events.Tags()["tensors"]) == ["held_out/ap", "loss"]
        assert events.Tensors("loss")[0].step == 1


@pytest.mark.usefixtures("in_16_bits")
def test_16_bit_training_keeps_32_bits() -> None:
    from train.mask.model import BACKBONE, classifier, for_door

    model = classifier(32, 0.35, "none", len(LABELS), 0.3)
    kept = for_door(model, [0.0, 0.0, 0.0])
    layers = [*kept.layers, *kept.get_layer(BACKBONE).layers]
    assert {layer.compute_dtype for layer in layers} == {"float32"}
    assert model.get_layer(BACKBONE).get_layer("Conv1").compute_dtype == "float16"
    image = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    assert kept.predict_on_batch(image) == pytest.approx(np.asarray(model.predict_on_batch(image)), abs=0.02)


def test_mixed_precision_needs_a_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from train.common import accelerator

    if accelerator.gpus():
        pytest.skip("There is a GPU here")
    data = folders(tmp_path / "data", count=1)
    assert main(["mask", "--data", str(data), "--out", str(tmp_path / "out"), *FAST, "--mixed-precision"]) == 2
    told = capsys.readouterr()
    assert told.err == (
        "train: error: --mixed-precision needs a GPU, and Keras on tensorflow sees none: leave the option out, or "
        "check the driver (nvidia-smi) and run pip install 'tensorflow[and-cuda]' (TF_CPP_MIN_LOG_LEVEL=0 shows what "
        "is missing).\n"
    )
    assert "Looking at photos" not in told.out


@pytest.mark.parametrize("preset", ["default", "report"])
@pytest.mark.parametrize("backend", ["tensorflow", "torch", "jax"])
def test_every_backend_tells_of_a_missing_gpu(
    backend: str, preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keras = pytest.importorskip("keras")
    from train.common import accelerator

    monkeypatch.setattr(accelerator, "gpus", list)
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    options = ["mask", "photos", "--preset", preset, "--out", str(tmp_path), "--mixed-precision"]
    assert main(options) == 2
    assert f"Keras on {backend} sees none: leave the option out, or check the driver" in capsys.readouterr().err


def test_notes_of_libraries_are_kept_back(capfd: pytest.CaptureFixture[str]) -> None:
    from train.common.accelerator import hushed

    with hushed():
        os.write(2, b"no driver\n")
    assert capfd.readouterr().err == ""
    with pytest.raises(ImportError), hushed():
        os.write(2, b"no library\n")
        raise ImportError
    assert capfd.readouterr().err == "no library\n"


@pytest.mark.usefixtures("eager", "tiny_backbone")
class TestRun:
    def test_every_epoch_writes_everything(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from train.mask.fit import Run

        monkeypatch.setattr(Run, "_report", lambda *_: None)
        data, out = folders(tmp_path / "data", count=20), tmp_path / "out"
        assert main(["mask", "--data", str(data), "--out", str(out), *FAST, *SHORT, "--epochs", "1"]) == 0
        metrics = json.loads((out / "metrics.json").read_text("utf-8"))
        assert [row["epoch"] for row in metrics["history"]] == [1]
        assert metrics["held_out"]["balanced_loss"] == metrics["history"][0]["held_out_balanced_loss"]
        assert sum(metrics["training_faces"].values()) + metrics["held_out"]["faces"] == 60
        assert (metrics["kept_epoch"], metrics["seconds"] > 0, metrics["unreadable"]) == (1, True, [])
        assert metrics["uncalibrated"].startswith("too few held-out faces")
        for name in ("views.jpg", "curves_loss.png"):
            assert cv2.imread(str(out / name)) is not None

    def test_the_best_held_out_epoch_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        losses = iter([0.5, 0.3, 0.4, 0.6, 0.1])
        settle = door.settle

        def settle_at(*args: Any, **named: Any) -> door.Settled:
            settled = settle(*args, **named)
            assert settled.found is not None
            return settled._replace(found={**settled.found, "balanced_loss": next(losses)})

        monkeypatch.setattr(door, "settle", settle_at)
        data, out = folders(tmp_path / "data", count=20), tmp_path / "out"
        recipe = ["--epochs", "5", "--patience", "2"]
        assert main(["mask", "--data", str(data), "--out", str(out), *FAST, *SHORT, *recipe]) == 0
        metrics = json.loads((out / "metrics.json").read_text("utf-8"))
        assert [row["held_out_balanced_loss"] for row in metrics["history"]] == [0.5, 0.3, 0.4, 0.6]
        assert metrics["kept_epoch"] == 2
        assert "has not fallen for 2 epochs" in capsys.readouterr().out
        assert cv2.imread(str(out / "errors_held_out.jpg")) is not None

    def test_16_bit_runs_can_resume(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import keras

        from train.common import accelerator
        from train.mask.fit import Run

        monkeypatch.setattr(accelerator, "gpus", lambda: ["stand-in"])
        data, out = folders(tmp_path / "data", count=4), tmp_path / "out"
        fixed = ["mask", "--data", str(data), "--out", str(out), *FAST, *SHORT, "--mixed-precision", "--epochs", "2"]
        with monkeypatch.context() as stopping:
            stopping.setattr(Run, "_stalled", lambda run: len(run.state["history"]) == 1)
            assert main(fixed) == 0
        assert main([*fixed, "--resume"]) == 0
        assert [row["epoch"] for row in json.loads((out / "metrics.json").read_text())["history"]] == [1, 2]
        kept = keras.models.load_model(out / "mask.keras", compile=False)
        assert {layer.compute_dtype for layer in kept.layers} == {"float32"}

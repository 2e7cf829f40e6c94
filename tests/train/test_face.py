"""Runs of the face training: starts, averages, resuming and options."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError
from tests.nonempty import some
from tests.train.face_photos import arguments, coco
from tests.train.needs import keras
from train.common.average import Average
from train.face import command as face
from train.face import fit as face_fit
from train.face import model as face_model
from train.face import photos as face_photos


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
    (out / "metrics.json").write_text(json.dumps({"settings": {"keep_split": "earlier/split.json"}}))
    with pytest.raises(ConfigError, match=r"another .*keep_split.* repeat its options"):
        face.run(arguments(path, out, "--resume"))


def test_training_starts_from_the_shipped_model(tmp_path: Path) -> None:
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

"""What a mask training starts from, and what it draws its faces from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError
from edge.runtime import open_model
from edge.values import LABELS, BBox, Label
from edge.vision.model_input import ModelInput
from edge.vision.models import MaskEntry, load_model, read_manifest
from edge.vision.preprocess import normalise
from train.common.options import parse_draws
from train.mask.data import Sample, read
from train.mask.door import Settled
from train.mask.views import Deck

SIDE = 32


def views(count: int, side: int) -> np.ndarray:
    """Smooth pictures, (N, side, side, 3) in [-1, 1]."""
    rng = np.random.default_rng(1)
    coarse = [rng.integers(0, 256, (6, 6, 3), np.uint8) for _ in range(count)]
    return normalise(np.stack([cv2.resize(each, (side, side), interpolation=cv2.INTER_CUBIC) for each in coarse]))


def classifier(hidden: float = 1.0, side: int = SIDE, width: float = 0.35) -> Any:
    from train.mask.model import classifier as make

    return make(side, width, "none", len(LABELS), 0.3, hidden=hidden)


def adopt(model: Any, path: Path, count: int = 8) -> None:
    from train.mask.start import adopt as take

    take(model, path, views(count, model.input_shape[1]))


def answers(model: Any, pictures: np.ndarray) -> np.ndarray:
    return np.asarray(model.predict_on_batch(pictures))


class TestStart:
    """--start-from."""

    def test_equal_shapes_give_all_weights(self, tmp_path: Path) -> None:
        trained, model = classifier(), classifier()
        trained.save(tmp_path / "trained.keras")
        adopt(model, tmp_path / "trained.keras")
        np.testing.assert_array_equal(answers(model, views(4, SIDE)), answers(trained, views(4, SIDE)))

    def test_useless_channels_go_first(self, tmp_path: Path) -> None:
        wide, slim = classifier(), classifier(hidden=0.5)
        rng = np.random.default_rng(2)
        for layer in wide.get_layer("mobilenet_v2").layers:
            if layer.name.endswith("_expand_BN") or layer.name == "Conv_1_bn":
                gamma, *rest = layer.get_weights()
                gamma[rng.permutation(len(gamma))[: len(gamma) // 2]] = 0
                layer.set_weights([gamma, *rest])
        wide.save(tmp_path / "wide.keras")
        adopt(slim, tmp_path / "wide.keras")
        assert slim.count_params() < 0.65 * wide.count_params()
        np.testing.assert_allclose(answers(slim, views(4, SIDE)), answers(wide, views(4, SIDE)), atol=1e-5)

    def test_converted_models_answer_alike_at_the_door(self) -> None:
        from train.mask import door
        from train.mask.model import for_door
        from train.mask.start import settled_of

        file = load_model("mask", MaskEntry)
        side = file.entry.input.width
        device = open_model(file.content)
        prepare = ModelInput(device.input, side, side)
        pictures = views(4, side)
        told = [device.invoke(prepare(np.uint8(np.round((view + 1) * 127.5))))[0].real(0) for view in pictures]
        model = classifier(side=side, width=1.0)
        adopt(model, file.path)
        again = for_door(model, np.log(door.ratios()).tolist(), settled_of(file.path).temperature)
        assert np.abs(answers(again, pictures) - np.array(told)).max() < 0.1
        assert np.abs(answers(model, pictures) - np.array(told)).max() > 0.1, "the door's shares were not taken back"

    def test_unknown_converted_models_are_taken_as_they_are(self, tmp_path: Path) -> None:
        file = load_model("mask", MaskEntry)
        (tmp_path / "other.tflite").write_bytes(file.content)
        described, unknown = (classifier(side=32, width=1.0) for _ in range(2))
        adopt(described, file.path)
        adopt(unknown, tmp_path / "other.tflite")
        heads = [model.get_layer("probabilities").get_weights()[1] for model in (described, unknown)]
        assert np.ptp(heads[1] - heads[0]) > 0.5

    @pytest.mark.parametrize("name", ["slim.keras", "other.tflite", "broken.tflite", "none.tflite"])
    def test_an_unfit_file_is_one_sentence(self, name: str, tmp_path: Path) -> None:
        if name == "slim.keras":
            classifier(hidden=0.5).save(tmp_path / name)
        elif name == "other.tflite":
            (tmp_path / name).write_bytes(load_model("mask-224", MaskEntry).content)
        elif name == "broken.tflite":
            (tmp_path / name).write_bytes(b"\0" * 100)
        with pytest.raises(ConfigError, match=name):
            adopt(classifier(), tmp_path / name)

    def test_metrics_settle_the_start(self, tmp_path: Path) -> None:
        from train.mask.start import settled_of

        metrics, start = tmp_path / "metrics.json", tmp_path / "mask.keras"
        assert settled_of(start) == Settled(1.0, 0.5)
        epochs = [{"epoch": epoch, "held_out_temperature": epoch / 10} for epoch in (6, 7)]
        metrics.write_text(json.dumps({"kept_epoch": 7, "history": epochs, "alarm_below": 0.35}))
        assert settled_of(start) == Settled(0.7, 0.35)
        for text in ("{", "[]"):
            metrics.write_text(text)
            with pytest.raises(ConfigError, match=r"metrics\.json is not the metrics file of a run"):
                settled_of(start)

    def test_the_manifest_settles_an_int8_start(self, tmp_path: Path) -> None:
        from train.mask.start import settled_of

        start = tmp_path / "mask.tflite"
        assert settled_of(start) == Settled(1.0, 0.5)
        manifest = read_manifest()
        entry = manifest.models["mask"].model_copy(update={"file": start.name, "alarm_below": 0.35})
        (tmp_path / "manifest.json").write_text(
            manifest.model_copy(update={"models": {"door": entry}}).model_dump_json()
        )
        temperature = entry.figures["training"][-1]["best"]["held_out_temperature"]
        assert settled_of(start) == Settled(temperature, 0.35)


class TestDraws:
    """Which faces are learned from, and how often."""

    def test_ignored_and_unstated_faces_are_skipped(self, tmp_path: Path) -> None:
        boxes = [("a.png", 1, 0), ("a.png", 2, 0), ("a.png", 1, 1), ("b.png", 2, 0)]
        file = tmp_path / "faces.json"
        file.write_text(
            json.dumps(
                {
                    "images": [{"id": name, "file_name": name, "source": "s"} for name in ("a.png", "b.png")],
                    "categories": [{"id": 1, "name": "mask_worn_incorrectly"}, {"id": 2, "name": "face"}],
                    "annotations": [
                        {"id": at, "image_id": name, "category_id": category, "ignore": ignore, "bbox": [0, 0, 20, 20]}
                        for at, (name, category, ignore) in enumerate(boxes)
                    ],
                }
            )
        )
        assert [(face.path.name, face.label) for face in read(file)] == [
            ("a.png", Label.MASK_WORN_INCORRECTLY),
            ("b.png", Label.WITHOUT_MASK),
        ]

    def test_sources_are_drawn_as_told(self) -> None:
        faces = [
            Sample(Path(f"{source}{at}"), Label.WITH_MASK, source, f"{source}{at}", bbox=BBox(0, 0, 50, 50))
            for source in ("often", "seldom")
            for at in range(10)
        ]
        deck = Deck(faces, LABELS, times={"often": 3.0})
        rng = np.random.default_rng(3)
        drawn = [deck.draw(rng).sample.source for _ in range(800)]
        assert 0.7 < drawn.count("often") / len(drawn) < 0.8

    def test_an_invalid_draw_is_refused(self) -> None:
        assert parse_draws(["street_masks=3"]) == {"street_masks": 3.0}
        for word in ("street_masks", "street_masks=", "=2", "street_masks=-1", "street_masks=inf"):
            with pytest.raises(ConfigError, match="--draw"):
                parse_draws([word])


class TestBatches:
    """What the model and its teachers are shown."""

    def test_a_teacher_sees_the_unscaled_view(self) -> None:
        from train.mask.batches import Batches

        seen: list[tuple[int, ...]] = []

        def teach(inputs: np.ndarray) -> np.ndarray:
            seen.append(inputs.shape)
            return np.full((len(inputs), len(LABELS)), 1 / len(LABELS), np.float32)

        def make(_: int, rng: np.random.Generator) -> tuple[np.ndarray, Label]:
            return rng.integers(0, 256, (48, 48, 3), np.uint8), Label.WITH_MASK

        batches = Batches(make, count=4, batch=4, labels=LABELS, teach=teach, taught=1.0, size=32)
        inputs, targets = batches[0]
        assert seen == [(4, 48, 48, 3)]
        assert inputs.shape == (4, 32, 32, 3)
        np.testing.assert_allclose(targets, 1 / 3, atol=1e-6)

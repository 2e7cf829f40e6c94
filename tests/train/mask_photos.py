"""Made-up photos of faces for the mask classifier, and the options of a training that takes seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.values import LABELS, Label
from train.mask import model
from train.mask.data import Sample

COLOURS = {
    Label.WITH_MASK: (200, 60, 40),
    Label.WITHOUT_MASK: (60, 200, 60),
    Label.MASK_WORN_INCORRECTLY: (40, 60, 200),
}
LANDMARKS = ((40.0, 40.0), (60.0, 40.0), (50.0, 52.0), (42.0, 62.0), (58.0, 62.0))
FAST = ["--weights", "none", "--size", "32", "--width", "0.35", "--batch", "4", "--workers", "1"]


def picture(path: Path, colour: tuple[int, int, int], seed: int = 0, side: int = 40) -> Path:
    """Noise around a colour, written as an image of ``side`` x ``side`` pixels."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.clip(rng.normal(colour, 20, (side, side, 3)), 0, 255).astype(np.uint8))
    return path


def folders(root: Path, labels: tuple[Label, ...] = LABELS, count: int = 6) -> Path:
    """A folder of ``count`` crops for each label."""
    for label in labels:
        for number in range(count):
            picture(root / label.value / f"{number}.png", COLOURS[label], seed=number)
    return root


def coco(root: Path, boxes: list[tuple[str, list[float]]]) -> Path:
    """A COCO file with one photo of 80 x 80 pixels and these labelled boxes (left, top, width, height)."""
    names = [*map(str, LABELS), "face"]
    picture(root / "photo.png", (90, 90, 90), side=80)
    document = {
        "images": [{"id": 7, "file_name": "photo.png", "width": 80, "height": 80, "source": "street"}],
        "annotations": [
            {"id": n, "image_id": 7, "category_id": names.index(name) + 1, "bbox": box, "iscrowd": 0}
            for n, (name, box) in enumerate(boxes)
        ],
        "categories": [{"id": n + 1, "name": name} for n, name in enumerate(names)],
    }
    path = root / "faces.json"
    path.write_text(json.dumps(document))
    return path


def sample(group: str = "g", label: Label = Label.WITHOUT_MASK, **more: object) -> Sample:
    return Sample(Path(f"{group}.png"), label, "made", group, **more)  # type: ignore[arg-type]


@pytest.fixture
def eager() -> Iterator[None]:
    """Run TensorFlow without building graphs: for a few tiny batches that takes a fraction of the time."""
    tf = pytest.importorskip("tensorflow")
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def tiny_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few layers in the place of MobileNetV2, which takes seconds to build, to save and to read."""
    keras = pytest.importorskip("keras")

    def build(size: int, width: float, weights: str | None) -> Any:
        del width, weights
        image = keras.Input((size, size, 3))
        x = keras.layers.Conv2D(8, 3, strides=8, padding="same", name="block_4_project")(image)
        x = keras.layers.BatchNormalization(name="block_4_project_BN")(x)
        x = keras.layers.Conv2D(16, 3, strides=4, padding="same", name="block_16_project")(x)
        x = keras.layers.BatchNormalization(name="block_16_project_BN")(x)
        return keras.Model(image, keras.layers.ReLU(6.0, name="out_relu")(x), name=model.BACKBONE)

    monkeypatch.setattr(model, "_mobilenet", build)

"""Photos with faces, and targets and outputs of the face detector."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.cameras.demo import DEMO_CLIP
from tests.train import needs  # noqa: F401 - skips modules of tests
from train.face import command as face
from train.face import data as face_data
from train.face import model as face_model

SIZE = 64
EDGE_TPU_LAYERS = {
    "InputLayer", "Conv2D", "DepthwiseConv2D", "ReLU", "MaxPooling2D", "Add", "UpSampling2D", "Activation",
}  # fmt: skip


def targets(*rows: tuple[float, ...]) -> np.ndarray:
    """A batch of one picture with these boxes and kinds."""
    batch = np.zeros((1, 6, 5), np.float32)
    batch[0, : len(rows)] = np.reshape(rows, (-1, 5))
    return batch


def demo_frame() -> np.ndarray:
    """A frame of the demo clip with people in it."""
    clip = cv2.VideoCapture(str(DEMO_CLIP))
    clip.set(cv2.CAP_PROP_POS_MSEC, 6000)
    _, frame = clip.read()
    return frame


def outputs(rng: np.random.Generator, size: int = SIZE, score: float = 0.5) -> dict[str, np.ndarray]:
    """Maps as a model could give them."""
    maps = {}
    for stride in face_model.STRIDES:
        cells = size // stride
        maps[f"score_{stride}"] = np.full((1, cells, cells, 1), score, np.float32)
        maps[f"bbox_{stride}"] = rng.normal(0, 0.5, (1, cells, cells, 4)).astype(np.float32)
    return maps


CATEGORIES = [{"id": number, "name": name} for number, name in enumerate(("person", "mask", "no mask", "head"), 1)]


def coco(folder: Path, photos: int = 6, seed: int = 0, **more: Any) -> Path:
    """A COCO file of pictures with one drawn face each."""
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    (folder / "images").mkdir(parents=True)
    for index in range(photos):
        picture = rng.integers(90, 130, (60, 80, 3)).astype(np.uint8)
        cv2.ellipse(picture, (40, 30), (12, 16), 0, 0, 360, (150, 180, 230), -1)
        name = f"images/{index}.png"
        cv2.imwrite(str(folder / name), picture)
        images.append({"id": index, "file_name": name, "width": 80, "height": 60})
        annotations.append(
            {"id": index, "image_id": index, "category_id": 1 + index % 4, "bbox": [28, 14, 24, 32], **more}
        )
    path = folder / "faces.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": CATEGORIES}))
    return path


def photo(*boxes: tuple[float, float, float, float]) -> face_data.Photo:
    return face_data.Photo(Path("p"), "", np.float32(boxes).reshape(-1, 4), np.empty((0, 4), np.float32))


def arguments(path: Path, out: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    face.add_arguments(parser)
    small = ["--size", "64", "64", "--train-size", "64", "--epochs", "2", "--batches", "2", "--batch", "2"]
    fixed = ["--weights", "none", "--data", str(path), "--out", str(out), "--hold-out", "0.3"]
    return parser.parse_args([*fixed, *small, *more])

"""The face model's int8 and float16 files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ModelError
from edge.vision.models import SHIPPED_MANIFEST, FaceEntry, ModelFile, load_model, load_shapes
from edge.vision.models.precision import Precision, suited
from edge.vision.pipeline import load_pipeline
from tests.bench.scenes import demo, settings
from tests.nonempty import some

IN_INT8 = ["face.tflite", "face-320x256.tflite", "face-320x192.tflite"]
IN_FLOAT16 = ["face-float16.tflite", "face-320x256-float16.tflite", "face-320x192-float16.tflite"]


@pytest.fixture
def old_laptop(tmp_path: Path) -> Path:
    """The root of a system whose processor lacks int8 dot products."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("flags\t: sse4_2 avx avx2\n")
    return tmp_path


def files(model: ModelFile[FaceEntry]) -> list[str]:
    return [one.path.name for one in load_shapes(model)]


@pytest.mark.parametrize(("precision", "expected"), [("auto", IN_FLOAT16), ("float16", IN_FLOAT16), ("int8", IN_INT8)])
def test_old_laptops_get_float_unless_told(precision: Precision, expected: list[str], old_laptop: Path) -> None:
    assert files(suited(load_model("face", FaceEntry), precision, old_laptop)) == expected


@pytest.mark.parametrize(("precision", "expected"), [("auto", IN_INT8), ("float16", IN_FLOAT16)])
def test_others_get_int8_unless_told(precision: Precision, expected: list[str], tmp_path: Path) -> None:
    assert files(suited(load_model("face", FaceEntry), precision, tmp_path)) == expected


def test_models_without_float_stay_in_int8(old_laptop: Path) -> None:
    model = load_model("face", FaceEntry)
    alone = ModelFile(model.name, model.path, model.entry.model_copy(update={"float16": None}), model.content)
    assert suited(alone, "float16", old_laptop) is alone


def test_altered_float_files_are_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SHIPPED_MANIFEST.parent, tmp_path / "models"))
    (folder / "face-float16.tflite").write_bytes(b"another")
    model = load_model(f"{folder}/manifest.json#face", FaceEntry)
    with pytest.raises(ModelError, match=r"face-float16\.tflite is not the one in its manifest"):
        suited(model, "float16")


def test_both_find_the_same_faces() -> None:
    in_int8, in_float = (load_pipeline(settings(runtime__precision=precision)) for precision in ("int8", "float16"))
    frames = demo(120)[::40]
    found = [(in_int8.detect(frame), in_float.detect(frame)) for frame in some(frames)]
    assert [len(faces) for faces, _ in found] == [len(others) for _, others in found]
    pairs = [pair for faces, others in found for pair in zip(faces, others, strict=True)]
    for one, other in some(pairs):
        assert one.bbox.iou(other.bbox) > 0.8
        assert np.isclose(one.score, other.score, atol=0.1)

"""The confirmation model, from photos to a shipped pair of models."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cv2
import numpy as np
import pytest

from edge.cameras.demo import DEMO_CLIP
from edge.config import Config
from edge.values import Frame
from edge.vision.models import SHIPPED_MANIFEST, ConfirmRule, FaceEntry, load_confirmation, load_model
from edge.vision.pipeline import load_pipeline, open_face_model

pytest.importorskip("tensorflow")

from convert import confirm as conversion
from convert.__main__ import main as convert
from edge import config
from train.__main__ import main as train

RULE = ConfirmRule(doubtful_from=0.31, doubtful_to=0.62, face=2.0, confirm=0.5, bias=0.1)


def frames_with_faces(folder: Path) -> Path:
    """A COCO file of frames of the demo clip, in which only every second face is annotated, and one empty picture."""
    detector = open_face_model(Config(), 20)
    clip = cv2.VideoCapture(str(DEMO_CLIP))
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, second in enumerate(range(4, 28, 2)):
        clip.set(cv2.CAP_PROP_POS_MSEC, 1000 * second)
        _, frame = clip.read()
        cv2.imwrite(str(folder / f"{number}.png"), frame)
        images.append({"id": number, "file_name": f"{number}.png"})
        for face in detector.detect(Frame.still(frame), 0.5)[:: 1 + number % 2]:
            box = [face.bbox.x0, face.bbox.y0, face.bbox.width, face.bbox.height]
            annotations.append({"id": len(annotations), "image_id": number, "category_id": 1, "bbox": box})
    cv2.imwrite(str(folder / "empty.png"), np.full((120, 160, 3), 90, np.uint8))
    images.append({"id": len(images), "file_name": "empty.png"})
    path = folder / "photos.json"
    categories = [{"id": 1, "name": "face"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


@pytest.mark.training
def test_a_trained_confirmation_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run, converted = frames_with_faces(tmp_path), tmp_path / "runs" / "confirm", tmp_path / "converted"
    small = ["--size", "32", "--epochs", "1", "--faces", "64", "--batch", "16", "--hold-out", "0.4"]
    assert train(["confirm", str(data), *small, "--out", str(run)]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["best_epoch"] == 1
    assert min(metrics["candidates"]["training"].values()) > 0
    assert train(["confirm", str(data), *small, "--out", str(run), "--epochs", "2", "--resume"]) == 2
    assert "--resume with another epochs" in capsys.readouterr().err

    monkeypatch.setattr(conversion, "settle", lambda *_: RULE)  # one epoch on a dozen frames tells nothing
    assert convert(["confirm", "--model", str(run / "confirm.keras"), "--output", str(converted)]) == 0
    said = capsys.readouterr().out
    assert "without the second look" in said
    assert "publish confirm" in said

    shipped = shutil.copytree(SHIPPED_MANIFEST.parent, tmp_path / "models")
    assert convert(["publish", "confirm", "--from", str(converted), "--to", str(shipped), "--confirms", "face"]) == 0
    confirmation = load_confirmation(f"{shipped}/manifest.json#face")
    assert confirmation is not None
    assert (confirmation.entry.rule, confirmation.entry.input.width) == (RULE, 32)
    card = (shipped / "confirm.md").read_text()
    assert "the shipped mask model of maskgate" in card or "shipped" in card
    assert str(tmp_path) not in card
    pipeline = load_pipeline(config.load(overrides={"face.model": f"{shipped}/manifest.json#face"}).config)
    frame = Frame.still(cv2.imread(str(tmp_path / "3.png")))
    assert pipeline.process(frame)


class TestPublishing:
    def test_the_face_model_comes_first(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        source = SHIPPED_MANIFEST.parent
        arguments = ["publish", "confirm", "--from", str(source), "--to", str(tmp_path), "--confirms", "face"]
        assert convert(arguments) == 2
        said = capsys.readouterr().err
        assert f"--confirms face: there are no models in {tmp_path} yet" in said
        assert f"python -m convert publish face --to {tmp_path}" in said

    def test_a_dropped_second_look_is_told(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        source = shutil.copytree(SHIPPED_MANIFEST.parent, tmp_path / "new")
        content = json.loads((source / "manifest.json").read_text())
        del content["models"]["face"]["confirmed_by"], content["models"]["mask"]["first_look"]
        (source / "manifest.json").write_text(json.dumps(content))
        shipped = shutil.copytree(SHIPPED_MANIFEST.parent, tmp_path / "models")
        publish = ["publish", "face", "mask", "--from", str(source), "--to", str(shipped)]
        assert convert(publish) == 0
        face, mask = capsys.readouterr().out.splitlines()[1:]
        assert "face is no longer confirmed by confirm" in face
        assert "python -m convert publish confirm --confirms face" in face
        assert "mask-small no longer judges before mask" in mask
        assert "--first-look mask-small" in mask
        assert convert(publish) == 0
        assert len(capsys.readouterr().out.splitlines()) == 1

    def test_a_face_model_is_not_confirmed_by_a_mask_model(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = SHIPPED_MANIFEST.parent
        shipped = shutil.copytree(source, tmp_path / "models")
        arguments = ["publish", "mask", "--from", str(source), "--to", str(shipped), "--confirms", "face"]
        assert convert(arguments) == 2
        assert "name the one model that confirms" in capsys.readouterr().err

    def test_another_face_model_is_not_confirmed(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        source = SHIPPED_MANIFEST.parent
        shipped = shutil.copytree(source, tmp_path / "models")
        content = json.loads((shipped / "manifest.json").read_text())
        other = b"another model"
        (shipped / "face.tflite").write_bytes(other)
        content["models"]["face"]["sha256"] = hashlib.sha256(other).hexdigest()
        (shipped / "manifest.json").write_text(json.dumps(content))
        arguments = ["publish", "confirm", "--from", str(source), "--to", str(shipped), "--confirms", "face"]
        assert convert(arguments) == 2
        assert "was converted for another face model" in capsys.readouterr().err


def test_the_shipped_face_model_is_confirmed() -> None:
    confirmation = load_confirmation("face")
    assert confirmation is not None
    assert confirmation.entry.face_sha256 == load_model("face", FaceEntry).entry.sha256

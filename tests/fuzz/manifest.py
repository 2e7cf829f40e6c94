"""The manifest of the models: JSON becomes models that run, or one sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from edge.errors import ModelError
from edge.runtime import Model, open_model
from edge.values import BBox, Face, Frame
from edge.vision.confirmed import Confirmation, ConfirmedDetector
from edge.vision.face_detector import Detector, FaceDetector
from edge.vision.mask_classifier import MaskClassifier
from edge.vision.models import (
    SHIPPED_MANIFEST,
    ConfirmEntry,
    FaceEntry,
    MaskEntry,
    edgetpu_content,
    load_model,
    read_manifest,
)

ABOUT = "the manifest: JSON that says what the model files are"
LONGEST = 4096
CONTENTS = {
    "face.tflite": b"face",
    "mask.tflite": b"mask",
    "mask-224.tflite": b"large",
    "mask-small.tflite": b"small",
    "confirm.tflite": b"confirm",
    "face_edgetpu.tflite": b"edge",
}
"""Stand-ins with a hash of their own; what runs are the shipped models."""
WORDS = (
    *(
        b'"file"',
        b'"sha256"',
        b'"input"',
        b'"width"',
        b'"height"',
        b'"strides"',
        b'"labels"',
        b'"margin"',
        b'"task"',
        b'"rule"',
    ),
    *(b'"edgetpu"', b'"compiler"', b'"together_with"', b'"figures"', b'"version"', b"NaN", b"Infinity", b"1e999"),
    *(b"\\u0000", b"\\ud800", b'".."', b"[[", b"{}", b"null", b"-1", b"0", b"99999999999999999999"),
)
PICTURE = np.full((48, 64, 3), 90, np.uint8)
FACES = [Face(BBox(10, 10, 40, 40), 0.9)]


def seeds() -> list[bytes]:
    """One with all models, one with a variant for the Edge TPU, one with none."""
    shipped = json.loads(SHIPPED_MANIFEST.read_bytes())
    for entry in shipped["models"].values():
        entry |= {"sha256": _sha256(entry["file"]), "training": "", "data": [], "figures": {}}
    variant = {"file": "face_edgetpu.tflite", "sha256": _sha256("face_edgetpu.tflite"), "compiler": "16.0"}
    compiled = json.loads(json.dumps(shipped))
    compiled["models"]["face"]["edgetpu"] = variant
    return [json.dumps(one).encode() for one in (shipped, compiled, {"version": 1, "models": {}})]


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Try one."""
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    path = folder / "manifest.json"
    shipped = (("face", FaceEntry), ("mask", MaskEntry), ("confirm", ConfirmEntry))
    face, mask, confirm = (open_model(load_model(*one).content, threads=1) for one in shipped)

    def attempt(data: bytes) -> None:
        path.write_bytes(data)
        try:
            names = list(read_manifest(path).models)[:5]
        except ModelError as error:
            assert str(error)
            return
        for name in names:
            _try_face(f"{path}#{name}", face)
            _try_mask(f"{path}#{name}", mask)
            _try_confirm(f"{path}#{name}", confirm)

    yield attempt


def _try_face(reference: str, model: Model) -> None:
    try:
        loaded = load_model(reference, FaceEntry)
        edgetpu_content(loaded)
        detector = FaceDetector(model, loaded.entry)
    except ModelError:
        return
    assert hashlib.sha256(loaded.content).hexdigest() == loaded.entry.sha256
    detector.detect(Frame.still(PICTURE), 0.4)


def _try_mask(reference: str, model: Model) -> None:
    try:
        classifier = MaskClassifier(model, load_model(reference, MaskEntry).entry)
    except ModelError:
        return
    (reading,) = classifier.classify(PICTURE, FACES)
    assert abs(sum(reading.probabilities) - 1) < 1e-3, reading.probabilities


class _Finds(Detector):
    """Finds faces of all scores."""

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        del frame, threshold
        return [Face(BBox(10, 10, 40, 40), score) for score in (1.0, 0.9, 0.5, 0.3, 0.0)]


def _try_confirm(reference: str, model: Model) -> None:
    try:
        entry = load_model(reference, ConfirmEntry).entry
        detector = ConfirmedDetector(_Finds(), Confirmation(model, entry), entry)
    except ModelError:
        return
    for face in detector.detect(Frame.still(PICTURE), 0.01):
        assert 0 <= face.score <= 1, face


def _sha256(name: str) -> str:
    return hashlib.sha256(CONTENTS[name]).hexdigest()

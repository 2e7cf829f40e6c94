"""Published models to measure against. Their files stay outside the project; what runs them is here, from their papers.

    for system in published(folder):
        faces = system.detector.detect(Frame.still(image), system.threshold)

A peer joins as one more file with a ``Detector`` or ``Classifier``, and a line in ``published``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigError
from edge.runtime import Model, open_model
from edge.values import Face, Image, Reading
from edge.vision.face_detector import Detector
from edge.vision.mask_classifier import Classifier

THREADS = 1
"""A model: times are compared on one thread."""


@dataclass(frozen=True, slots=True)
class System:
    """What finds faces and, where it has a classifier, judges them.

    Attributes:
        name: For the table.
        detector: Finds the faces.
        classifier: Judges them; ``UNJUDGED`` for a detector alone.
        threshold: Least score of a face, as published.
        settings: The published settings it is run with, for people.
    """

    name: str
    detector: Detector
    classifier: Classifier
    threshold: float
    settings: str

    @property
    def judges(self) -> bool:
        """Whether its readings mean anything."""
        return self.classifier is not UNJUDGED


class Unjudged:
    """A ``Classifier`` for a detector alone: each face may be anything."""

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        """One reading for each face; see ``Classifier``."""
        del image
        return [Reading(face, (1 / 3, 1 / 3, 1 / 3)) for face in faces]


UNJUDGED = Unjudged()


def peer_file(folder: Path, name: str) -> Path:
    """The peer's file in a folder.

    Raises:
        ConfigError: It is not there.
    """
    path = folder / name
    if not path.is_file():
        raise ConfigError(f"There is no {name} in {folder}: put the published model there, or name another --peers.")
    return path


def open_peer(folder: Path, name: str) -> Model:
    """A peer's TFLite model, on ``THREADS`` threads.

    Raises:
        ConfigError: Its file is not there.
        ModelError: No runtime can run it.
    """
    path = peer_file(folder, name)
    return open_model(path.read_bytes(), threads=THREADS, name=str(path))


def published(folder: Path) -> list[System]:
    """The peers, ready to run, each with its published settings.

    Args:
        folder: With the files ``yunet_n_320.onnx``, ``escvm.tflite``, ``aizoo.tflite``, ``rfb320.onnx`` and
            ``blaze_short.tflite``.

    Raises:
        ConfigError: A file is not there, or OpenCV cannot read it.
        ModelError: No runtime can run a TFLite model.
    """
    from train.evaluate.peers import aizoo, blazeface, escvm, ultraface, yunet

    judged = {
        "": (escvm.MaskClassifier(folder, escvm.WIDE), f"square crops, {escvm.WIDE} of the box wider on each side"),
        ", box as it is": (escvm.MaskClassifier(folder, 0.0), "the box as it is, as published"),
    }
    systems = []
    for side in (320, 640):
        detector = yunet.FaceDetector(folder, side)
        for crop, (classifier, words) in judged.items():
            settings = f"{yunet.SETTINGS}; {escvm.SETTINGS}; {words}"
            systems.append(System(f"YuNet {side} + EscVM{crop}", detector, classifier, yunet.THRESHOLD, settings))
    both = aizoo.OneStage(folder)
    return [
        *systems,
        System("AIZOO 260", both, both, aizoo.THRESHOLD, aizoo.SETTINGS),
        System("RFB-320", ultraface.FaceDetector(folder), UNJUDGED, ultraface.THRESHOLD, ultraface.SETTINGS),
        System("BlazeFace", blazeface.FaceDetector(folder), UNJUDGED, blazeface.THRESHOLD, blazeface.SETTINGS),
    ]

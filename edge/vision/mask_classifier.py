"""How each face's mask is worn: crops the face, runs the classifier, gives probabilities in the order of ``LABELS``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from edge.errors import ModelError
from edge.runtime import Model
from edge.values import LABELS, Face, Image, Reading
from edge.vision.model_input import ModelInput
from edge.vision.models import MaskEntry
from edge.vision.preprocess import crop_face

SMALLEST_PROBABILITY = float(np.float32(1e-6))
"""Minimum probability of a label that the model knows: int8 rounds less to 0, and a sum of 0 cannot be scaled to 1."""


class Classifier(Protocol):
    """Judges faces."""

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        """One reading for each face, in the same order.

        Args:
            image: (H, W, 3) uint8 BGR.
            faces: In pixels of ``image``.
        """
        ...


class MaskClassifier:
    """A ``Classifier`` on a TFLite model. A label that the model does not know gets the probability 0.

    Args:
        model: Ready to run.
        entry: What the manifest says of it.
        alarm_below: Instead of the manifest's.

    Attributes:
        alarm_below: Probability of a mask below which a reading alarms.

    Raises:
        ModelError: The model's input or output is not that of its manifest.
    """

    def __init__(self, model: Model, entry: MaskEntry, alarm_below: float | None = None) -> None:
        if entry.input.width != entry.input.height:
            raise ModelError(
                f"The mask model takes {entry.input.width}x{entry.input.height} pixels; a square is needed."
            )
        if [output.shape for output in model.outputs] != [(1, len(entry.labels))]:
            raise ModelError(
                f"The mask model gives {[output.shape for output in model.outputs]} for the "
                f"{len(entry.labels)} labels of its manifest; convert it again, or correct the manifest."
            )
        self._model = model
        self._size = entry.input.width
        self._margin = entry.margin
        self._entry = entry
        self.configure(alarm_below)
        self._prepare = ModelInput(model.input, entry.input.width, entry.input.height)
        self._columns = [LABELS.index(label) for label in entry.labels]

    def configure(self, alarm_below: float | None) -> None:
        """Alarm below another probability of a mask, in (0, 1), from now on; None takes the manifest's."""
        self.alarm_below = self._entry.alarm_below if alarm_below is None else alarm_below

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        """One reading for each face; see ``Classifier``."""
        # All crops first: what scales them then stays in the processor's caches, which the model fills.
        crops = [crop_face(image, face.bbox, self._size, self._margin) for face in faces]
        return [self._read(face, crop) for face, crop in zip(faces, crops, strict=True)]

    def _read(self, face: Face, crop: Image) -> Reading:
        (output,) = self._model.invoke(self._prepare(crop))
        known = [max(probability, SMALLEST_PROBABILITY) for probability in output.real(0).tolist()]
        total = sum(known)
        probabilities = [0.0] * len(LABELS)
        for column, probability in zip(self._columns, known, strict=True):
            probabilities[column] = probability / total
        return Reading(face, tuple(probabilities), self.alarm_below)

"""Doubtful faces are looked at again, one by one: cut out of the frame, where they are larger than in the face model.

A fist, lettering or the back of a head gets a doubtful score from a face model that sees the whole frame at 320 pixels.
A second, small model knows better what a crop shows. It is asked only where its answer can matter.
"""

from __future__ import annotations

import math

from edge.errors import ModelError
from edge.runtime import Model
from edge.values import Face, Frame, Image
from edge.vision.face_detector import Detector, Size
from edge.vision.model_input import ModelInput
from edge.vision.models import ConfirmEntry, ConfirmRule
from edge.vision.preprocess import crop_face

LEAST_PROBABILITY = 0.08
"""Of the second look, and 1 less that is the most: it never decides alone, and few scores are doubtful. On held-out
photos 0.01 told faces from the rest no better."""

MOST_LOGIT = 30.0
"""Keeps extreme rules from overflowing."""


class Confirmation:
    """Tells whether a crop shows a face.

    Args:
        model: Ready to run.
        entry: What the manifest says of it.

    Raises:
        ModelError: The model's input or output is not that of its manifest.
    """

    def __init__(self, model: Model, entry: ConfirmEntry) -> None:
        if entry.input.width != entry.input.height:
            raise ModelError(
                f"The confirmation model takes {entry.input.width}x{entry.input.height} pixels; a square is needed."
            )
        if [output.shape for output in model.outputs] != [(1, 1)]:
            raise ModelError(
                f"The confirmation model gives {[output.shape for output in model.outputs]} instead of one "
                "probability; convert it again, or correct the manifest."
            )
        self._model, self._size, self._margin = model, entry.input.width, entry.margin
        self._prepare = ModelInput(model.input, entry.input.width, entry.input.height)

    def probability(self, image: Image, face: Face) -> float:
        """That a box of an image, (H, W, 3) uint8 BGR, holds a face."""
        crop = crop_face(image, face.bbox, self._size, self._margin)
        (output,) = self._model.invoke(self._prepare(crop))
        return float(output.real(0)[0])


class ConfirmedDetector(Detector):
    """A ``Detector`` that asks a ``Confirmation`` about the faces that another one doubts.

    Args:
        detector: Finds the faces.
        confirmation: Looks again.
        entry: What the manifest says of it, with the rule that scores follow.
    """

    def __init__(self, detector: Detector, confirmation: Confirmation, entry: ConfirmEntry) -> None:
        self._detector, self._confirmation, self._rule = detector, confirmation, entry.rule

    def input_size(self, width: int, height: int) -> Size:
        """The one of the other detector."""
        return self._detector.input_size(width, height)

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        """The faces in a frame; see ``Detector``."""
        found = self._detector.detect(frame, self._least(threshold))
        faces = [self._confirmed(frame.image, face) for face in found]
        return sorted((face for face in faces if face.score >= threshold), key=lambda face: -face.score)

    def _least(self, threshold: float) -> float:
        """The lowest score of a face that can reach the threshold, whatever the second look says."""
        rule = self._rule
        if not rule.face:
            return min(threshold, rule.doubtful_from)
        needed = (_logit(threshold) - rule.confirm * _logit(1 - LEAST_PROBABILITY) - rule.bias) / rule.face
        return min(threshold, max(rule.doubtful_from, _probability(needed)))

    def _confirmed(self, image: Image, face: Face) -> Face:
        if not is_doubtful(face.score, self._rule):
            return face
        return Face(face.bbox, rescored(face.score, self._confirmation.probability(image, face), self._rule))


def is_doubtful(score: float, rule: ConfirmRule) -> bool:
    """Whether the second look may change a score of the face model."""
    return rule.doubtful_from <= score < rule.doubtful_to


def rescored(score: float, probability: float, rule: ConfirmRule) -> float:
    """The score of a doubtful face after the second look.

    Args:
        score: From the face model, in (0, 1).
        probability: From the second look, in [0, 1].
        rule: How much each of the two counts.
    """
    seen = min(max(probability, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY)
    return _probability(rule.face * _logit(score) + rule.confirm * _logit(seen) + rule.bias)


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _probability(logit: float) -> float:
    return 1 / (1 + math.exp(-min(max(logit, -MOST_LOGIT), MOST_LOGIT)))

"""Two mask models in turn: a small one judges every face, a large one those faces that the small one is unsure of.

So nearly all faces cost what the small one costs, and the answers are the large one's where they are not plain.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge.values import LABELS, Face, Image, Label, Reading
from edge.vision.mask_classifier import MaskClassifier
from edge.vision.models import FirstLook


class TwoLooks:
    """A ``Classifier``.

    Args:
        first: Judges every face.
        second: Judges again those that ``first`` is unsure of; only its answer counts then.
        sure: When ``first`` is sure.
        alarm_below: Of both; see ``MaskClassifier``. None: what the manifest says of ``second``.
    """

    def __init__(
        self, first: MaskClassifier, second: MaskClassifier, sure: FirstLook, alarm_below: float | None = None
    ) -> None:
        self._first, self._second, self._sure = first, second, sure
        self.configure(alarm_below)

    def configure(self, alarm_below: float | None) -> None:
        """Alarm below another probability of a mask, in (0, 1), from now on; None takes the manifest's."""
        self._second.configure(alarm_below)
        self._first.configure(self._second.alarm_below)

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        """One reading for each face; see ``Classifier``."""
        return [self._again(image, reading) for reading in self._first.classify(image, faces)]

    def _again(self, image: Image, reading: Reading) -> Reading:
        if self._is_sure(reading):
            return reading
        (second,) = self._second.classify(image, [reading.face])
        return second

    def _is_sure(self, reading: Reading) -> bool:
        """Never near the threshold, wherever the operator has put it."""
        masked, threshold = reading.probabilities[LABELS.index(Label.WITH_MASK)], self._second.alarm_below
        return masked <= min(self._sure.sure_below, threshold) or masked >= max(self._sure.sure_above, threshold)

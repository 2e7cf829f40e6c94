"""Below which probability of ``with_mask`` to alarm, chosen by cost from faces that were held out of the training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.values import LABELS, Label
from train.mask.calibration import Judged

TOLERATED = {Label.WITH_MASK: 0.015, Label.WITHOUT_MASK: 0.01, Label.MASK_WORN_INCORRECTLY: 0.15}
"""Of each class, the share of wrong answers that a door can live with: an error costs its inverse."""

CANDIDATES = np.round(np.arange(0.05, 0.951, 0.01), 2)

SOFTNESS = 0.5
"""In logits. A face this near to the threshold counts partly on either side, as its next picture may fall on it."""


def cheapest(judged: Judged, weights: NDArray[np.float64] | None = None) -> float:
    """The threshold whose errors cost least.

    Args:
        judged: Faces that the model has not learned from.
        weights: (N,) of the faces within their class, where they are not to count alike.
    """
    masked = LABELS.index(Label.WITH_MASK)
    surety = _logit(judged.probabilities[:, masked])
    counts = np.ones(len(surety)) if weights is None else weights
    costs = np.zeros(len(CANDIDATES))
    for index, label in enumerate(LABELS):
        of_class = judged.truth == index
        if of_class.any():
            alarmed = _sigmoid((_logit(CANDIDATES)[:, None] - surety[of_class]) / SOFTNESS)
            wrong = alarmed if index == masked else 1 - alarmed
            costs += np.average(wrong, axis=1, weights=counts[of_class]) / TOLERATED[label]
    return float(CANDIDATES[costs.argmin()])


def _logit(share: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.clip(share, 1e-6, 1 - 1e-6)
    logit: NDArray[np.float64] = np.log(kept / (1 - kept))
    return logit


def _sigmoid(value: NDArray[np.float64]) -> NDArray[np.float64]:
    sigmoid: NDArray[np.float64] = 1 / (1 + np.exp(-value))
    return sigmoid

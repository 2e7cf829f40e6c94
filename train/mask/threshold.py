"""Below which probability of ``with_mask`` to alarm, chosen by cost from faces that were held out of the training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.values import LABELS, Label
from train.common.logistic import logit, sigmoid
from train.mask.calibration import Judged

TOLERATED = {Label.WITH_MASK: 0.015, Label.WITHOUT_MASK: 0.01, Label.MASK_WORN_INCORRECTLY: 0.15}
"""Of each class, the share of wrong answers that a door can live with: an error costs its inverse."""

CANDIDATES = np.round(np.arange(0.05, 0.951, 0.01), 2)

SOFTNESS = 0.5
"""In logits. A face this near to the threshold counts partly on either side, as its next picture may fall on it."""

LEAST_SHARE = 1e-6
"""Probabilities closer to 0 or 1 than this count as that far from it."""

ERRORS = 2.0
"""How many standard errors apart two costs must be to differ for certain."""

EVEN = 0.5
"""What calibrated probabilities ask for."""


def cheapest(judged: Judged, weights: NDArray[np.float64] | None = None) -> float:
    """The threshold nearest to even among those whose errors cost, as far as can be told, the least.

    Args:
        judged: Faces that the model has not learned from.
        weights: (N,) of the faces within their class, where they are not to count alike.
    """
    masked = LABELS.index(Label.WITH_MASK)
    surety = logit(judged.probabilities[:, masked], LEAST_SHARE)
    alarmed = sigmoid((logit(CANDIDATES) - surety[:, None]) / SOFTNESS)
    wrong = np.where((judged.truth == masked)[:, None], alarmed, 1 - alarmed)
    costs = wrong * _price(judged.truth, np.ones(len(surety)) if weights is None else weights)[:, None]
    excess = costs - costs[:, [costs.sum(axis=0).argmin()]]
    as_good = excess.sum(axis=0) <= ERRORS * np.sqrt((excess**2).sum(axis=0))
    return float(min(CANDIDATES[as_good], key=lambda threshold: abs(threshold - EVEN)))


def _price(truth: NDArray[np.intp], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) what an error on each face costs."""
    of_class = np.bincount(truth, weights, minlength=len(LABELS))
    tolerated = np.array([TOLERATED[label] for label in LABELS])
    price: NDArray[np.float64] = weights / (of_class * tolerated)[truth]
    return price

"""Probabilities and their logits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def logit(probability: ArrayLike, least: float = 0.0) -> NDArray[Any]:
    """``ln(p / (1 - p))`` of each probability.

    Args:
        probability: In [0, 1], of any shape.
        least: Probabilities nearer to 0 or 1 than this count as that far from it, which keeps their logits finite.
    """
    bounded = np.clip(probability, least, 1 - least)
    return np.log(bounded / (1 - bounded))  # type: ignore[no-any-return]


def sigmoid(logits: ArrayLike) -> NDArray[Any]:
    """The probability of each logit: ``1 / (1 + exp(-x))``."""
    return 1 / (1 + np.exp(-np.asarray(logits)))  # type: ignore[no-any-return]

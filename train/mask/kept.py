"""Classes without an example: what the start model knows of them is kept, not unlearned.

A softmax that never sees a class learns never to answer it. Here the start model's answer for such a class stays part
of the truth (learning without forgetting, https://arxiv.org/abs/1606.09282), up to a share that the label outweighs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.values import LABELS, Label

MOST_KEPT = 0.4
"""Of the truth, so that the label that the operator gave stays the likeliest."""

Floats = NDArray[np.float32]


class Kept:
    """Changes the truth of a batch.

    Args:
        start: The model that training starts from; its weights must not change later.
        absent: Labels without an example.
    """

    def __init__(self, start: Any, absent: Sequence[Label]) -> None:
        self._start = start
        self._absent = [LABELS.index(label) for label in absent]

    def __call__(self, inputs: Floats, targets: Floats) -> Floats:
        """(N, classes) truth for (N, size, size, 3) views; may be called from several threads."""
        answers = np.asarray(self._start.predict_on_batch(inputs), np.float32)[:, self._absent]
        total = answers.sum(axis=1, keepdims=True)
        answers *= np.minimum(1, MOST_KEPT / np.maximum(total, 1e-9))
        kept: Floats = targets * (1 - answers.sum(axis=1, keepdims=True))
        kept[:, self._absent] += answers
        return kept

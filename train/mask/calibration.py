"""How far probabilities can be believed: expected calibration error, and the temperature that reduces it most.

Both as in Guo et al., On Calibration of Modern Neural Networks (https://arxiv.org/abs/1706.04599).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.errors import ConfigError
from edge.values import LABELS, Face, Image, Reading
from train.mask.data import face_box, load, read

BINS = 15
"""Of equal width over [0, 1]."""

LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.2, 5.0
STEPS = 60
"""Steps of the search; each keeps two thirds of the interval."""


Judge = Callable[[Image, Sequence[Face]], list[Reading]]


class Calibration(NamedTuple):
    """How believable a score is.

    Attributes:
        error: Mean over the scores of the gap between score and share of right ones in its bin, in [0, 1].
        faces: How many scores.
    """

    error: float
    faces: int


class Judged(NamedTuple):
    """``probabilities`` (N, 3) in the order of ``LABELS``, and the index of each face's true label, (N,)."""

    probabilities: NDArray[np.float64]
    truth: NDArray[np.intp]


def calibration(scores: ArrayLike, right: ArrayLike, bins: int = BINS) -> Calibration | None:
    """The expected calibration error, or None of no scores.

    Args:
        scores: (N,) in [0, 1].
        right: (N,) whether what each score stands for was so.
        bins: Of equal width.
    """
    told, so = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    if not len(told):
        return None
    place = np.minimum((told * bins).astype(np.intp), bins - 1)
    gaps = np.bincount(place, told - so, minlength=bins)
    return Calibration(float(np.abs(gaps).sum() / len(told)), len(told))


def tempered(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """(N, 3) probabilities as the softmax of their logits divided by ``temperature``: above 1 less sure."""
    powers = np.power(probabilities, 1 / temperature)
    scaled: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return scaled


def log_loss(judged: Judged, weights: NDArray[np.float64] | None = None) -> float:
    """Mean negative logarithm of the probability given to the truth, in nats; ``weights`` (N,) where faces differ."""
    given = judged.probabilities[np.arange(len(judged.truth)), judged.truth]
    return float(np.average(-np.log(np.maximum(given, np.finfo(np.float64).tiny)), weights=weights))


def fit_temperature(judged: Judged, weights: NDArray[np.float64] | None = None) -> float:
    """The temperature of least ``log_loss``, which is convex in its inverse: found by ternary search.

    Args:
        judged: At least one face; do not measure on these afterwards.
        weights: (N,) of the faces, where they are not to count alike.
    """
    low, high = 1 / MOST_TEMPERATURE, 1 / LEAST_TEMPERATURE
    for _ in range(STEPS):
        first, second = low + (high - low) / 3, high - (high - low) / 3
        if _loss_at(judged, weights, 1 / first) < _loss_at(judged, weights, 1 / second):
            high = second
        else:
            low = first
    return 2 / (low + high)


def judge_held_out(path: Path, judge: Judge) -> Judged:
    """Judge faces that the data set itself holds back from training (split=val in a labels.csv).

    Args:
        path: Any layout that ``train.mask.data.read`` takes.
        judge: Judges faces of a picture, in annotated boxes, or in the whole picture where it is a tight crop.

    Raises:
        ConfigError: It holds none back, or cannot be read.
    """
    held = [sample for sample in read(path) if sample.validation]
    if not held:
        raise ConfigError(f"{path} holds no face back from training; name a labels.csv with rows of split val.")
    probabilities = []
    for sample in held:
        image = load(sample.path)
        (reading,) = judge(image, [Face(face_box(sample, image), 1.0)])
        probabilities.append(reading.probabilities)
    return Judged(np.array(probabilities), np.array([LABELS.index(sample.label) for sample in held], np.intp))


def _loss_at(judged: Judged, weights: NDArray[np.float64] | None, temperature: float) -> float:
    return log_loss(Judged(tempered(judged.probabilities, temperature), judged.truth), weights)

"""The rule by which a doubtful face's score changes once it was looked at again, settled on held-out photos.

Two weights say how much each of the two models is worth: logistic regression of the truth on both logits. Scale and
bias then set what scores mean, as ``train.face.scores`` does for the face model alone, so that thresholds can stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.vision.confirmed import LEAST_PROBABILITY
from edge.vision.models import ConfirmRule
from train.confirm.candidates import LEAST_SCORE, Candidate
from train.face.scores import FALSE_SHARE, LIVE, STILL, lowest, meaning

STILL_UNMATCHED = 0.2
"""Candidates per held-out photo that are no faces and reach ``STILL``."""

MOST_SCORE = 0.99
"""A face of a higher score is never doubtful."""

STEPS = np.linspace(0.02, 0.98, 481)
"""Probabilities of the regression that are tried as thresholds."""

Scores = NDArray[np.float64]


class Looked(NamedTuple):
    """Candidates that were looked at again.

    Attributes:
        candidates: N of them.
        seen: (N,), what the confirmation model says of each.
        photos: How many photos they are from.
    """

    candidates: Sequence[Candidate]
    seen: Scores
    photos: int


def settle(held: Looked, empty: Looked) -> ConfirmRule:
    """Fit the weights, then set the meaning of scores.

    Args:
        held: Of held-out photos with faces; those that the face model missed are left out.
        empty: Of photos without a face.

    Raises:
        ConfigError: The candidates are too few, or the confirmation model tells nothing.
    """
    from sklearn.linear_model import LogisticRegression

    truth = np.array([one.face for one in held.candidates])
    scored = np.array([one.score for one in held.candidates]) > 0
    if min(truth[scored].sum(), (~truth[scored]).sum()) < 1:
        raise ConfigError("The held-out photos have no candidates of both kinds: hold out more with --hold-out.")
    features = _logits(held.candidates, held.seen)
    fitted = LogisticRegression(C=100.0).fit(features[scored], truth[scored])
    face, confirm = (float(weight) for weight in fitted.coef_[0])
    if min(face, confirm) <= 0:
        raise ConfigError("The confirmation model tells nothing that the face model does not: train it longer.")
    bias = float(fitted.intercept_[0])
    weights = np.array([face, confirm])
    others = _probability(features[scored & ~truth] @ weights + bias)
    best = _best_of_each(empty.candidates, _probability(_logits(empty.candidates, empty.seen) @ weights + bias))
    still = lowest(STEPS, [float((others >= step).sum()) / held.photos for step in STEPS], STILL_UNMATCHED)
    live = lowest(STEPS, [float((best >= step).sum()) / empty.photos for step in STEPS], FALSE_SHARE)
    scale, shift = meaning(max(live, still + 1e-3), still)
    return _bounded(face * scale, confirm * scale, bias * scale + shift)


def scores(candidates: Sequence[Candidate], seen: Scores, rule: ConfirmRule) -> Scores:
    """The scores of candidates after the second look, (N,); those beyond doubt keep theirs."""
    before = np.array([one.score for one in candidates])
    after = _probability(_logits(candidates, seen) @ np.array([rule.face, rule.confirm]) + rule.bias)
    return np.where((before >= rule.doubtful_from) & (before < rule.doubtful_to), after, before)


def _bounded(face: float, confirm: float, bias: float) -> ConfirmRule:
    """The rule with the scores between which the second look can change an answer at ``STILL`` or ``LIVE``."""
    most = confirm * _logit(1 - LEAST_PROBABILITY)
    least = float(_probability((_logit(STILL) - bias - most) / face))
    highest = float(_probability((_logit(LIVE) - bias + most) / face))
    return ConfirmRule(
        doubtful_from=round(min(max(least, LEAST_SCORE), STILL), 3),
        doubtful_to=round(min(max(highest, LIVE), MOST_SCORE), 3),
        face=round(face, 4),
        confirm=round(confirm, 4),
        bias=round(bias, 4),
    )


def _best_of_each(candidates: Sequence[Candidate], probabilities: Scores) -> Scores:
    """The highest probability in each photo that has candidates."""
    best: dict[str, float] = {}
    for one, probability in zip(candidates, probabilities.tolist(), strict=True):
        best[str(one.photo)] = max(probability, best.get(str(one.photo), 0.0))
    return np.array(list(best.values()))


def _logits(candidates: Sequence[Candidate], seen: Scores) -> NDArray[np.float64]:
    before = np.clip([one.score for one in candidates], 1e-3, 1 - 1e-3)
    sure = np.clip(seen, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.column_stack([np.log(each / (1 - each)) for each in (before, sure)]).reshape(-1, 2)


def _probability(logit: NDArray[np.float64] | float) -> Scores:
    return np.asarray(1 / (1 + np.exp(-np.asarray(logit, np.float64))))


def _logit(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))

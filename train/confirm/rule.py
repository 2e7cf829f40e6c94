"""Settles the rule by which the score of a doubtful face changes after the second look, on held-out photos.

Logistic regression of the truth on the logits of both models gives each model's weight. Scale and bias then set what
scores mean, so that thresholds can stay: at the thresholds of live video and of stills, as many faces are found as by
the face model alone, with fewer false boxes. ``edge.vision.confirmed`` applies the rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.vision.confirmed import LEAST_PROBABILITY, is_doubtful, rescored
from edge.vision.models import ConfirmRule
from train.common.logistic import logit, sigmoid
from train.confirm.candidates import Candidate
from train.face.scores import LIVE, STILL, meaning

NEVER = 1e-6
"""No score is this close to 0 or 1: between the two, the rule changes every score."""

LEAST_SCORE = 1e-3
"""Scores closer to 0 or 1 than this count as that far from it in the regression."""

Scores = NDArray[np.float64]


class Weights(NamedTuple):
    """A linear combination of the logits of the face model and of the second look."""

    face: float
    confirm: float
    bias: float


def settle(candidates: Sequence[Candidate], seen: Scores) -> ConfirmRule:
    """Fit the weights, then set the meaning of scores.

    Args:
        candidates: Of held-out photos; faces that the face model missed are left out.
        seen: (N,), the probability that the confirmation model gives each candidate.

    Raises:
        ConfigError: There are no faces or no other boxes among the candidates, or the confirmation model is useless.
    """
    before, truth = _before(candidates), np.array([one.face for one in candidates])
    scored = before > 0
    before, truth = before[scored], truth[scored]
    logits = np.column_stack([logit(before, LEAST_SCORE), logit(seen[scored], LEAST_PROBABILITY)])
    weights = _fitted(logits, truth)
    faces = sigmoid(logits[truth] @ np.array([weights.face, weights.confirm]) + weights.bias)
    live, still = (_as_often(faces, int((before[truth] >= threshold).sum())) for threshold in (LIVE, STILL))
    scale, shift = meaning(live, still)
    everywhere = ConfirmRule(
        doubtful_from=NEVER,
        doubtful_to=1 - NEVER,
        face=round(weights.face * scale, 4),
        confirm=round(weights.confirm * scale, 4),
        bias=round(weights.bias * scale + shift, 4),
    )
    return _bounded(candidates, seen, everywhere)


def scores(candidates: Sequence[Candidate], seen: Scores, rule: ConfirmRule) -> Scores:
    """The scores of candidates after the second look, (N,); those beyond doubt keep theirs."""
    return np.array(
        [
            rescored(one.score, probability, rule) if is_doubtful(one.score, rule) else one.score
            for one, probability in zip(candidates, seen.tolist(), strict=True)
        ]
    )


def _fitted(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> Weights:
    """The weights that tell faces from other boxes best, from (N, 2) logits and their truth, (N,)."""
    from sklearn.linear_model import LogisticRegression

    if truth.all() or not truth.any():
        raise ConfigError("The held-out photos have no candidates of both kinds: hold out more with --hold-out.")
    fitted = LogisticRegression(C=100.0).fit(logits, truth)
    face, confirm = fitted.coef_[0].tolist()
    weights = Weights(face, confirm, float(fitted.intercept_[0]))
    if min(weights.face, weights.confirm) <= 0:
        raise ConfigError("The confirmation model tells nothing that the face model does not: train it longer.")
    return weights


def _as_often(faces: Scores, count: int) -> float:
    """The probability that ``count`` of the faces' probabilities, (N,), reach."""
    descending = np.sort(faces)[::-1]
    return float(np.clip(descending[max(count, 1) - 1], 1e-4, 1 - 1e-4))


def _bounded(candidates: Sequence[Candidate], seen: Scores, rule: ConfirmRule) -> ConfirmRule:
    """The rule, limited to the scores among which the second look changes an answer at ``STILL`` or ``LIVE``."""
    before, after = _before(candidates), scores(candidates, seen, rule)
    known = before > 0
    changed = np.concatenate(
        [before[known & ((before >= threshold) != (after >= threshold))] for threshold in (STILL, LIVE)]
    )
    low, high = float(changed.min(initial=STILL)), float(changed.max(initial=LIVE))
    bounds = {"doubtful_from": math.floor(1000 * low) / 1000, "doubtful_to": math.ceil(1000 * high + 1e-6) / 1000}
    return rule.model_copy(update=bounds)


def _before(candidates: Sequence[Candidate]) -> Scores:
    """The face model's scores, (N,)."""
    return np.array([one.score for one in candidates])

"""The rule by which a doubtful face's score changes once it was looked at again, settled on held-out photos.

Two weights say how much each of the two models is worth: logistic regression of the truth on both logits. Scale and
bias then set what scores mean, so that thresholds can stay: at the ones for live video and for stills as many faces are
found as by the face model alone, with fewer boxes on what is no face.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.vision.confirmed import LEAST_PROBABILITY
from edge.vision.models import ConfirmRule
from train.confirm.candidates import Candidate
from train.face.scores import LIVE, STILL, meaning

NEVER = 1e-6
"""A score below it, or that near to 1, does not occur."""

Scores = NDArray[np.float64]


def settle(candidates: Sequence[Candidate], seen: Scores) -> ConfirmRule:
    """Fit the weights, then set the meaning of scores.

    Args:
        candidates: Of held-out photos; those that the face model missed are left out.
        seen: (N,), what the confirmation model says of each.

    Raises:
        ConfigError: The candidates are of one kind, or the confirmation model tells nothing.
    """
    from sklearn.linear_model import LogisticRegression

    truth = np.array([one.face for one in candidates])
    scored = np.array([one.score for one in candidates]) > 0
    if min(truth[scored].sum(), (~truth[scored]).sum()) < 1:
        raise ConfigError("The held-out photos have no candidates of both kinds: hold out more with --hold-out.")
    features = _logits(candidates, seen)
    fitted = LogisticRegression(C=100.0).fit(features[scored], truth[scored])
    face, confirm = (float(weight) for weight in fitted.coef_[0])
    if min(face, confirm) <= 0:
        raise ConfigError("The confirmation model tells nothing that the face model does not: train it longer.")
    bias = float(fitted.intercept_[0])
    weights = np.array([face, confirm])
    found = np.array([one.score for one in candidates])[scored & truth]
    faces = np.sort(_probability(features[scored & truth] @ weights + bias))[::-1]
    live, still = (_as_often(faces, int((found >= threshold).sum())) for threshold in (LIVE, STILL))
    scale, shift = meaning(live, still)
    everywhere = ConfirmRule(
        doubtful_from=NEVER,
        doubtful_to=1 - NEVER,
        face=round(face * scale, 4),
        confirm=round(confirm * scale, 4),
        bias=round(bias * scale + shift, 4),
    )
    return _bounded(candidates, seen, everywhere)


def scores(candidates: Sequence[Candidate], seen: Scores, rule: ConfirmRule) -> Scores:
    """The scores of candidates after the second look, (N,); those beyond doubt keep theirs."""
    before = np.array([one.score for one in candidates])
    after = _probability(_logits(candidates, seen) @ np.array([rule.face, rule.confirm]) + rule.bias)
    return np.where((before >= rule.doubtful_from) & (before < rule.doubtful_to), after, before)


def _as_often(faces: Scores, count: int) -> float:
    """The probability that ``count`` of the faces reach; ``faces`` are theirs, the highest first."""
    return float(np.clip(faces[max(count, 1) - 1], 1e-4, 1 - 1e-4))


def _bounded(candidates: Sequence[Candidate], seen: Scores, rule: ConfirmRule) -> ConfirmRule:
    """The rule for those scores alone among which the second look changes an answer at ``STILL`` or ``LIVE``."""
    before, after = np.array([one.score for one in candidates]), scores(candidates, seen, rule)
    known = before > 0
    changed = np.concatenate(
        [before[known & ((before >= threshold) != (after >= threshold))] for threshold in (STILL, LIVE)]
    )
    low, high = float(changed.min(initial=STILL)), float(changed.max(initial=LIVE))
    bounds = {"doubtful_from": math.floor(1000 * low) / 1000, "doubtful_to": math.ceil(1000 * high + 1e-6) / 1000}
    return rule.model_copy(update=bounds)


def _logits(candidates: Sequence[Candidate], seen: Scores) -> NDArray[np.float64]:
    before = np.clip([one.score for one in candidates], 1e-3, 1 - 1e-3)
    sure = np.clip(seen, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.column_stack([np.log(each / (1 - each)) for each in (before, sure)]).reshape(-1, 2)


def _probability(logit: NDArray[np.float64] | float) -> Scores:
    return np.asarray(1 / (1 + np.exp(-np.asarray(logit, np.float64))))

"""Figures of a mask classifier, from its probabilities: what alarms are right, and which are missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.values import LABELS, Label
from train.mask.data import Sample

RATES = ("accuracy", "bare_alarmed", "masked_wrongly_alarmed", "badly_worn_flagged")


def figures(
    truth: NDArray[Any], probabilities: NDArray[Any], labels: Sequence[Label] = LABELS, alarm_below: float | None = None
) -> dict[str, Any]:
    """Figures of one set of faces.

    An alarm is any answer other than ``with_mask``. Rates over no faces are None.

    Args:
        truth: (N,) indices into ``labels``.
        probabilities: (N, len(labels)).
        labels: Names of the columns.
        alarm_below: As of a `edge.values.Reading`; None answers with the most probable label.

    Returns:
        JSON-ready: faces, accuracy, bare_alarmed, masked_wrongly_alarmed, badly_worn_flagged, recall and precision a
        class, balanced_loss (mean over classes of the mean cross-entropy, in nats), confusion (rows are the truth).
    """
    answer = answers(probabilities, labels, alarm_below)
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (truth, answer), 1)
    chosen = probabilities[np.arange(len(truth)), truth]
    losses = [-np.log(np.clip(chosen[truth == k], 1e-7, 1)).mean() for k in range(len(labels)) if (truth == k).any()]
    totals, said, right = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
    alarmed = {label: _alarmed(confusion, labels, label) for label in Label}
    return {
        "faces": len(truth),
        "accuracy": _rate(right.sum(), len(truth)),
        "bare_alarmed": alarmed[Label.WITHOUT_MASK],
        "masked_wrongly_alarmed": alarmed[Label.WITH_MASK],
        "badly_worn_flagged": alarmed[Label.MASK_WORN_INCORRECTLY],
        "balanced_loss": round(float(np.mean(losses)), 4) if losses else None,
        "per_class": {
            str(label): {
                "faces": int(totals[k]),
                "recall": _rate(right[k], totals[k]),
                "precision": _rate(right[k], said[k]),
            }
            for k, label in enumerate(labels)
        },
        "confusion": confusion.tolist(),
        "labels": [str(label) for label in labels],
    }


def answers(
    probabilities: NDArray[Any], labels: Sequence[Label] = LABELS, alarm_below: float | None = None
) -> NDArray[np.intp]:
    """(N,) indices of the labels that (N, len(labels)) probabilities are answered with; see `figures`."""
    if alarm_below is None:
        likeliest: NDArray[np.intp] = probabilities.argmax(axis=1)
        return likeliest
    masked = labels.index(Label.WITH_MASK)
    others = np.where(np.arange(len(labels)) == masked, -1.0, probabilities).argmax(axis=1)
    decided: NDArray[np.intp] = np.where(probabilities[:, masked] >= alarm_below, masked, others)
    return decided


def _alarmed(confusion: NDArray[Any], labels: Sequence[Label], label: Label) -> float | None:
    if label not in labels or Label.WITH_MASK not in labels:
        return None
    row = confusion[labels.index(label)]
    return _rate(row.sum() - row[labels.index(Label.WITH_MASK)], row.sum())


def _rate(part: float, whole: float) -> float | None:
    return round(float(part) / float(whole), 4) if whole else None


def describe(name: str, found: dict[str, Any]) -> str:
    """One line for the terminal."""

    def percent(key: str) -> str:
        return "-" if found[key] is None else f"{100 * found[key]:.1f} %"

    return f"{name}: {found['faces']} faces, " + ", ".join(f"{key.replace('_', ' ')} {percent(key)}" for key in RATES)


def balancing(truth: NDArray[np.intp]) -> NDArray[np.float64]:
    """(N,) weights that make every class that occurs count alike; ``truth`` holds class indices."""
    counts = np.bincount(truth)
    return 1 / counts[truth]


def indices(samples: Sequence[Sample], labels: Sequence[Label]) -> NDArray[np.intp]:
    """(N,) positions of the samples' labels in ``labels``."""
    return np.array([labels.index(sample.label) for sample in samples], np.intp)

"""How a trained classifier answers at the door: the class shares it expects, its temperature, its alarm threshold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.values import LABELS, Label
from train.mask.calibration import Judged, fit_temperature, tempered
from train.mask.data import Sample
from train.mask.figures import balancing, figures, indices
from train.mask.threshold import EVEN, cheapest
from train.mask.views import CLASS_SHARES, weights

OBSERVED_SHARES = {Label.WITH_MASK: 0.80, Label.WITHOUT_MASK: 0.11, Label.MASK_WORN_INCORRECTLY: 0.09}
"""What observers counted where masks had to be worn (https://doi.org/10.54111/0001/cc18)."""

OVERLOOKED = {Label.WITH_MASK: 1.0, Label.WITHOUT_MASK: 2.5, Label.MASK_WORN_INCORRECTLY: 1.0}
"""What it weighs to take a face of this class for masked, in false alarms on masked ones.

Settled on held-out faces of 40 pixels and more of three trainings, each with another ``--split`` (961 masked, 1,738
bare, 165 worn badly), so that 1.5 % of the bare missed, 1.5 % of the masked alarmed and 20 % of the badly worn missed
are all kept well below; of weights that do so about equally, these name the most labels right.
"""

ENOUGH = 30
"""Held-out faces of each class for calibration: from fewer, a few mislabelled ones decide."""


class Settled(NamedTuple):
    """How a classifier is set for the door.

    Attributes:
        temperature: That calibrates it.
        alarm_below: Probability of ``with_mask`` below which it alarms.
        found: Its figures on the held-out faces; None where there are none.
    """

    temperature: float = 1.0
    alarm_below: float = EVEN
    found: dict[str, Any] | None = None


UNSETTLED = Settled()
"""Of a start model whose settings were not recorded."""


def shares() -> dict[Label, float]:
    """The class shares that the saved model answers for, not those that training drew; they sum to 1."""
    weighed = {label: share * OVERLOOKED[label] for label, share in OBSERVED_SHARES.items()}
    return {label: share / sum(weighed.values()) for label, share in weighed.items()}


def ratios() -> NDArray[np.float64]:
    """(classes,) expected shares over drawn ones, in the order of the labels."""
    expected = shares()
    return np.array([expected[label] / CLASS_SHARES[label] for label in LABELS])


def uncalibrated(held_out: Sequence[Sample], learned: Collection[Label]) -> str:
    """Why no temperature and no threshold can be fitted to the held-out faces; "" where they can.

    Args:
        held_out: The faces.
        learned: Classes that are trained.
    """
    counts = Counter(sample.label for sample in held_out)
    short = [f"{label} {counts[label]}" for label in LABELS if label in learned and counts[label] < ENOUGH]
    if not short:
        return ""
    return f"too few held-out faces ({', '.join(short)}; it takes {ENOUGH} of each class)"


def settle(
    probabilities: NDArray[np.float64],
    held_out: Sequence[Sample],
    draw: Mapping[str, float],
    calibrate: bool,
    started: Settled = UNSETTLED,
    *,
    surer: bool = True,
) -> Settled:
    """Fit what is fitted to held-out faces, and tell the figures that come of it.

    Args:
        probabilities: (N, classes), as trained.
        held_out: The N faces.
        draw: How many times more often the faces of a source count.
        calibrate: Whether there are enough faces, see `uncalibrated`.
        started: The start model's temperature and threshold, kept where none can be fitted.
        surer: Whether the temperature may fall below the start's. After a finished model saw few photos of one place it
            should not: nearly all of them are right, which says little about other places.
    """
    if not held_out:
        return started._replace(found=None)
    truth = indices(held_out, LABELS)
    temperature = fit_temperature(Judged(probabilities, truth), balancing(truth)) if calibrate else started.temperature
    temperature = temperature if surer else max(temperature, started.temperature)
    calibrated = tempered(probabilities, temperature)
    weighed = calibrated * ratios()
    answers = weighed / weighed.sum(axis=1, keepdims=True)
    alarm_below = cheapest(Judged(answers, truth), weights(held_out, draw)) if calibrate else started.alarm_below
    found = figures(truth, answers, alarm_below=alarm_below)
    found["balanced_loss"] = figures(truth, calibrated)["balanced_loss"]
    found["temperature"] = round(temperature, 3)
    return Settled(temperature, alarm_below, found)

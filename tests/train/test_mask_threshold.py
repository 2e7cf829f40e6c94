"""The alarm threshold that a training chooses from its held-out faces."""

from __future__ import annotations

import numpy as np
import pytest

from edge.values import LABELS, Label, Reading
from tests.people.helpers import face
from train.mask.calibration import Judged
from train.mask.figures import answers, figures
from train.mask.threshold import cheapest

MASKED, BARE = LABELS.index(Label.WITH_MASK), LABELS.index(Label.WITHOUT_MASK)
BADLY = LABELS.index(Label.MASK_WORN_INCORRECTLY)


def judged(*groups: tuple[int, float, int]) -> Judged:
    """Faces by class, probability of a mask, and how many."""
    rows, truth = [], []
    for label, masked, count in groups:
        rows += [(masked, (1 - masked) / 2, (1 - masked) / 2)] * count
        truth += [label] * count
    return Judged(np.array(rows), np.array(truth, np.intp))


def test_the_threshold_separates_masked_faces() -> None:
    assert 0.65 < cheapest(judged((MASKED, 0.97, 100), (BARE, 0.02, 50), (BADLY, 0.65, 20))) < 0.97
    assert 0.05 < cheapest(judged((MASKED, 0.4, 100), (BARE, 0.02, 50), (BADLY, 0.03, 20))) < 0.4


def test_one_badly_worn_mask_moves_little() -> None:
    assert cheapest(judged((MASKED, 0.9, 100), (BARE, 0.02, 50), (BADLY, 0.3, 19), (BADLY, 0.95, 1))) < 0.9


def test_faces_count_as_they_are_weighed() -> None:
    faces = judged((MASKED, 0.97, 200), (BADLY, 0.3, 100), (BADLY, 0.8, 100))
    weights = np.ones(400)
    alike = cheapest(faces, weights)
    weights[300:] = 0.01
    assert cheapest(faces, weights) < alike


def test_few_faces_move_thresholds_less() -> None:
    few, many = (cheapest(judged((MASKED, 0.95, count), (BADLY, 0.3, count), (BADLY, 0.6, 1))) for count in (3, 300))
    assert 0.5 <= few < many


@pytest.mark.parametrize("alarm_below", [0.3, 0.5, 0.8])
def test_figures_answer_as_the_device_does(alarm_below: float) -> None:
    rng = np.random.default_rng(0)
    rows = rng.dirichlet((1, 1, 1), 50)
    told = [LABELS[index] for index in answers(rows, LABELS, alarm_below)]
    assert told == [Reading(face(0), tuple(row), alarm_below).label for row in rows]
    truth = np.zeros(50, np.intp)
    alarms = figures(truth, rows, alarm_below=alarm_below)["masked_wrongly_alarmed"]
    assert alarms == pytest.approx(np.mean(rows[:, MASKED] < alarm_below))

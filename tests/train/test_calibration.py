"""Calibration: what the error counts, and the temperature that reduces it."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError
from train.mask.calibration import Calibration, Judged, calibration, fit_temperature, judge_held_out, log_loss, tempered


def test_the_error_is_confidence_minus_accuracy() -> None:
    assert calibration([0.9] * 10, [True] * 6 + [False] * 4) == (pytest.approx(0.3), 10)


def test_bins_weigh_by_their_size() -> None:
    measured = calibration([0.95] * 3 + [0.05], [True, True, True, True])
    assert measured == (pytest.approx((3 * 0.05 + 0.95) / 4), 4)


def test_errors_of_bins_do_not_cancel() -> None:
    assert calibration([0.8, 0.2], [False, True]) == (pytest.approx(0.8), 2)


def test_bins_include_both_ends() -> None:
    assert calibration([0.0, 1.0], [False, True]) == Calibration(0.0, 2)


def test_no_scores_give_no_error() -> None:
    assert calibration([], []) is None


probabilities = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda p: np.array([p]) / sum(p))


@given(probabilities, st.floats(0.2, 5))
def test_temperatures_keep_order_and_sum(given: np.ndarray, temperature: float) -> None:
    after = tempered(given, temperature)
    assert after.sum() == pytest.approx(1)
    clearly_ordered = np.diff(np.sort(given[0])).min() > 1e-9
    assert not clearly_ordered or list(np.argsort(after[0])) == list(np.argsort(given[0]))


def test_a_temperature_of_one_changes_nothing() -> None:
    given = np.array([[0.7, 0.2, 0.1]])
    assert tempered(given, 1) == pytest.approx(given)


@pytest.mark.parametrize("by", [0.5, 2.0])
def test_a_known_temperature_is_recovered(by: float) -> None:
    honest = np.array([[0.6, 0.3, 0.1]] * 10)
    truth = np.array([0] * 6 + [1] * 3 + [2])
    spoilt = Judged(tempered(honest, 1 / by), truth)
    assert fit_temperature(spoilt) == pytest.approx(by, abs=0.01)


def test_temperatures_can_weigh_classes_equally() -> None:
    sure, unsure = [0.9, 0.1, 0.0], [0.5, 0.5, 0.0]
    judged = Judged(np.array([sure] * 9 + [unsure]), np.array([0] * 9 + [1]))
    kept = [1.0] * 9 + [0.0]
    assert fit_temperature(judged, kept) == pytest.approx(
        fit_temperature(Judged(np.array([sure] * 9), np.zeros(9, int)))
    )
    assert log_loss(judged, kept) == pytest.approx(-math.log(0.9))


def test_log_loss_is_of_the_truth() -> None:
    judged = Judged(np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]), np.array([0, 2]))
    assert log_loss(judged) == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_calibration_needs_held_out_data(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,label\na.png,with_mask\n")
    with pytest.raises(ConfigError, match="split val"):
        judge_held_out(tmp_path / "labels.csv", lambda image, faces: [])

"""What taking the mean shift of int8 scores out of the biases promises."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

from convert import quantize  # noqa: E402
from convert.face import at_size  # noqa: E402
from convert.unbias import unbias  # noqa: E402
from train.face.model import STRIDES, build_face_model  # noqa: E402

SIDE = 64


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (12, SIDE, SIDE, 3)).astype(np.uint8))


@pytest.fixture(scope="module")
def scoring() -> Any:
    """A detector all of whose scores lie near 0.5."""
    keras.utils.set_random_seed(1)
    model = build_face_model(SIDE, SIDE)
    for stride in STRIDES:
        kernel, bias = model.get_layer(f"logit_{stride}").get_weights()
        model.get_layer(f"logit_{stride}").set_weights([kernel * 0.1, bias * 0])
    return model


def quantized(pictures: list[np.ndarray], shift: float = 0.0) -> Callable[[Any], bytes]:
    """An int8 form whose scores are ``shift`` logits too high."""

    def convert(model: Any) -> bytes:
        form = at_size(model, SIDE, SIDE)
        for stride in STRIDES:
            kernel, bias = form.get_layer(f"logit_{stride}").get_weights()
            form.get_layer(f"logit_{stride}").set_weights([kernel, bias + shift])
        return quantize.to_int8(quantize.freeze(form), pictures)

    return convert


def biases(model: Any) -> list[float]:
    return [float(model.get_layer(f"logit_{stride}").get_weights()[1][0]) for stride in STRIDES]


def test_a_common_shift_is_taken_out(scoring: Any, pictures: list[np.ndarray]) -> None:
    model = at_size(scoring, SIDE, SIDE)
    moved = unbias(model, pictures, quantized(pictures, shift=0.25))
    assert list(moved.values()) == pytest.approx([-0.25] * len(STRIDES), abs=0.05)
    assert biases(model) == pytest.approx([old + by for old, by in zip(biases(scoring), moved.values(), strict=True)])


def test_scores_far_from_thresholds_move_nothing(scoring: Any, pictures: list[np.ndarray]) -> None:
    model = at_size(scoring, SIDE, SIDE)
    for stride in STRIDES:
        kernel, bias = model.get_layer(f"logit_{stride}").get_weights()
        model.get_layer(f"logit_{stride}").set_weights([kernel, bias - 6])
    assert set(unbias(model, pictures[:2], quantized(pictures)).values()) == {0.0}

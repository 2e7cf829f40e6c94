"""A convolution with one output, spread over nine."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from convert.spread import spread  # noqa: E402
from tests.nonempty import some  # noqa: E402
from train.face.model import build_face_model  # noqa: E402


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (1, 64, 96, 3)).astype(np.float32)


def test_it_gives_the_same_up_to_the_edges(picture: np.ndarray) -> None:
    image = keras.Input((64, 96, 3))
    model = keras.Model(image, keras.layers.Conv2D(1, 3, padding="same", bias_initializer="normal")(image))
    np.testing.assert_allclose(spread(model)(picture), model(picture), atol=1e-5)


def test_a_face_model_keeps_its_outputs(picture: np.ndarray) -> None:
    model = build_face_model(96, 64)
    expected, found = model(picture), spread(model)(picture)
    assert found.keys() == expected.keys()
    for name in some(found):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


def test_only_single_outputs_are_spread() -> None:
    model = build_face_model(96, 64)
    kinds = {layer.name: type(layer) for layer in model.layers}
    changed = {layer.name for layer in spread(model).layers if type(layer) is not kinds[layer.name]}
    assert changed == {"bounded_8", "bounded_16", "bounded_32"}

"""What giving channels like ranges promises before a model becomes int8."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

from convert import quantize  # noqa: E402
from convert.equalise import equalise  # noqa: E402
from edge.runtime import open_model  # noqa: E402
from edge.vision.preprocess import normalise  # noqa: E402

SIDE = 16


def uneven_model() -> keras.Model:
    """A block whose channels reach from tenths to tens between its two convolutions."""
    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.Conv2D(8, 1, name="block_pointwise")(image)
    x = keras.layers.DepthwiseConv2D(3, padding="same", name="block_depthwise")(x)
    model = keras.Model(image, keras.layers.ReLU()(x))
    times = np.float32(10.0 ** np.linspace(-1, 1, 8))
    for name, factor in (("block_pointwise", times), ("block_depthwise", 1 / times[:, None])):
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel * factor, bias])
    return model


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (40, SIDE, SIDE, 3)).astype(np.uint8))


def between(model: keras.Model, pictures: list[np.ndarray]) -> np.ndarray:
    """The largest magnitude of each channel between the two convolutions."""
    layer = model.get_layer("block_pointwise")
    seen = keras.Model(model.input, layer.output).predict_on_batch(normalise(np.stack(pictures)))
    return np.abs(seen).max(axis=(0, 1, 2))


def test_equalised_channels_keep_their_answers(pictures: list[np.ndarray]) -> None:
    model = uneven_model()
    before = model.predict_on_batch(normalise(np.stack(pictures)))
    assert np.ptp(np.log10(between(model, pictures))) > 1.5
    equalise(model, pictures)
    np.testing.assert_allclose(model.predict_on_batch(normalise(np.stack(pictures))), before, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(between(model, pictures), between(model, pictures).max(), rtol=1e-4)


def test_int8_errs_less_on_like_channels(pictures: list[np.ndarray]) -> None:
    model = uneven_model()
    uneven = int8_error(model, pictures)
    equalise(model, pictures)
    assert int8_error(model, pictures) < 0.5 * uneven


def test_a_channel_that_never_moves_stays(pictures: list[np.ndarray]) -> None:
    model = uneven_model()
    layer = model.get_layer("block_pointwise")
    kernel, bias = layer.get_weights()
    kernel[..., 3] = 0
    layer.set_weights([kernel, bias])
    equalise(model, pictures)
    assert not layer.get_weights()[0][..., 3].any()
    assert np.isfinite(model.get_layer("block_depthwise").get_weights()[0]).all()


def int8_error(model: keras.Model, pictures: list[np.ndarray]) -> float:
    """Of the largest value of each picture's answer, how far int8 is off on the average."""
    function = quantize.freeze(model)
    small = open_model(quantize.to_int8(function, pictures), threads=1)
    levels = small.input.quantization
    errors = []
    for values in normalise(np.stack(pictures[:8])):
        stored = np.clip(np.round(values / levels.scale + levels.zero_point), -128, 127).astype(np.int8)
        (answer,) = small.invoke(stored[None])
        errors.append(np.abs(answer.real() - model.predict_on_batch(values[None])).mean())
    return float(np.mean(errors))

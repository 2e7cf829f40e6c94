"""The face detector: a small fully convolutional, anchor-free network of strides 8, 16 and 32.

Only operations that the Edge TPU maps: Conv2D, DepthwiseConv2D, BatchNormalization, ReLU6, Add, bilinear 2x
UpSampling2D and sigmoid. Decoding and non-maximum suppression happen outside the model.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers

from edge.errors import ConfigError

STRIDES = (8, 16, 32)
"""Pixels of the input between neighbouring cells of each output map."""

NECK_CHANNELS = 64
PRIOR_SCORE = 0.01
BATCH_NORM_MOMENTUM = 0.97
RESIDUAL_GAMMA = 0.1
"""Of the last batch norm of a residual block, which so begins near the identity: a trained model can be deepened."""


def build_face_model(width: int, height: int) -> keras.Model:
    """Build the detector with fresh weights.

    Args:
        width: Of the input in pixels, a multiple of 32.
        height: Of the input in pixels, a multiple of 32.

    Returns:
        A model from (N, height, width, 3) float32 RGB in [-1, 1] (``edge.vision.preprocess.normalise``) to a dict
        of six maps. For each stride s of ``STRIDES``: ``score_s`` (N, height/s, width/s, 1) in [0, 1], the expected
        IoU of the box with a face, and ``bbox_s`` (N, height/s, width/s, 4), (dx, dy, log_w, log_h), where
        cx = (column + 0.5 + dx) * s, cy = (row + 0.5 + dy) * s, w = exp(log_w) * s, h = exp(log_h) * s in pixels of
        the input, as in YOLOX (https://arxiv.org/abs/2107.08430) but centred on cells.

    Raises:
        ConfigError: A side is not a positive multiple of 32.
    """
    if min(width, height) <= 0 or width % STRIDES[-1] or height % STRIDES[-1]:
        raise ConfigError(
            f"The face model's input of {width}x{height} is not possible: "
            f"choose a width and height that are multiples of {STRIDES[-1]}, such as 320x320."
        )
    image = keras.Input((height, width, 3), name="image")
    maps = _neck(*_backbone(image))
    outputs: dict[str, Any] = {}
    for stride, pyramid in zip(STRIDES, maps, strict=True):
        features = _separable(_residual(pyramid, name=f"refine_{stride}"), NECK_CHANNELS, name=f"head_{stride}")
        logit = layers.Conv2D(
            1, 1, bias_initializer=keras.initializers.Constant(_logit(PRIOR_SCORE)), name=f"logit_{stride}"
        )(features)
        outputs[f"score_{stride}"] = layers.Activation("sigmoid", name=f"score_{stride}")(logit)
        outputs[f"bbox_{stride}"] = layers.Conv2D(
            4, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), name=f"bbox_{stride}"
        )(features)
    return keras.Model(image, outputs, name="face_detector")


def _backbone(image: Any) -> tuple[Any, Any, Any]:
    """Features at strides 8, 16 and 32."""
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="stem")(image)
    x = layers.ReLU(6.0, name="stem_relu")(_batch_norm("stem")(x))
    x = _stage(x, 32, blocks=2, name="stage_4")
    c3 = _stage(x, 64, blocks=3, name="stage_8")
    c4 = _stage(c3, 96, blocks=6, name="stage_16")
    c5 = _stage(c4, 128, blocks=5, name="stage_32")
    return c3, c4, c5


def _neck(c3: Any, c4: Any, c5: Any) -> tuple[Any, Any, Any]:
    """A top-down feature pyramid (https://arxiv.org/abs/1612.03144) with separable smoothing."""
    p5 = _lateral(c5, "lateral_32")
    p4 = _merge(p5, _lateral(c4, "lateral_16"), "merge_16")
    p3 = _merge(p4, _lateral(c3, "lateral_8"), "merge_8")
    return p3, p4, p5


def _lateral(x: Any, name: str) -> Any:
    x = layers.Conv2D(NECK_CHANNELS, 1, use_bias=False, name=name)(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(_batch_norm(name)(x))


def _merge(coarse: Any, fine: Any, name: str) -> Any:
    coarse = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_up")(coarse)
    return _separable(layers.Add(name=f"{name}_add")([coarse, fine]), NECK_CHANNELS, name=name)


def _stage(x: Any, channels: int, blocks: int, name: str) -> Any:
    """Halve the resolution, then refine with residual blocks."""
    x = _separable(x, channels, strides=2, name=f"{name}_0")
    for index in range(1, blocks):
        x = _residual(x, name=f"{name}_{index}")
    return x


def _residual(x: Any, name: str) -> Any:
    return layers.Add(name=f"{name}_add")([x, _separable(x, x.shape[-1], name=name, gamma=RESIDUAL_GAMMA)])


def _separable(x: Any, channels: int, name: str, strides: int = 1, gamma: float = 1.0) -> Any:
    """Depthwise 3x3 then pointwise convolution, each with batch norm and ReLU6."""
    x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(_batch_norm(f"{name}_depthwise")(x))
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise")(x)
    return layers.ReLU(6.0, name=f"{name}_pointwise_relu")(_batch_norm(f"{name}_pointwise", gamma)(x))


def _batch_norm(name: str, gamma: float = 1.0) -> Any:
    initial = keras.initializers.Constant(gamma)
    return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, gamma_initializer=initial, name=f"{name}_bn")


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))

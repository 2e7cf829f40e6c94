"""The face detector: a small fully convolutional, anchor-free network of strides 8, 16 and 32.

Its layers are those of YuNet (https://doi.org/10.1007/s11633-023-1423-y), so that training can start from the published
weights, see ``train.face.yunet``. At stride 4 it is narrower, and each stage has further blocks for the time saved.
Only operations that the Edge TPU maps: Conv2D, DepthwiseConv2D, ReLU, MaxPooling2D, Add, nearest 2x UpSampling2D and
sigmoid. Decoding and non-maximum suppression happen outside the model.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import layers

from edge.errors import ConfigError
from train.common.logistic import logit

STRIDES = (8, 16, 32)
"""Pixels of the input between neighbouring cells of each output map."""

CHANNELS = 64


class Early(NamedTuple):
    """Channels up to stride 4, where pixels are many and a channel costs most time.

    Attributes:
        stem: Of the first convolution.
        blocks: Of the blocks at stride 4.
    """

    stem: int
    blocks: tuple[int, int, int, int]


EARLY = Early(16, (16, 56, 56, CHANNELS))

FURTHER_BLOCKS = {8: 1, 16: 2, 32: 2}
"""Residual blocks that YuNet does not have, by stride: the time that the narrower channels save."""

PRIOR_SCORE = 0.01
LOGIT_LIMIT = 8.0
"""The largest magnitude of a logit. What is surely no face would go to -100 and leave few of int8's steps to doubt."""

BOUND = 6.0
"""Of ReLU6, which TFLite joins to a convolution: logits from -``LOGIT_LIMIT`` to ``LOGIT_LIMIT`` pass it as 0 to 6."""

RESIDUAL_SCALE = 0.1
"""Of the last weights of a residual block, which so begins near the identity: a trained model can be deepened."""


def build_face_model(width: int, height: int, early: Early = EARLY) -> keras.Model:
    """Build the detector with random weights.

    Args:
        width: Of the input in pixels, a multiple of 32.
        height: Of the input in pixels, a multiple of 32.
        early: Widths of the early layers.

    Returns:
        A model from (N, height, width, 3) float32 RGB in [-1, 1] (``edge.vision.preprocess.normalise``) to a dict
        of six maps. For each stride s of ``STRIDES``: ``score_s`` (N, height/s, width/s, 1) in [0, 1], the
        expected square root of the IoU of the box with a face, and ``bbox_s`` (N, height/s, width/s, 4),
        (dx, dy, log_w, log_h), where
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
    outputs: dict[str, Any] = {}
    for stride, features in zip(STRIDES, _neck(*_backbone(image, early)), strict=True):
        head = _block(features, CHANNELS, f"head_{stride}")
        outputs[f"score_{stride}"] = layers.Activation("sigmoid", name=f"score_{stride}")(_logits(head, stride))
        outputs[f"bbox_{stride}"] = _separable(head, 4, f"bbox_{stride}")
    return keras.Model(image, outputs, name="face_detector")


def bounded(value: float) -> float:
    """What stands for a logit before it passes ReLU6."""
    return (value + LOGIT_LIMIT) * BOUND / (2 * LOGIT_LIMIT)


def _logits(features: Any, stride: int) -> Any:
    x = layers.Conv2D(
        1,
        3,
        padding="same",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(bounded(float(logit(PRIOR_SCORE)))),
        name=f"bounded_{stride}",
    )(features)
    return layers.Conv2D(
        1,
        1,
        kernel_initializer=keras.initializers.Constant(2 * LOGIT_LIMIT / BOUND),
        bias_initializer=keras.initializers.Constant(-LOGIT_LIMIT),
        name=f"logit_{stride}",
    )(layers.ReLU(BOUND, name=f"bounded_{stride}_relu")(x))


def _backbone(image: Any, early: Early) -> list[Any]:
    """Features at strides 8, 16 and 32."""
    x = layers.Conv2D(early.stem, 3, strides=2, padding="same", kernel_initializer="he_normal", name="stem")(image)
    x = _block(layers.ReLU(name="stem_relu")(x), 16, "stem_2")
    x = layers.MaxPooling2D(name="pool_4")(x)
    for index, channels in enumerate(early.blocks):
        x = _block(x, channels, f"stage_4_{index}")
    features = []
    for stride in STRIDES:
        x = layers.MaxPooling2D(name=f"pool_{stride}")(x)
        for index in range(2):
            x = _block(x, CHANNELS, f"stage_{stride}_{index}")
        for index in range(FURTHER_BLOCKS[stride]):
            further = _block(x, CHANNELS, f"further_{stride}_{index}", RESIDUAL_SCALE)
            x = layers.Add(name=f"further_{stride}_{index}_add")([x, further])
        features.append(x)
    return features


def _neck(fine: Any, middle: Any, coarse: Any) -> tuple[Any, Any, Any]:
    """A top-down feature pyramid (https://arxiv.org/abs/1612.03144)."""
    coarse = _block(coarse, CHANNELS, "neck_32")
    middle = _merge(coarse, middle, "neck_16")
    return _merge(middle, fine, "neck_8"), middle, coarse


def _merge(coarse: Any, fine: Any, name: str) -> Any:
    enlarged = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_up")(coarse)
    return _block(layers.Add(name=f"{name}_add")([fine, enlarged]), CHANNELS, name)


def _block(x: Any, channels: int, name: str, scale: float = 1.0) -> Any:
    return layers.ReLU(name=f"{name}_relu")(_separable(x, channels, name, scale))


def _separable(x: Any, channels: int, name: str, scale: float = 1.0) -> Any:
    """A pointwise convolution, then a depthwise one of 3x3."""
    x = layers.Conv2D(channels, 1, name=f"{name}_pointwise")(x)
    spread = keras.initializers.VarianceScaling(2.0 * scale**2, mode="fan_in")
    return layers.DepthwiseConv2D(3, padding="same", depthwise_initializer=spread, name=_last(name))(x)


def _last(name: str) -> str:
    """Of the layer that gives a block's output: an output of the model has its name."""
    return name if name.startswith("bbox_") else f"{name}_depthwise"

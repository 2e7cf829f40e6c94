"""The mask classifier: MobileNetV2 (https://arxiv.org/abs/1801.04381) with a small head, in backend-neutral Keras 3."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import ConfigError
from train.common.accelerator import in_32_bits

BACKBONE = "mobilenet_v2"

BATCH_NORM_MOMENTUM = 0.99
"""Of layers that learn. Keras's own for MobileNetV2, 0.999, lets the statistics trail the weights by epochs of ours."""


def backbone(size: int, width: float, weights: str) -> Any:
    """MobileNetV2 without its classifier.

    Args:
        size: Of the square RGB input in [-1, 1], in pixels.
        width: Multiplier of the channel counts ("alpha").
        weights: ``imagenet`` (downloaded by Keras), ``none``, or the path of a .weights.h5 of this backbone.

    Returns:
        A keras.Model from (N, size, size, 3) float32 to (N, size/32, size/32, channels).

    Raises:
        ConfigError: The file is missing or does not fit this width.
    """
    path = None if weights in ("imagenet", "none") else Path(weights)
    if path is not None and not path.is_file():
        raise ConfigError(f"No weights at {path}: give --weights imagenet, none, or the path of a .weights.h5 file.")
    try:
        net = _mobilenet(size, width, "imagenet" if weights == "imagenet" else None)
        if path is not None:
            net.load_weights(path)
    except (ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"Weights {weights} do not fit MobileNetV2 of width {width} at {size} pixels: {reason}"
        ) from error
    return net


def _mobilenet(size: int, width: float, weights: str | None) -> Any:
    import keras

    try:
        return keras.applications.MobileNetV2(
            (size, size, 3), alpha=width, include_top=False, weights=weights, name=BACKBONE
        )
    except Exception as error:
        if "URL fetch failure" not in str(error):  # Keras raises a bare Exception for a download that failed
            raise
        raise ConfigError(
            "The ImageNet weights cannot be downloaded: connect to the internet once, leave --weights out to start "
            "from the shipped model, or give --weights the path of a MobileNetV2 .weights.h5 file."
        ) from error


def slimmed(net: Any, hidden: float) -> Any:
    """A copy of a backbone, without its weights, that has fewer channels inside its blocks and before the pooling.

    The channels between blocks stay, so that weights of the original fit after channels are left out.

    Args:
        net: From `backbone`.
        hidden: Share of those channels, rounded up to a multiple of 8, which runtimes compute at once.
    """
    import keras

    def narrower(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name.endswith("_expand") or layer.name == "Conv_1":
            config["filters"] = math.ceil(config["filters"] * hidden / 8) * 8
        return type(layer).from_config(config)

    clone = keras.models.clone_model(net, clone_function=narrower)
    return keras.Model(clone.input, clone.output, name=BACKBONE)


def classifier(size: int, width: float, weights: str, classes: int, dropout: float, *, hidden: float = 1.0) -> Any:
    """The default recipe's model: global average pooling, dropout, softmax.

    The statistics of batch normalisation follow the training crops in the layers that learn, see `thaw`; the others
    keep ImageNet's.

    Returns:
        A keras.Model from (N, size, size, 3) float32 RGB in [-1, 1] to (N, classes) probabilities.
    """
    import keras

    net = backbone(size, width, weights)
    if hidden < 1:
        net = slimmed(net, hidden)
    inputs = keras.Input((size, size, 3), name="image")
    features = keras.layers.GlobalAveragePooling2D(name="pool")(net(inputs))
    features = keras.layers.Dropout(dropout, name="dropout")(features)
    outputs = keras.layers.Dense(classes, activation="softmax", name="probabilities", dtype="float32")(features)
    return keras.Model(inputs, outputs, name="mask")


def report_classifier(size: int, width: float, weights: str, classes: int) -> Any:
    """The student report's model: frozen backbone, AveragePooling 7x7, Flatten, Dense 128 ReLU, dropout 0.5, softmax.

    At sizes whose feature map is smaller than 7x7 the pooling shrinks to fit; at 224 it is the report's.

    Returns:
        A keras.Model from (N, size, size, 3) float32 RGB in [-1, 1] to (N, classes) probabilities.
    """
    import keras

    net = backbone(size, width, weights)
    net.trainable = False
    inputs = keras.Input((size, size, 3), name="image")
    features = net(inputs, training=False)
    features = keras.layers.AveragePooling2D(min(7, int(features.shape[1])), name="pool")(features)
    features = keras.layers.Flatten(name="flatten")(features)
    features = keras.layers.Dense(128, activation="relu", name="dense")(features)
    features = keras.layers.Dropout(0.5, name="dropout")(features)
    outputs = keras.layers.Dense(classes, activation="softmax", name="probabilities", dtype="float32")(features)
    return keras.Model(inputs, outputs, name="mask_report")


def for_door(model: Any, log_ratios: Sequence[float], temperature: float = 1.0) -> Any:
    """A copy of a trained classifier, in 32 bits, that is calibrated and expects the class shares of a door.

    Logits are divided by the temperature (Guo et al. 2017, https://arxiv.org/abs/1706.04599). Then ln(expected share /
    drawn share) of each class is added to the bias of the softmax, which is Bayes' rule for a changed prior (Saerens et
    al. 2002, https://doi.org/10.1162/089976602753284446).

    Args:
        model: From `classifier`; left as it is, and its copy carries no optimiser.
        log_ratios: One per class, in the order of the outputs.
        temperature: Above 1 makes it less sure.
    """
    import keras

    clone = in_32_bits(model)
    kernel, bias = clone.get_layer("probabilities").weights
    kernel.assign(kernel / temperature)
    bias.assign(bias / temperature + keras.ops.convert_to_tensor(log_ratios, dtype=bias.dtype))
    return keras.Model(clone.inputs, clone.outputs, name=model.name)


def reseed_dropout(model: Any, seed: int, epoch: int) -> None:
    """Fix what dropout will drop in an epoch: a saved model does not carry its random state, so resuming needs this."""
    for number, layer in enumerate(model.layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            state = generator.state
            state.assign(np.random.SeedSequence([seed, epoch, number]).generate_state(2).astype(state.dtype))


def thaw(model: Any, first_layer: str | None) -> None:
    """Let the backbone learn from ``first_layer`` on; None freezes all of it.

    Args:
        model: From `classifier`.
        first_layer: Prefix of the first backbone layer to train, such as ``block_6``; ``all`` trains everything.

    Raises:
        ConfigError: No layer's name starts so.
    """
    net = model.get_layer(BACKBONE)
    net.trainable = True
    learning = first_layer == "all"
    for layer in net.layers:
        learning = learning or (first_layer is not None and f"{layer.name}_".startswith(f"{first_layer}_"))
        layer.trainable = learning
        if learning and hasattr(layer, "momentum"):
            layer.momentum = BATCH_NORM_MOMENTUM
    if first_layer is not None and not learning:
        raise ConfigError(f"No layer {first_layer} in MobileNetV2: give --train-from all or block_1 to block_16.")

"""What a classifier starts from: a trained one of the same shape, a wider one, or the int8 file that a device runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.vision.models import MANIFEST_NAME, MaskEntry, find_entry
from train.common.checkpoints import LAST_FILE, read_model
from train.common.reproducible import METRICS_FILE
from train.mask.door import UNSETTLED, Settled, ratios
from train.mask.int8_layers import read_layers
from train.mask.model import BACKBONE

Views = NDArray[np.float32]

BATCH = 64

RIDGE = 1e-3
"""Of the mean variance of a channel: keeps least squares from fitting noise."""


def adopt(model: Any, path: Path, views: Views) -> None:
    """Give a model from `train.mask.model.classifier` the weights of a trained one.

    Args:
        model: Takes the weights.
        path: A .keras file of the same shape, or of one with more hidden channels, of which those that matter most
            are kept; or a .tflite file that ``convert`` made from a model of the same shape.
        views: (N, size, size, 3) training views in [-1, 1], to measure activations on.

    Raises:
        ConfigError: The file is absent, broken or of another shape.
    """
    if path.suffix == ".tflite":
        _adopt_int8(model, path, views)
        without_door(model, path)
        return
    trained = read_model(path, "--start-from")
    if path.name != LAST_FILE:
        without_door(trained, path)
    if [weight.shape for weight in trained.weights] == [weight.shape for weight in model.weights]:
        model.set_weights(trained.get_weights())
        return
    try:
        _adopt_widest(model, trained, views)
    except ValueError as error:
        raise ConfigError(
            f"{path} has another shape: repeat its --size and --width, or give a smaller --hidden."
        ) from error


def without_door(model: Any, path: Path) -> None:
    """Take back what `train.mask.model.for_door` did to the model at ``path``, where run or manifest tell of that."""
    told = _told(path)
    if "door_ratios" not in told:
        return
    temperature = _kept_temperature(told)
    kernel, bias = model.get_layer("probabilities").get_weights()
    bias -= np.log(told["door_ratios"]).astype(np.float32)
    model.get_layer("probabilities").set_weights([kernel * temperature, bias * temperature])


def settled_of(path: Path) -> Settled:
    """Temperature and alarm threshold of a start model: as its run's metrics or, of a .tflite, its manifest has them.

    Raises:
        ConfigError: The metrics are not a run's.
        ModelError: The manifest does not describe the .tflite.
    """
    told = _told(path)
    return Settled(_kept_temperature(told), float(told.get("alarm_below", UNSETTLED.alarm_below)))


def _told(path: Path) -> dict[str, Any]:
    """The metrics of the run that made a model; empty where nothing tells of it."""
    if path.suffix == ".tflite":
        return _told_by_manifest(path) if path.with_name(MANIFEST_NAME).is_file() else {}
    metrics = path.with_name(METRICS_FILE)
    try:
        told = json.loads(metrics.read_bytes()) if metrics.is_file() else {}
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ConfigError(f"{metrics} is not the metrics file of a run: move it away, or start from another model.")
    return told


def _told_by_manifest(path: Path) -> dict[str, Any]:
    """What the manifest next to a .tflite keeps of its run's metrics; only the default recipe names a kept epoch."""
    entry = find_entry(str(path.resolve()), MaskEntry)
    training = entry.figures.get("training") or [{}]
    kept = training[-1].get("kept_epoch")
    told = {"alarm_below": entry.alarm_below, "kept_epoch": kept, "history": [training[-1].get("best") or {}]}
    return told if kept is None else {**told, "door_ratios": ratios().tolist()}


def _kept_temperature(told: Mapping[str, Any]) -> float:
    """Of the epoch that a run kept; 1 where it held no faces out."""
    kept = [row for row in told.get("history", []) if row.get("epoch") == told.get("kept_epoch")]
    return float(kept[0].get("held_out_temperature", 1.0)) if kept else 1.0


def _adopt_widest(model: Any, trained: Any, views: Views) -> None:
    """Keep the hidden channels of a wider model whose variation reaches the most of what they feed.

    A channel's mean is left out of the measure: batch normalisation makes up for it.
    """
    net, wide = model.get_layer(BACKBONE), trained.get_layer(BACKBONE)
    kept = {
        name: _strongest(spread * reach, net.get_layer(name).output.shape[-1])
        for name, spread, reach in _hidden_channels(trained, views)
    }
    for layer in (each for each in net.layers if each.weights):
        inputs, outputs = _channels_of(layer.name, kept)
        layer.set_weights([_cut(weight, inputs, outputs) for weight in wide.get_layer(layer.name).get_weights()])
    kernel, bias = trained.get_layer("probabilities").get_weights()
    model.get_layer("probabilities").set_weights([kernel[kept["Conv_1"]], bias])
    _refit(net, wide, _resized(views, net.input_shape[1]))


def _refit(net: Any, wide: Any, views: Views) -> None:
    """Let the channels that are left give what all of them gave, block by block, as far as least squares can.

    He et al. 2017, Channel Pruning for Accelerating Very Deep Neural Networks, https://arxiv.org/abs/1707.06168.
    """
    import keras

    blocks = [layer.name.removesuffix("_expand") for layer in net.layers if layer.name.endswith("_expand")]
    added = {layer.name.removesuffix("_add") for layer in net.layers if layer.name.endswith("_add")}
    ends = [wide.get_layer(f"{block}_add" if block in added else f"{block}_project_BN").output for block in blocks]
    shared = keras.Model(wide.input, ends)
    rescaled = keras.models.clone_model(shared, input_tensors=keras.Input(views.shape[1:]))
    rescaled.set_weights(shared.get_weights())
    for block, wanted in zip(blocks, rescaled.predict(views, batch_size=BATCH, verbose=0), strict=True):
        project = net.get_layer(f"{block}_project")
        probe = keras.Model(net.input, [project.input, net.get_layer(f"{block}_expand").input])
        hidden, before = probe.predict(views, batch_size=BATCH, verbose=0)
        kernel, bias = _least_squares(hidden, wanted - before if block in added else wanted)
        project.set_weights([kernel[None, None]])
        given = hidden.reshape(-1, hidden.shape[-1]) @ kernel
        _pass_through(net.get_layer(f"{block}_project_BN"), bias, given.mean(axis=0), given.std(axis=0))


def _least_squares(inputs: Views, wanted: Views) -> tuple[Views, Views]:
    """Kernel (in, out) and bias (out,) that bring (N, H, W, in) as near as can be to (N, H, W, out)."""
    given = inputs.reshape(-1, inputs.shape[-1]).astype(np.float64)
    goal = wanted.reshape(-1, wanted.shape[-1]).astype(np.float64)
    centre, aim = given.mean(axis=0), goal.mean(axis=0)
    covariance = given.T @ given / len(given) - np.outer(centre, centre)
    ridge = RIDGE * np.trace(covariance) / len(covariance) + 1e-12
    kernel = np.linalg.solve(
        covariance + ridge * np.eye(len(covariance)), given.T @ goal / len(given) - np.outer(centre, aim)
    )
    return kernel.astype(np.float32), (aim - centre @ kernel).astype(np.float32)


def _pass_through(norm: Any, bias: Any, mean: Any, std: Any) -> None:
    """Let a batch normalisation add ``bias`` and change nothing else, while its statistics are ``mean`` and ``std``."""
    norm.set_weights([np.sqrt(std**2 + norm.epsilon), bias + mean, mean, std**2])


def _hidden_channels(trained: Any, views: Views) -> list[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Each layer that makes hidden channels, how far they vary, and the norm of the weights that read them."""
    import keras

    net = trained.get_layer(BACKBONE)
    names = [layer.name for layer in net.layers if layer.name.endswith("_expand")]
    activations = [net.get_layer(name.replace("_expand", "_depthwise_relu")).output for name in names]
    probe = keras.Model(net.input, [*activations, net.output])
    spreads = [std for _, std in _statistics(probe, _resized(views, net.input_shape[1]))]
    readers = []
    for name in names:
        kernel = net.get_layer(name.replace("_expand", "_project")).get_weights()[0]
        gamma, _, _, variance = net.get_layer(name.replace("_expand", "_project_BN")).get_weights()
        readers.append(kernel[0, 0] * gamma / np.sqrt(variance + 1e-3))
    readers.append(trained.get_layer("probabilities").get_weights()[0])
    reaches = [np.linalg.norm(reader, axis=1).astype(np.float64) for reader in readers]
    return list(zip([*names, "Conv_1"], spreads, reaches, strict=True))


def _channels_of(
    name: str, kept: dict[str, NDArray[np.intp]]
) -> tuple[NDArray[np.intp] | None, NDArray[np.intp] | None]:
    """Which of its input and output channels a layer keeps; None: all."""
    if name.startswith("Conv_1"):
        return None, kept["Conv_1"]
    hidden = kept.get(f"{name.rsplit('_', 2)[0] if name.endswith(('_BN', '_relu')) else name.rsplit('_', 1)[0]}_expand")
    if name.endswith("_project"):
        return hidden, None
    return (None, None) if name.endswith("_project_BN") else (None, hidden)


def _cut(weight: NDArray[np.float32], inputs: Any, outputs: Any) -> NDArray[np.float32]:
    """A kernel (H, W, in, out), a depthwise one (H, W, out, 1) or a vector (out,) with some of its channels."""
    if inputs is not None:
        return weight[:, :, inputs]
    if outputs is None:
        return weight
    return weight[:, :, outputs] if weight.ndim == 4 and weight.shape[3] == 1 else weight[..., outputs]


def _strongest(strength: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    if count > len(strength):
        raise ValueError(f"{count} channels of {len(strength)}")
    return np.sort(np.argsort(-strength)[:count])


def _adopt_int8(model: Any, path: Path, views: Views) -> None:
    """Give a model the weights of a converted one, in which batch normalisation was folded into the convolutions.

    Batch normalisation is given the statistics that the convolutions have on ``views``, so that it changes nothing
    there, and training goes on from it.
    """
    import keras

    net = model.get_layer(BACKBONE)
    convolutions = [
        layer for layer in net.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D)
    ]
    layers = read_layers(path)
    head = model.get_layer("probabilities")
    expected = [layer.get_weights()[0].shape for layer in (*convolutions, head)]
    if [layer.kernel.shape for layer in layers] != expected:
        raise ConfigError(f"{path} has another shape: repeat the --width it was trained with.")
    norms = [_normalisation_after(net, layer.name) for layer in convolutions]
    for convolution, norm, (kernel, bias) in zip(convolutions, norms, layers, strict=False):
        convolution.set_weights([kernel])
        ones, zeros = np.ones_like(bias), np.zeros_like(bias)
        norm.set_weights([ones, bias, zeros, ones - np.float32(norm.epsilon)])
    probe = keras.Model(net.input, [layer.output for layer in convolutions])
    for norm, (mean, std) in zip(norms, _statistics(probe, views), strict=True):
        _, bias, _, _ = norm.get_weights()
        _pass_through(norm, bias, mean, std)
    head.set_weights(list(layers[-1]))


def _normalisation_after(net: Any, name: str) -> Any:
    """The batch normalisation that follows a convolution of Keras's MobileNetV2."""
    names = {"Conv1": "bn_Conv1", "Conv_1": "Conv_1_bn"}
    return net.get_layer(names.get(name, f"{name}_BN"))


def _statistics(probe: Any, views: Views) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Mean and standard deviation of every channel of every output of a model."""
    sums: list[NDArray[np.float64]] = []
    squares: list[NDArray[np.float64]] = []
    counts: list[int] = []
    for start in range(0, len(views), BATCH):
        outputs = [np.asarray(each, np.float64) for each in probe.predict_on_batch(views[start : start + BATCH])]
        sums = _added(sums, [each.sum(axis=(0, 1, 2)) for each in outputs])
        squares = _added(squares, [(each**2).sum(axis=(0, 1, 2)) for each in outputs])
        counts = [each.size // each.shape[-1] + (counts[i] if counts else 0) for i, each in enumerate(outputs)]
    means = [total / count for total, count in zip(sums, counts, strict=True)]
    return [
        (mean, np.sqrt(np.maximum(square / count - mean**2, 0)))
        for mean, square, count in zip(means, squares, counts, strict=True)
    ]


def _added(totals: list[NDArray[np.float64]], more: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    return [a + b for a, b in zip(totals, more, strict=True)] if totals else more


def _resized(views: Views, size: int) -> Views:
    from train.mask.teachers import scaled

    return scaled(views, size)

"""YuNet's published weights as a start for the face detector (https://github.com/ShiqiYu/libfacedetection.train, MIT).

Layer by layer, with these differences, after which the two find the same faces: BGR from 0 to 255 becomes RGB in
[-1, 1] within the first convolution; of its two probabilities, face and object, the logits are averaged; boxes count
from the middle of a cell, and are drawn as this detector draws them; where it is wider, the strongest channels stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from train.common.box_size import LARGER
from train.face.merge import TwoScores
from train.face.model import EARLY_CHANNELS, STRIDES

BLOCKS = (
    "stem_2",
    *(f"stage_4_{index}" for index in range(len(EARLY_CHANNELS))),
    *(f"stage_{stride}_{index}" for stride in STRIDES for index in range(2)),
    *("neck_32", "neck_16", "neck_8"),
    *(f"head_{stride}" for stride in STRIDES),
)
"""In YuNet's order, each a pointwise and a depthwise convolution."""

HEADS = ("face", "bbox", "object", "landmarks")
SHIFT = 1.0
"""Pixels by which the first convolution looks further right and down than YuNet's: padding comes last in TensorFlow."""


class Convolution(NamedTuple):
    """``kernel`` (out, in, rows, columns) and ``bias`` (out,), float32, as ONNX has them."""

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]


class Pair(NamedTuple):
    """A block: 1x1, then 3x3 in each channel."""

    pointwise: Convolution
    depthwise: Convolution


def adopt_yunet(path: Path, detector: keras.Model) -> None:
    """Give a detector from ``build_face_model`` the weights of a YuNet ONNX file; what YuNet lacks keeps its own.

    Raises:
        ConfigError: The file is absent, or not YuNet.
    """
    stem, *rest = _convolutions(path)
    pairs = [Pair(*rest[index : index + 2]) for index in range(0, len(rest), 2)]
    if len(pairs) != len(BLOCKS) + len(HEADS) * len(STRIDES):
        raise ConfigError(f"--weights yunet={path} has other layers than YuNet: name a file such as yunet_n_320.onnx.")
    _set(detector.get_layer("stem"), _for_rgb(stem))
    incoming: NDArray[np.intp] = np.arange(len(stem.bias))
    for name, pair in zip(BLOCKS, pairs, strict=False):
        incoming = _set_pair(detector, name, pair, incoming)
    heads = dict(zip(HEADS, (pairs[len(BLOCKS) + 3 * k :][:3] for k in range(len(HEADS))), strict=True))
    for index, stride in enumerate(STRIDES):
        both = _side_by_side(heads["face"][index], heads["object"][index])
        detector.get_layer(f"bounded_{stride}").set_weights(_averaged(both).merged())
        _set_pair(detector, f"bbox_{stride}", _as_drawn_here(heads["bbox"][index], stride))


def _convolutions(path: Path) -> Iterator[Convolution]:
    """In the order of the file."""
    if not path.is_file():
        raise ConfigError(f"No model at {path}: give --weights yunet=PATH the path of a YuNet ONNX file.")
    try:
        net = cv2.dnn.readNetFromONNX(str(path))
    except cv2.error as error:
        raise ConfigError(f"--weights yunet={path} cannot be read ({error.err}): name a YuNet ONNX file.") from error
    for name in net.getLayerNames():
        layer = net.getLayer(net.getLayerId(name))
        if layer.type == "Convolution":
            kernel, bias = layer.blobs
            yield Convolution(np.asarray(kernel, np.float32), np.asarray(bias, np.float32).reshape(-1))


def _for_rgb(stem: Convolution) -> Convolution:
    kernel = stem.kernel[:, ::-1] * 127.5
    return Convolution(kernel, stem.bias + kernel.sum(axis=(1, 2, 3)))


def _as_drawn_here(bbox: Pair, stride: int) -> Pair:
    moved = bbox.depthwise.bias + np.array([SHIFT / stride - 0.5] * 2 + [np.log(LARGER)] * 2, np.float32)
    return Pair(bbox.pointwise, Convolution(bbox.depthwise.kernel, moved))


def _side_by_side(first: Pair, second: Pair) -> Pair:
    both = zip(first, second, strict=True)
    return Pair(*(Convolution(*(np.concatenate(each) for each in zip(*two, strict=True))) for two in both))


def _averaged(two: Pair) -> TwoScores:
    points, depths = two
    return TwoScores(
        points.kernel[:, :, 0, 0].T,
        points.bias,
        depths.kernel[:, 0].transpose(1, 2, 0),
        depths.bias,
        np.full(2, 0.5, np.float32),
        0.0,
    )


def _set_pair(
    detector: keras.Model, name: str, pair: Pair, incoming: NDArray[np.intp] | None = None
) -> NDArray[np.intp]:
    """Set a block's weights. Returns the channels of YuNet's block that its output has."""
    pointwise, depthwise = (_layer(detector, name, kind) for kind in ("pointwise", "depthwise"))
    kept = _strongest(pair, pointwise.filters)
    kernel = pair.pointwise.kernel[kept] if incoming is None else pair.pointwise.kernel[np.ix_(kept, incoming)]
    _set(pointwise, Convolution(kernel, pair.pointwise.bias[kept]))
    kernel = pair.depthwise.kernel[kept].transpose(2, 3, 0, 1)
    depthwise.set_weights([kernel, pair.depthwise.bias[kept]])
    return kept


def _strongest(pair: Pair, count: int) -> NDArray[np.intp]:
    strength = np.linalg.norm(pair.pointwise.kernel.reshape(len(pair.pointwise.bias), -1), axis=1)
    strength *= np.linalg.norm(pair.depthwise.kernel.reshape(len(strength), -1), axis=1)
    return np.sort(np.argsort(-strength)[:count])


def _layer(detector: keras.Model, name: str, kind: str) -> keras.Layer:
    bbox = re.fullmatch(r"bbox_\d+", name) and kind == "depthwise"
    return detector.get_layer(name if bbox else f"{name}_{kind}")


def _set(layer: keras.Layer, convolution: Convolution) -> None:
    layer.set_weights([convolution.kernel.transpose(2, 3, 1, 0), convolution.bias])

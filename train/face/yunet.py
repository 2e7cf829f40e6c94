"""YuNet's published weights as a start for the face detector (https://github.com/ShiqiYu/libfacedetection.train, MIT).

Layer by layer, with these differences, after which the two find the same faces: BGR from 0 to 255 becomes RGB in
[-1, 1] within the first convolution; of its two probabilities, face and object, the logits are averaged; boxes count
from the middle of a cell, and are drawn as this detector draws them; where it is wider, the strongest channels stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from train.common.box_size import LARGER
from train.face.merge import TwoScores, Weights
from train.face.model import EARLY, STRIDES
from train.face.narrow import narrowed

BLOCKS = (
    "stem_2",
    *(f"stage_4_{index}" for index in range(len(EARLY.blocks))),
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
    known = _known(stem, pairs)
    for name, weights in narrowed(known, detector).items():
        detector.get_layer(name).set_weights(weights)


def _known(stem: Convolution, pairs: Sequence[Pair]) -> dict[str, Weights]:
    """By this detector's layers, as Keras has them."""
    known: dict[str, Weights] = {"stem": _dense(_for_rgb(stem))}
    for name, pair in zip(BLOCKS, pairs, strict=False):
        known |= {f"{name}_pointwise": _dense(pair.pointwise), f"{name}_depthwise": _depthwise(pair.depthwise)}
    heads = dict(zip(HEADS, (pairs[len(BLOCKS) + 3 * k :][:3] for k in range(len(HEADS))), strict=True))
    for index, stride in enumerate(STRIDES):
        known[f"bounded_{stride}"] = _averaged(_side_by_side(heads["face"][index], heads["object"][index])).merged()
        bbox = _as_drawn_here(heads["bbox"][index], stride)
        known |= {f"bbox_{stride}_pointwise": _dense(bbox.pointwise), f"bbox_{stride}": _depthwise(bbox.depthwise)}
    return known


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


def _dense(convolution: Convolution) -> Weights:
    return [convolution.kernel.transpose(2, 3, 1, 0), convolution.bias]


def _depthwise(convolution: Convolution) -> Weights:
    return [convolution.kernel.transpose(2, 3, 0, 1), convolution.bias]

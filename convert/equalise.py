"""Gives the channels between two convolutions the same range, so that one int8 scale suits them all.

Between the pointwise and the depthwise convolution of a block there is no activation: a channel may be multiplied there
and divided again, and the block's output stays the same. int8 has one scale for all channels of a tensor, so a channel
that moves little would get few of its steps. The kernels lose nothing: each of their channels has its own scale.
Method: section 4.1 of https://arxiv.org/abs/1906.04721, for activations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.values import Image
from edge.vision.preprocess import normalise

POINTWISE, DEPTHWISE = "_pointwise", "_depthwise"
LEAST_RANGE = 1e-3
"""Of a channel, as a share of the tensor's widest: one that never moves stays as it is."""

BATCH = 16


def equalise(model: Any, pictures: Sequence[Image]) -> None:
    """Change a model in place; it gives what it gave. One without such blocks stays as it is.

    Args:
        model: Blocks of ``*_pointwise`` and ``*_depthwise`` layers, as ``train.face.model`` names them.
        pictures: (H, W, 3) uint8 RGB of the model's input size, from which the ranges are taken.
    """
    pairs = _pairs(model)
    if not pairs:
        return
    for (pointwise, depthwise), reach in zip(pairs, _reaches(model, pairs, pictures), strict=True):
        moves = reach > LEAST_RANGE * reach.max()
        times = np.where(moves, reach.max(), np.float32(1)) / np.where(moves, reach, np.float32(1))
        kernel, bias = pointwise.get_weights()
        pointwise.set_weights([kernel * times, bias * times])
        kernel, bias = depthwise.get_weights()
        depthwise.set_weights([kernel / times[:, None], bias])


def _pairs(model: Any) -> list[tuple[Any, Any]]:
    named = {layer.name: layer for layer in model.layers}
    blocks = [name.removesuffix(POINTWISE) for name in named if name.endswith(POINTWISE)]
    return [(named[f"{block}{POINTWISE}"], named.get(f"{block}{DEPTHWISE}") or named[block]) for block in blocks]


def _reaches(model: Any, pairs: Sequence[tuple[Any, Any]], pictures: Sequence[Image]) -> list[NDArray[np.float32]]:
    """The largest magnitude of each channel, (C,), of each pair."""
    between = keras.Model(model.input, {pointwise.name: pointwise.output for pointwise, _ in pairs})
    largest = [np.zeros(pointwise.filters, np.float32) for pointwise, _ in pairs]
    for start in range(0, len(pictures), BATCH):
        seen = between.predict_on_batch(normalise(np.stack(pictures[start : start + BATCH])))
        for known, (pointwise, _) in zip(largest, pairs, strict=True):
            np.maximum(known, np.abs(seen[pointwise.name]).max(axis=(0, 1, 2)), out=known)
    return largest

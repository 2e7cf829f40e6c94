"""The weights of a wider detector for a narrower one: where they differ, the strongest channels stay."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import keras
import numpy as np
from numpy.typing import NDArray

from train.face.merge import Weights
from train.face.model import EARLY, STRIDES

BLOCKS = ("stem", "stem_2", *(f"stage_4_{index}" for index in range(len(EARLY.blocks))), f"stage_{STRIDES[0]}_0")
"""Up to the first block that is as wide as all that follow."""

LAYERS = {"stem", *(f"{block}_{layer}" for block in BLOCKS[1:] for layer in ("pointwise", "depthwise"))}


def narrowed(known: Mapping[str, Weights], detector: keras.Model) -> dict[str, Weights]:
    """Cut the early blocks of a detector to the widths of another from ``train.face.model.build_face_model``.

    A channel's strength is the product of the lengths of its own kernels and of what reads it in the next block.

    Args:
        known: Kernel and bias of each layer, as Keras has them. Where ``LAYERS`` are not all there, nothing is cut.
        detector: Whose widths are taken.

    Returns:
        A copy of ``known``, with the early layers cut.
    """
    cut = dict(known)
    if not cut.keys() >= LAYERS:
        return cut
    for block, following in pairwise(BLOCKS):
        names = [name for name in (block, f"{block}_pointwise", f"{block}_depthwise") if name in LAYERS]
        reader = f"{following}_pointwise"
        strength = np.prod([_strength(name, cut[name][0]) for name in names], axis=0)
        strength *= np.linalg.norm(cut[reader][0][0, 0], axis=1)
        kept = np.sort(np.argsort(-strength)[: detector.get_layer(names[-1]).bias.shape[0]])
        for name in names:
            kernel, bias = cut[name]
            cut[name] = [np.take(kernel, kept, axis=_channels(name)), bias[kept]]
        cut[reader] = [cut[reader][0][:, :, kept], cut[reader][1]]
    return cut


def _strength(name: str, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    by_channel = np.moveaxis(kernel, _channels(name), 0)
    return np.asarray(np.linalg.norm(by_channel.reshape(len(by_channel), -1), axis=1))


def _channels(name: str) -> int:
    """The axis of a layer's kernel that has what the layer gives."""
    return 2 if name.endswith("depthwise") else 3

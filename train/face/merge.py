"""Merges the two convolutions that gave the scores of earlier detectors into the one that ``train.face.model`` has.

A pointwise and a depthwise convolution and a weighted sum are together one convolution, but in the outermost cells:
what lies outside the picture is 0 for the second of the two, not for the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from train.face.model import BOUND, LOGIT_LIMIT, STRIDES, bounded

Weights = Sequence[NDArray[np.float32]]


class TwoScores(NamedTuple):
    """How some detectors come to a logit: C features to 2 channels, each by its own 3x3 kernel, and their sum.

    Attributes:
        pointwise: (C, 2).
        pointwise_bias: (2,).
        depthwise: (3, 3, 2).
        depthwise_bias: (2,).
        mix: (2,), the weight of each channel in the sum.
        mix_bias: Added to the sum.
    """

    pointwise: NDArray[np.float32]
    pointwise_bias: NDArray[np.float32]
    depthwise: NDArray[np.float32]
    depthwise_bias: NDArray[np.float32]
    mix: NDArray[np.float32]
    mix_bias: float

    def merged(self) -> list[NDArray[np.float32]]:
        """The kernel (3, 3, C, 1) and bias (1,) of a ``bounded`` convolution that gives the same logit."""
        steps = BOUND / (2 * LOGIT_LIMIT)
        kernel = np.einsum("j,yxj,ij->yxi", self.mix, self.depthwise, self.pointwise)[..., None] * steps
        inner = self.depthwise_bias + self.pointwise_bias * self.depthwise.sum(axis=(0, 1))
        bias = bounded(float(self.mix @ inner) + self.mix_bias)
        return [kernel.astype(np.float32), np.array([bias], np.float32)]


def with_merged_scores(layers: Mapping[str, Weights]) -> dict[str, Weights]:
    """The weights of a detector by layer, where those of an earlier version become what this one has."""
    renewed = dict(layers)
    for stride in STRIDES:
        names = [f"scores_{stride}_pointwise", f"scores_{stride}_depthwise", f"logit_{stride}"]
        if names[0] in renewed:
            (points, points_bias), (depths, depths_bias), (mix, mix_bias) = (renewed.pop(name) for name in names)
            two = TwoScores(points[0, 0], points_bias, depths[..., 0], depths_bias, mix[0, 0, :, 0], float(mix_bias[0]))
            renewed[f"bounded_{stride}"] = two.merged()
    return renewed

"""The mean of several trainings that start alike: it judges faces of unknown origin better than any one of them.

Model soups (Wortsman et al. 2022, https://arxiv.org/abs/2203.05482), with a share left to where they started (WiSE-FT,
Wortsman et al. 2021, https://arxiv.org/abs/2109.01903).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.common.checkpoints import saved_arrays

Weights = list[NDArray[np.float32]]


class Soup:
    """Weights of trainings that have ended, and those that all of them started from.

    Args:
        keep: The start's share of the mean, in [0, 1).
    """

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self.members = 0
        self.start: Weights = []
        self._mean: Weights = []

    def begin(self, start: Sequence[NDArray[np.float32]]) -> None:
        """Remember what every member starts from."""
        self.start = [weight.copy() for weight in start]

    def add(self, member: Sequence[NDArray[np.float32]]) -> None:
        """Take in the weights of a training that has ended."""
        self.members += 1
        if self.members == 1:
            self._mean = [weight.copy() for weight in member]
            return
        for mean, weight in zip(self._mean, member, strict=True):
            mean[...] += (weight - mean) / np.float32(self.members)

    def weights(self, latest: Sequence[NDArray[np.float32]]) -> Weights:
        """What the trainings come to so far; before one has ended, ``latest`` stands for it."""
        mean = self._mean or list(latest)
        if not self.start:
            return mean
        keep = np.float32(self._keep)
        return [(1 - keep) * weight + keep * start for weight, start in zip(mean, self.start, strict=True)]

    def save(self, path: Path) -> None:
        """Write the state, so that a stopped run can go on."""
        np.savez(path, *self.start, *self._mean, members=self.members, each=len(self.start))

    def load(self, path: Path) -> None:
        """Go on from a saved state.

        Raises:
            ConfigError: The file is absent or broken.
        """
        with saved_arrays(path) as saved:
            self.members, each = int(saved["members"]), int(saved["each"])
            self.start = [saved[f"arr_{index}"] for index in range(each)]
            self._mean = [saved[f"arr_{each + index}"] for index in range(each if self.members else 0)]

"""Trained classifiers whose mean answer another one learns (Hinton et al. 2015, https://arxiv.org/abs/1503.02531).

Several that were trained apart err on different faces, and their mean errs less than each; one network that learns to
answer like it costs the device no more than any of them. It sees the very views that they do (Beyer et al. 2021,
https://arxiv.org/abs/2106.05237), each scaled to the teacher's input.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.vision.preprocess import resize
from train.common.checkpoints import read_model
from train.common.faults import in_words
from train.common.reproducible import METRICS_FILE


class Teachers:
    """Answers for views as trained classifiers would, for the class shares that training draws.

    Args:
        paths: A mask.keras each, in the folder of its run.

    Attributes:
        size: The largest input side, in pixels: what views are made at, so that every teacher sees all that it can.

    Raises:
        ConfigError: One is missing or cannot be read; or its run's metrics.json is, or does not tell what each class's
            probability was multiplied by for the door, see `train.mask.model.for_door`.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._models = [read_model(path, "--teacher") for path in paths]
        self._ratios = [door_ratios(path.with_name(METRICS_FILE)) for path in paths]
        self.size = max(int(model.input_shape[1]) for model in self._models)
        self(np.zeros((1, 8, 8, 3), np.float32))

    def __call__(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, classes) probabilities of (N, size, size, 3) RGB in [-1, 1]; may be called from several threads."""
        import keras

        answers = []
        for model, ratios in zip(self._models, self._ratios, strict=True):
            views = scaled(inputs, model.input_shape[1])
            weighed = keras.tree.flatten(model.predict_on_batch(views))[0] / ratios
            answers.append(weighed / weighed.sum(axis=1, keepdims=True))
        return np.mean(answers, axis=0).astype(np.float32)  # type: ignore[no-any-return]


def door_ratios(metrics: Path) -> NDArray[np.float64]:
    """How often each class occurs in training, relative to a door, as the training noted.

    Raises:
        ConfigError: The file is absent or does not say so.
    """
    try:
        return np.array(json.loads(metrics.read_text(encoding="utf-8"))["door_ratios"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{metrics} does not tell door_ratios ({in_words(error)}): keep it next to the --teacher."
        ) from error


def scaled(views: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """(N, size, size, 3) of (N, S, S, 3)."""
    return views if views.shape[1] == size else np.stack([resize(view, size, size) for view in views])

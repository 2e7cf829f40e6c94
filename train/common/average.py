"""The moving average of a model's weights, which generalises better than the weights of any one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.common.checkpoints import saved_arrays

AVERAGED_EVERY = 4
MOMENTUM = 0.992


class Average:
    """The moving average of all of a model's weights, as in YOLOX, short at first and then over some 500 batches.

    Every ``AVERAGED_EVERY``-th batch is taken in, and an epoch's last. Keras's own (``use_ema``) leaves out the
    statistics of batch normalization; those of the present weights do not fit the averaged ones, and such a model finds
    nothing until the learning rate is small.

    Args:
        model: A keras.Model whose weights to average.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._updates = 0
        self.weights: list[NDArray[np.float32]] = [weight.copy() for weight in model.get_weights()]

    def callback(self, batches: int) -> Any:
        """A keras.callbacks.Callback that updates the average during epochs of ``batches`` batches."""
        import keras

        def update_if_due(batch: int, logs: object = None) -> None:  # noqa: ARG001 - Keras's own
            if (batch + 1) % AVERAGED_EVERY == 0 or batch + 1 == batches:
                self.update()

        return keras.callbacks.LambdaCallback(on_train_batch_end=update_if_due)

    def update(self) -> None:
        """Update the average with the model's present weights."""
        self._updates += 1
        share = max(1 - MOMENTUM, 9 / (10 + self._updates))
        for mean, value in zip(self.weights, self._model.get_weights(), strict=True):
            mean[...] += (value - mean) * np.float32(share)

    def save(self, path: Path) -> None:
        """Write the state, so that a resumed run continues from it."""
        np.savez(path, *self.weights, updates=self._updates)

    def load(self, path: Path) -> None:
        """Continue from a saved state.

        Raises:
            ConfigError: The file is absent or broken.
        """
        with saved_arrays(path) as saved:
            self.weights = [saved[f"arr_{index}"] for index in range(len(self.weights))]
            self._updates = int(saved["updates"])


@contextmanager
def in_place(model: Any, weights: Sequence[NDArray[np.float32]]) -> Iterator[None]:
    """Give a keras.Model other weights for a while."""
    present = model.get_weights()
    model.set_weights(weights)
    try:
        yield
    finally:
        model.set_weights(present)

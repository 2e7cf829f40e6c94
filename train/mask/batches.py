"""Batches for keras, made by worker threads: the only place where pictures meet keras. Import it lazily."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.values import Image, Label
from edge.vision.preprocess import normalise
from train.mask.data import Sample
from train.mask.teachers import scaled
from train.mask.views import plain_view


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Pictures made on demand, one batch after another.

    Args:
        make: Given a position in the epoch and a generator that belongs to the batch, gives a (size, size, 3) uint8
            RGB picture and its label.
        count: Pictures in the epoch.
        batch: Pictures in a batch.
        labels: Classes in the order of the model's outputs; None leaves the truth out, for prediction.
        seed: Fixes, with the batch's number, what the generator gives.
        workers: Threads.
        teach: Given what the model is given, tells what to answer, (N, classes).
        taught: The share of that in the truth, in [0, 1].
        keep: Changes the truth of what the model is given, after ``teach``; see ``train.mask.kept``.
        size: The side that the pictures are scaled to for the model, after ``teach`` has seen them; None: as made.
    """

    def __init__(
        self,
        make: Callable[[int, np.random.Generator], tuple[Image, Label]],
        *,
        count: int,
        batch: int,
        labels: Sequence[Label] | None = None,
        seed: tuple[int, ...] = (0,),
        workers: int = 2,
        teach: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None,
        taught: float = 0.0,
        keep: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]] | None = None,
        size: int | None = None,
    ) -> None:
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=8)
        self._make, self._count, self._batch = make, count, batch
        self._labels = None if labels is None else list(labels)
        self._seed = seed
        self._teach, self._taught = teach, np.float32(taught)
        self._keep = keep
        self._size = size

    def __len__(self) -> int:
        return math.ceil(self._count / self._batch)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """(N, size, size, 3) float32 RGB in [-1, 1], then (N, classes) float32 truth where there are labels."""
        rng = np.random.default_rng([*self._seed, index])
        positions = range(index * self._batch, min(self._count, (index + 1) * self._batch))
        images, truth = zip(*(self._make(position, rng) for position in positions), strict=True)
        inputs = normalise(np.stack(images))
        shown = inputs if self._size is None else scaled(inputs, self._size)
        if self._labels is None:
            return (shown,)
        targets = np.eye(len(self._labels), dtype=np.float32)[[self._labels.index(label) for label in truth]]
        if self._teach is not None:
            targets += (self._teach(inputs) - targets) * self._taught
        return shown, targets if self._keep is None else self._keep(shown, targets)


def predict(model: Any, samples: Sequence[Sample], size: int, margin: float, batch: int = 64) -> NDArray[Any]:
    """(N, classes) probabilities of faces cut as the device cuts them."""

    def make(position: int, _: np.random.Generator) -> tuple[Image, Label]:
        return plain_view(samples[position], size, margin), samples[position].label

    return np.asarray(model.predict(Batches(make, count=len(samples), batch=batch), verbose=0))

"""Batches of varied candidates, half of them faces. Import it lazily: it needs keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from edge.vision.preprocess import normalise
from train.confirm.candidates import Candidate
from train.confirm.views import varied, wide_crops
from train.face.data import require_sources

SMOOTHING = 0.01
"""Label smoothing: some annotations are wrong."""

SURE_FACE, SURE_OTHER = 0.08, 0.2
"""Weight of candidates that the face model judges rightly, relative to those that it judges entirely wrongly."""

FOCUS = 1.5
"""A face weighs (1 - score) to this power: faces of low scores are drawn more often."""


class ConfirmBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Pictures (N, size, size, 3) float32 RGB in [-1, 1], and (N, 1) float32: whether each is a face.

    Batch ``i`` of epoch ``e`` depends on the seed, ``e`` and ``i`` only.

    Args:
        candidates: To draw from; their crops are kept in memory, 28 kB each.
        size: Of the model's input, in pixels.
        margin: Around the box on each side, as a share of its longer side.
        batch: Pictures per batch, an even number.
        batches: Per epoch.
        draw: How many times more often candidates of a source are drawn.
        seed: Of draws and variations.
        workers: Threads that prepare batches.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        size: int,
        margin: float,
        batch: int,
        batches: int,
        draw: Mapping[str, float],
        seed: int,
        workers: int,
    ) -> None:
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=8)
        self.epoch = 0
        self._crops = wide_crops(candidates)
        self._size, self._margin, self._half, self._batches, self._seed = size, margin, batch // 2, batches, seed
        is_face = np.array([one.face for one in candidates])
        weights = draws(candidates, draw)
        self._decks = [_deck(weights * (is_face == kind)) for kind in (True, False)]

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rng = np.random.default_rng((self._seed, self.epoch, index))
        drawn = np.concatenate([np.searchsorted(deck, rng.random(self._half), side="right") for deck in self._decks])
        views = [varied(self._crops[one], self._size, self._margin, rng) for one in drawn]
        truth = np.repeat(np.array([[1 - SMOOTHING], [SMOOTHING]], np.float32), self._half, axis=0)
        return normalise(np.stack(views)), truth


def draws(candidates: Sequence[Candidate], draw: Mapping[str, float]) -> NDArray[np.float64]:
    """How often each candidate is drawn, relative to the others.

    Sources weigh by the square root of their candidates, times what ``draw`` gives; within one, what the face model
    errs about or doubts is drawn most.

    Raises:
        ConfigError: ``draw`` names a source that no candidate has.
    """
    names, inverse, counts = np.unique([one.source for one in candidates], return_inverse=True, return_counts=True)
    require_sources(candidates, draw, "--draw")
    by_source = np.array([draw.get(name, 1.0) for name in names.tolist()]) / np.sqrt(counts)
    scores = np.array([one.score for one in candidates])
    of_face, of_other = (1 - scores) ** FOCUS + SURE_FACE, scores + SURE_OTHER
    return by_source[inverse] * np.where([one.face for one in candidates], of_face, of_other)  # type: ignore[no-any-return]


def _deck(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cumulative probabilities, just below 1 at the end, so that no draw falls behind it."""
    total = np.cumsum(weights)
    return np.minimum(total / total[-1], np.nextafter(1, 0))  # type: ignore[no-any-return]

"""Augmented batches for the face detector. Import it lazily: it needs keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.values import Image
from edge.vision.preprocess import normalise
from train.face.augment import Generator, Scene, augment, to_target
from train.face.data import Photo, read_image, source_weights
from train.face.loss import FACE, IGNORE


class FaceBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Augmented batches: pictures (N, S, S, 3) float32 RGB in [-1, 1] and targets (N, ``MAX_FACES``, 5).

    Batch ``i`` of epoch ``e`` depends on the seed, ``e`` and ``i`` only, so that a resumed training sees what an
    uninterrupted one would have. Photos are drawn from sources in proportion to the square root of their number,
    so that a large source does not drown a small one, and ``draw`` times more often than that.

    Args:
        photos: To draw from; decoded ones are kept in memory.
        size: Of the square input, in pixels.
        batch_size: Pictures per batch.
        batches: Per epoch.
        seed: Of draws and variations.
        workers: Threads that prepare batches.
        seek_hard: See ``train.face.data.Photo.draws``.
        draw: See ``train.face.data.source_weights``.
        negatives: See ``train.face.data.source_weights``.
        distil: Scores the cells of a picture, see ``train.face.distil``; targets then are pairs of boxes and scores.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        *,
        size: int,
        batch_size: int,
        batches: int,
        seed: int,
        workers: int = 2,
        seek_hard: float = 0.0,
        draw: Mapping[str, float] = MappingProxyType({}),
        negatives: float = 0.0,
        distil: Callable[[Image], NDArray[np.float32]] | None = None,
    ) -> None:
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=8)
        self.epoch = 0
        self._photos = photos
        self._size = size
        self._batch_size = batch_size
        self._batches = batches
        self._seed = seed
        self._images: dict[Path, Image] = {}
        self._seek_hard = seek_hard
        self._distil = distil
        self._cumulative = np.cumsum(source_weights(photos, seek_hard, draw, negatives))

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], Any]:
        scenes = self.scenes(index)
        images = np.stack([scene.image[..., ::-1] for scene in scenes])
        targets = np.stack([to_target(scene.boxes, self._size) for scene in scenes])
        if self._distil is None:
            return normalise(images), targets
        return normalise(images), (targets, np.stack([self._distil(scene.image) for scene in scenes]))

    def scenes(self, index: int) -> list[Scene]:
        """The varied pictures of one batch, BGR, with the boxes that are their targets."""
        rng = np.random.default_rng((self._seed, self.epoch, index))
        return [augment(self._draw, self._size, rng) for _ in range(self._batch_size)]

    def _draw(self, rng: Generator) -> Scene:
        index = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
        photo = self._photos[min(index, len(self._photos) - 1)]
        if photo.path not in self._images:
            self._images[photo.path] = read_image(photo.path)
        kinds = [FACE] * len(photo.boxes) + [IGNORE] * len(photo.ignore)
        boxes = np.concatenate([photo.boxes, photo.ignore])
        draws = photo.draws(self._seek_hard).astype(np.float64)
        focus = int(rng.choice(len(draws), p=draws / draws.sum())) if len(draws) else None
        return Scene(self._images[photo.path], np.column_stack([boxes, _column(kinds)]), focus)


def _column(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32).reshape(-1, 1)

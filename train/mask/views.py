"""Which face is shown when, and as what: balanced draws over classes and sources, painted faces among them.

A draw depends only on the seed, the epoch and its position, so a resumed run sees what an unbroken one would have.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge.values import BBox, Image, Label
from edge.vision.preprocess import crop_face
from train.mask import augment as mask_augment
from train.mask import paint as mask_paint
from train.mask.data import Sample, face_box, load
from train.mask.paint import BADLY, BADLY_SHARES, Wearing
from train.mask.regions import Regions

CLASS_SHARES = {Label.WITH_MASK: 0.44, Label.WITHOUT_MASK: 0.32, Label.MASK_WORN_INCORRECTLY: 0.24}
"""How often each class is drawn; classes that the data lacks leave their share to the others."""

PAINTED_SHARES = {Label.WITH_MASK: 0.15, Label.WITHOUT_MASK: 0.2, Label.MASK_WORN_INCORRECTLY: 0.25}
"""How many of a class's draws are bare faces painted on (for the bare: with something held before the mouth)."""

REAL_CLOTH = 0.5
"""How many painted masks take their cloth from a photographed mask."""

ANNOTATED_WEIGHT = 2.0
"""Faces annotated in whole photos are drawn this much more often than crops: they are what the device sees."""

LEAST_PAINTED_SIDE = 30.0
"""Faces with a shorter side in pixels are not painted."""


@dataclass(frozen=True, slots=True)
class Draw:
    """A face to show, as which class, and whether to paint on it."""

    sample: Sample
    label: Label
    painted: bool


class Deck:
    """Draws faces: first the class by its share, then painted or real, then the source, then the face.

    A source weighs the square root of its count, so that large sources do not drown small ones.

    Args:
        samples: Faces to draw from; those without landmarks are never painted.
        labels: The classes to draw.
        paint: Whether to paint at all.
        times: How many times more often than that the faces of a source are drawn; 1 where it is not named.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        labels: Sequence[Label],
        paint: bool = True,
        times: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._times = times
        self._regions = Regions()
        self.canvases = [s for s in samples if s.label is Label.WITHOUT_MASK and _paintable(s)] if paint else []
        self.cloths = [s for s in samples if s.label is Label.WITH_MASK and _paintable(s)] if paint else []
        self._pools: dict[Label, dict[str, list[Sample]]] = {label: defaultdict(list) for label in labels}
        for sample in samples:
            if sample.label in self._pools:
                self._pools[sample.label][_pool(sample)].append(sample)
        drawable = [label for label in labels if self._pools[label] or self.canvases]
        total = sum(CLASS_SHARES[label] for label in drawable)
        self._labels = drawable
        self.absent = [label for label in labels if not self._pools[label]]
        self._shares = [CLASS_SHARES[label] / total for label in drawable]

    def draw(self, rng: np.random.Generator) -> Draw:
        """The next face."""
        label = self._labels[rng.choice(len(self._labels), p=self._shares)]
        pools = self._pools[label]
        if self.canvases and (not pools or rng.random() < PAINTED_SHARES[label]):
            return Draw(self.canvases[rng.integers(len(self.canvases))], label, painted=True)
        weights = np.array([np.sqrt(len(pool)) * _weight(pool[0], self._times) for pool in pools.values()])
        pool = list(pools.values())[rng.choice(len(pools), p=weights / weights.sum())]
        return Draw(pool[rng.integers(len(pool))], label, painted=False)

    def view(self, draw: Draw, size: int, margin: float, rng: np.random.Generator) -> Image:
        """What the model is shown for a draw: (size, size, 3) uint8 RGB."""
        sample = draw.sample
        image, bbox, landmarks = self._regions.of(sample)
        if draw.painted and landmarks is not None:
            image = self._paint(image, landmarks, draw.label, rng)
        degrees = float(np.clip(rng.normal(0, 8), -25, 25))
        image, _ = mask_augment.turn(image, None, degrees, mirror=bool(rng.random() < 0.5))
        return mask_augment.training_view(image, bbox, size, margin, rng)

    def _paint(self, image: Image, landmarks: mask_augment.Landmarks, label: Label, rng: np.random.Generator) -> Image:
        if label is Label.WITHOUT_MASK:
            return mask_paint.paint_covering(image, landmarks, mask_paint.random_texture(rng), rng)
        wearing = Wearing.PROPERLY
        if label is Label.MASK_WORN_INCORRECTLY:
            wearing = BADLY[rng.choice(len(BADLY), p=BADLY_SHARES)]
        return mask_paint.paint_mask(image, landmarks, wearing, self._cloth(rng), rng)

    def _cloth(self, rng: np.random.Generator) -> Image:
        if not self.cloths or rng.random() > REAL_CLOTH:
            return mask_paint.random_texture(rng)
        return self._regions.cloth(self.cloths[rng.integers(len(self.cloths))])


def weights(samples: Sequence[Sample], times: Mapping[str, float]) -> NDArray[np.float64]:
    """(N,) how often each face would be drawn among those of its class, painted ones aside; see ``Deck``."""
    pools = [(sample.label, _pool(sample)) for sample in samples]
    counts = Counter(pools)
    return np.array(
        [_weight(sample, times) / np.sqrt(counts[pool]) for sample, pool in zip(samples, pools, strict=True)]
    )


def _pool(sample: Sample) -> str:
    return f"{sample.source}/{sample.stated}"


def _weight(sample: Sample, times: Mapping[str, float]) -> float:
    return times.get(sample.source, 1.0) * (ANNOTATED_WEIGHT if sample.stated and sample.annotated else 1.0)


def _paintable(sample: Sample) -> bool:
    if sample.landmarks is None or sample.bbox is None or sample.bbox.short_side < LEAST_PAINTED_SIDE:
        return False
    return mask_paint.FaceAxes(np.array(sample.landmarks, np.float32)).paintable


def plain_view(sample: Sample, size: int, margin: float) -> Image:
    """The face as the device cuts it, unvaried: (size, size, 3) uint8 RGB."""
    picture = load(sample.path)
    bbox: BBox = face_box(sample, picture)
    return crop_face(picture, bbox, size, margin)

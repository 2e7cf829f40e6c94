"""Photos with face boxes: reading and splitting them, and how often each is drawn. Nothing here needs keras."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.cameras.picture import PictureError, decode
from edge.errors import ConfigError
from edge.values import Image

Item = TypeVar("Item")

ENOUGH, MOST_HELD = 20, 0.2
"""Minimum number of held-out photos, as long as that is no larger a share of all photos than the second."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """One annotated photo.

    Attributes:
        path: Of the picture file.
        source: Where it comes from, or "".
        boxes: (N, 4) float32, x0, y0, x1, y1 in pixels of the stored picture.
        ignore: (M, 4) float32, regions that count neither way.
        group: Photos of one group are alike; "" where nobody looked.
        hardness: (N,) float32 in [0, 1], how badly each face was found by the model that training starts from.
    """

    path: Path
    source: str
    boxes: NDArray[np.float32]
    ignore: NDArray[np.float32]
    group: str = ""
    hardness: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    def draws(self, seek_hard: float) -> NDArray[np.float32]:
        """How often each face is to be drawn, (N,): once, and ``seek_hard`` times more often where it is hard."""
        if len(self.hardness) != len(self.boxes):
            return np.ones(len(self.boxes), np.float32)
        return 1 + np.float32(seek_hard) * self.hardness


@dataclass(frozen=True, slots=True)
class Faces:
    """What a run works on."""

    training: list[Photo]
    held_out: list[Photo]
    validation: list[Photo]

    def counts(self) -> dict[str, int]:
        """Photos of each part, and the boxes and ignore regions to learn from."""
        return {
            "training": len(self.training),
            "held_out": len(self.held_out),
            "validation": len(self.validation),
            "training_faces": sum(len(photo.boxes) for photo in self.training),
            "training_ignore_regions": sum(len(photo.ignore) for photo in self.training),
        }


def split_photos(
    photos: Sequence[Photo],
    validation: Sequence[Photo],
    fraction: float,
    seed: int,
    earlier: tuple[Sequence[Photo], Sequence[Photo]] | None = None,
) -> Faces:
    """Hold out a part of the photos to learn from; those that are alike stay together.

    Args:
        photos: To learn from and choose by.
        validation: To report on.
        fraction: Of ``photos``, to hold out; more of few photos, see ``ENOUGH``.
        seed: Of the split.
        earlier: What an earlier run learned from and held out: those of ``photos`` among them stay on their side.

    Raises:
        ConfigError: One part is left without photos.
    """
    learned_before, held_before = ({photo.path.resolve() for photo in part} for part in earlier or ((), ()))
    paths = [photo.path.resolve() for photo in photos]
    known = learned_before | held_before
    least = min(MOST_HELD, ENOUGH / max(1, len(photos)))
    _, chosen = hold_out([path for path in paths if path not in known], max(fraction, least), seed)
    held = held_before.union(chosen)
    training = [photo for photo, path in zip(photos, paths, strict=True) if path not in held]
    held_out = [photo for photo, path in zip(photos, paths, strict=True) if path in held]
    learned = {photo.group for photo in training if photo.group}
    training += [photo for photo in held_out if photo.group in learned]
    held_out = [photo for photo in held_out if photo.group not in learned]
    if not (training and held_out):
        raise ConfigError(f"{len(photos)} photos cannot be split into training and held out: give more with --data.")
    return Faces(training, held_out, list(validation))


def hold_out(photos: Sequence[Item], fraction: float, seed: int) -> tuple[list[Item], list[Item]]:
    """Split off ``fraction`` of the photos, at random but reproducibly: (rest, held out), each in file order."""
    order = np.random.default_rng(seed).permutation(len(photos))
    held = set(order[: round(len(photos) * fraction)].tolist())
    rest = [photo for index, photo in enumerate(photos) if index not in held]
    return rest, [photos[index] for index in sorted(held)]


def read_image(path: Path) -> Image:
    """Read a picture as (H, W, 3) uint8 BGR.

    Raises:
        ConfigError: It cannot be decoded.
    """
    try:
        return decode(path.read_bytes())
    except (OSError, PictureError) as error:
        raise ConfigError(
            f"The picture {path} cannot be decoded: replace it, or take it out of the COCO file."
        ) from error


def overlaps(box: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    """Whether the intersection of a box, (4,), with any other exceeds 0.3 of the smaller of the two."""
    if not len(others):
        return False
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    overlap = np.prod(np.maximum(sides, 0), axis=1)
    smaller = np.minimum(np.prod(box[2:] - box[:2]), np.prod(others[:, 2:] - others[:, :2], axis=1))
    return bool(np.any(overlap > 0.3 * smaller))


class FromSource(Protocol):
    """Something that comes from a source, such as a photo."""

    @property
    def source(self) -> str:
        """Where it comes from, or ""."""
        ...


def require_sources(items: Iterable[FromSource], names: Iterable[str], option: str) -> None:
    """Refuse an option that names a source which none of the items has.

    Raises:
        ConfigError: It does.
    """
    known = {item.source for item in items}
    if unknown := sorted(set(names) - known):
        raise ConfigError(f"{option} names {', '.join(unknown)}, but the sources are {', '.join(sorted(known))}.")


def source_weights(
    photos: Sequence[Photo],
    seek_hard: float = 0.0,
    draw: Mapping[str, float] = MappingProxyType({}),
    negatives: float = 0.0,
) -> NDArray[np.float64]:
    """The probability of each photo, summing to 1.

    Sources weigh by the square root of their number of faces, times what ``draw`` gives for their name; within one a
    photo weighs as much as its hardest face. ``negatives``, unless 0, is what the photos without a face sum to.

    Raises:
        ConfigError: ``draw`` names a source that no photo has.
    """
    sources, inverse = np.unique([photo.source for photo in photos], return_inverse=True)
    require_sources(photos, draw, "--draw")
    times = np.array([draw.get(source, 1.0) for source in sources.tolist()])
    draws = [photo.draws(seek_hard) for photo in photos]
    hardest = np.array([each.max(initial=1.0) for each in draws])
    faces = np.bincount(inverse, [len(each) for each in draws])
    weights = hardest * (times * np.sqrt(np.maximum(faces, 1)) / np.bincount(inverse, hardest))[inverse]
    empty = np.array([not len(each) for each in draws])
    if negatives and empty.any() and not empty.all():
        weights[empty] *= negatives / weights[empty].sum()
        weights[~empty] *= (1 - negatives) / weights[~empty].sum()
    return weights / weights.sum()  # type: ignore[no-any-return]

"""Faces for the mask classifier: taken from data sets and split by group.

Nothing here needs keras. A face is a `Sample`: a picture, a label and, where it is known, a box. `train.common.dataset`
reads the layouts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.cameras.picture import PictureError, decode
from edge.errors import ConfigError
from edge.values import BBox, Image, Label
from train.common import dataset
from train.common.box_size import larger
from train.common.dataset import Names, Part, Photo

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled face.

    Attributes:
        path: The picture.
        label: Its class.
        source: Where the picture comes from; sources are balanced against one another in training.
        group: Pictures of one group are near-duplicates and never fall on both sides of a split.
        validation: Whether the data's own split keeps it for validation.
        bbox: The face in pixels of the picture, or None where only the picture as a whole is known.
        drawn: The same as the device's detector draws it, or None where it does not find the face.
        landmarks: Eye, eye, nose, mouth corner, mouth corner as (x, y) in pixels of the picture, or None.
        stated: Whether the mask state was annotated, not inferred.
        annotated: Whether people drew the box, in a whole photo.
    """

    path: Path
    label: Label
    source: str
    group: str
    validation: bool = False
    bbox: BBox | None = None
    drawn: BBox | None = None
    landmarks: tuple[Point, ...] | None = None
    stated: bool = True
    annotated: bool = False

    @property
    def short_side(self) -> float:
        """Of the box, in pixels; infinite where only the picture as a whole is known."""
        return float("inf") if self.bbox is None else self.bbox.short_side

    @property
    def key(self) -> str:
        """Names the face: the picture and, where several faces share it, the box."""
        if self.bbox is None:
            return str(self.path)
        return f"{self.path}#{','.join(f'{edge:.1f}' for edge in self.bbox)}"


def read(path: Path, names: Names | None = None) -> list[Sample]:
    """Read the faces of one data set, whatever its layout; no picture is opened.

    Args:
        path: See `train.common.dataset.read`.
        names: How classes are called in it.

    Raises:
        ConfigError: It cannot be used; the text says where and why.
    """
    return samples_of(dataset.read(path, names).photos)


def samples_of(photos: Iterable[Photo]) -> list[Sample]:
    """The labelled faces of some photos, in a stable order.

    A face whose mask state nobody annotated is nearly always bare, except in a photo where the state of another face
    is annotated: there it is left out, and so is what the data set says to ignore. Photos of a validation or test part
    are kept from training.
    """
    return [sample for photo in photos for sample in _samples(photo)]


def _samples(photo: Photo) -> Iterator[Sample]:
    faces = [face for face in photo.faces if not face.ignore]
    any_stated = any(face.label is not None for face in faces)
    for face in faces:
        if face.label is not None or not any_stated:
            yield Sample(
                path=photo.path,
                label=face.label or Label.WITHOUT_MASK,
                source=photo.source,
                group=photo.group,
                validation=photo.part in (Part.VALIDATION, Part.TEST),
                bbox=face.bbox,
                stated=face.label is not None,
                annotated=face.bbox is not None,
            )


def hold_out(samples: Sequence[Sample], fraction: float, split: int) -> tuple[list[Sample], list[Sample]]:
    """Split by group, so that near-duplicates stay together.

    A hash of its name says on which side a group is, so that it is the same in every run, whatever else is learned
    from: a model and its teachers hold out the same faces.

    Args:
        samples: Faces.
        fraction: Of the groups to hold out, in [0, 1), on average.
        split: Which part of that size to hold out, from 1 on.

    Returns:
        What to train on, and what is held out.
    """
    start = (split - 1) * fraction
    held = {g for g in {s.group for s in samples} if (_position(g) - start) % 1 < fraction}
    return [s for s in samples if s.group not in held], [s for s in samples if s.group in held]


def _position(group: str) -> float:
    """Of a group, spread evenly over [0, 1)."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:6], "big") / 2**48


def drop_unreadable(samples: Iterable[Sample], say: Callable[[str], None]) -> tuple[list[Sample], list[Path]]:
    """Leave out faces whose picture OpenCV cannot decode, naming each such picture once through ``say``.

    Returns:
        The faces that can be used, and the pictures that cannot.
    """
    verdicts: dict[Path, bool] = {}
    kept = []
    for sample in samples:
        if sample.path not in verdicts:
            verdicts[sample.path] = _decode(sample.path) is not None
            if not verdicts[sample.path]:
                say(f"Skipping unreadable image {sample.path}")
        if verdicts[sample.path]:
            kept.append(sample)
    return kept, [path for path, readable in verdicts.items() if not readable]


def _decode(path: Path) -> Image | None:
    """The picture in BGR, or None."""
    try:
        return decode(path.read_bytes())
    except (OSError, PictureError):
        return None


def load(path: Path) -> Image:
    """The picture at ``path``, (H, W, 3) uint8 BGR; a ConfigError if it cannot be decoded."""
    image = _decode(path)
    if image is None:
        raise ConfigError(f"Cannot read {path}: it vanished or changed while training; restore it, then use --resume.")
    return image


def face_box(sample: Sample, image: Image) -> BBox:
    """The face as the detector draws it, or would draw it, see `train.common.box_size`.

    Where the detector did not find it, the sample's box is taken, else the picture shrunk by a tenth on each side, as
    tight crops are cut.
    """
    if sample.drawn is not None:
        return sample.drawn
    if sample.bbox is not None:
        return larger(sample.bbox)
    height, width = image.shape[:2]
    return larger(BBox(0.1 * width, 0.1 * height, 0.9 * width, 0.9 * height))

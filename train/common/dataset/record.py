"""What a data set says of its photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from edge.values import BBox, Label


class Part(str, Enum):
    """The side of a split that the data set itself puts a photo on."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


PARTS: Mapping[str, Part] = {
    "train": Part.TRAIN,
    "training": Part.TRAIN,
    "val": Part.VALIDATION,
    "valid": Part.VALIDATION,
    "validation": Part.VALIDATION,
    "dev": Part.VALIDATION,
    "test": Part.TEST,
    "testing": Part.TEST,
}
"""What splits are called, in lower case."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One face of a photo.

    Attributes:
        label: Its class; None for a face whose mask state nobody annotated.
        bbox: In pixels of the photo, x to the right, y down; None if only the photo as a whole is labelled.
        ignore: Counts neither as a face nor as background: a crowd, or a doubtful face.
        where: Where it stands in its file, for messages: "annotation 17", "line 3".
    """

    label: Label | None
    bbox: BBox | None = None
    ignore: bool = False
    where: str = ""


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo.

    Attributes:
        path: The file.
        source: Where it comes from; sources are balanced against one another in training.
        group: Photos of one group are alike and never fall on both sides of a split.
        part: The side of the split that the data set names, or None.
        faces: What is annotated; an empty tuple is a photo without a face.
        listed_in: The file that lists it, for messages.
        size: Width and height in pixels as the data set says, or None.
    """

    path: Path
    source: str
    group: str
    part: Part | None = None
    faces: tuple[Annotation, ...] = ()
    listed_in: Path | None = None
    size: tuple[int, int] | None = None


def size_of(width: object, height: object) -> tuple[int, int] | None:
    """A size as annotations give it, from numbers or text; None where it is absent, zero or nonsense."""
    try:
        size = int(str(width)), int(str(height))
    except ValueError:
        return None
    return size if min(size) > 0 else None


@dataclass(frozen=True, slots=True)
class Dataset:
    """The photos of one path.

    Attributes:
        path: As given.
        layout: "folders", "csv", "coco", "voc" or "yolo".
        photos: In a stable order.
        skipped: Files that are not read, by suffix.
    """

    path: Path
    layout: str
    photos: tuple[Photo, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)

"""Photos with annotated faces, from a COCO file."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edge.cameras.picture import PictureError, read_picture
from edge.errors import ConfigError
from edge.values import LABELS, BBox, Image, Label
from train.common import dataset
from train.common.dataset import Names, coco

UNKNOWN = "face"
"""The category of a face whose mask state nobody annotated."""


CATEGORIES = (*(label.value for label in LABELS), UNKNOWN)


class Truth(NamedTuple):
    """An annotated face: its box in pixels, and one of ``CATEGORIES``."""

    bbox: BBox
    category: str


@dataclass(frozen=True, slots=True)
class Photo:
    """An annotated photo; ``ignored`` regions count neither way."""

    path: Path
    source: str
    truths: tuple[Truth, ...]
    ignored: tuple[BBox, ...] = ()

    @property
    def bboxes(self) -> list[BBox]:
        """Of the truths, in their order."""
        return [truth.bbox for truth in self.truths]


def read_photos(data: Path) -> list[Photo]:
    """Read a COCO file.

    Args:
        data: The JSON file, or a folder with a ``val.json``. Picture names are relative to the file's folder.

    Raises:
        ConfigError: It is absent or not COCO.
    """
    return [_photo(photo) for photo in coco.read(_coco_file(data), _Lenient()).photos]


class _Lenient(Names):
    """The usual names of the classes; a face of another class counts as a face."""

    def label(self, name: str, where: Path | str, among: Iterable[str] = ()) -> Label | None:  # noqa: ARG002
        return super().label(name, where) if self.means(name) else None


def _photo(photo: dataset.Photo) -> Photo:
    boxes = [(face, face.bbox) for face in photo.faces if face.bbox]
    for face, bbox in boxes:
        if not all(map(math.isfinite, bbox)):
            raise ConfigError(f"{photo.listed_in}, {face.where}: the box is not all numbers; correct or remove it.")
    return Photo(
        photo.path,
        photo.source,
        tuple(Truth(bbox, str(face.label or UNKNOWN)) for face, bbox in boxes if not face.ignore),
        tuple(bbox for face, bbox in boxes if face.ignore),
    )


def data_folder(data: Path) -> Path:
    """To which the names of pictures are relative."""
    return _coco_file(data).parent


def open_photo(photo: Photo) -> Image:
    """Decode a photo, (H, W, 3) uint8 BGR.

    Raises:
        ConfigError: The picture cannot be read.
    """
    try:
        return read_picture(photo.path)
    except PictureError as error:
        raise ConfigError(f"{photo.path}: {error}; restore it, or take it out of the COCO file.") from error


def _coco_file(data: Path) -> Path:
    return data / "val.json" if data.is_dir() else data

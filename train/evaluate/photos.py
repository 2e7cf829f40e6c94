"""Photos with annotated faces, from a COCO file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edge.cameras.picture import PictureError, read_picture
from edge.errors import ConfigError
from edge.values import LABELS, BBox, Image

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
    path = _coco_file(data)
    try:
        coco = json.loads(path.read_text(encoding="utf-8"))
        names = {category["id"]: category["name"] for category in coco["categories"]}
        truths: dict[int, list[Truth]] = {image["id"]: [] for image in coco["images"]}
        ignored: dict[int, list[BBox]] = {image["id"]: [] for image in coco["images"]}
        for annotation in coco["annotations"]:
            x, y, width, height = annotation["bbox"]
            bbox, name = BBox(x, y, x + width, y + height), names[annotation["category_id"]]
            if annotation.get("iscrowd") or annotation.get("ignore"):
                ignored[annotation["image_id"]].append(bbox)
            else:
                truths[annotation["image_id"]].append(Truth(bbox, name if name in CATEGORIES else UNKNOWN))
        return [
            Photo(
                path.parent / image["file_name"],
                image.get("source", ""),
                tuple(truths[image["id"]]),
                tuple(ignored[image["id"]]),
            )
            for image in coco["images"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a readable COCO file ({error}); name a JSON file with faces.") from error


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

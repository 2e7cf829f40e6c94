"""The photos of a face training: read in any layout, checked, shown with their boxes, and written down as split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.errors import ConfigError
from edge.text import plural
from edge.values import BBox
from train.common import checked, dataset
from train.common.contact_sheet import Tile, evenly, write_sheet
from train.common.dataset import FaceNames, Names, Part
from train.common.reproducible import write_json
from train.face.data import Faces, Photo, read_image, split_photos

SHOWN = 48
"""Photos on the sheet."""

SPLIT_FILE = "split.json"
"""In the folder of a run: the photos learned from and held out, as COCO."""

COLOURS = ((60, 200, 60), (160, 160, 160))
"""Of faces and of what counts neither way, BGR."""


def read_photos(path: Path, names: Names | None = None) -> list[Photo]:
    """Read the photos of one data set; every category is a face.

    Raises:
        ConfigError: It cannot be used, a photo that it names is absent, or one has a face without a box.
    """
    photos = photos_of(dataset.read(path, names or FaceNames()).photos)
    for photo in photos:
        if not photo.path.is_file():
            raise ConfigError(f"{path} names the picture {photo.path}, which is absent: restore it or its folder.")
    return photos


def photos_of(found: Iterable[dataset.Photo]) -> list[Photo]:
    """Photos for the detector; crowds and ``ignore`` boxes are regions that count neither way.

    Raises:
        ConfigError: A face has no box.
    """
    return [_photo(photo) for photo in found]


def gather(
    data: Sequence[Path],
    validation: Sequence[Path],
    *,
    fraction: float,
    seed: int,
    out: Path,
    names: Names,
    keep: Path | None = None,
) -> Faces:
    """Read, check and split the photos that the options name, describing them in ``out``.

    Args:
        data: To learn from and choose by.
        validation: To report on.
        fraction: Of ``data``, to hold out.
        seed: Of the split.
        out: Folder of the run.
        names: How classes are called.
        keep: ``SPLIT_FILE`` of an earlier run, whose held-out photos stay held out.

    Raises:
        ConfigError: A file cannot be used, a box cannot be one, or one part is left without photos.
    """
    report = checked.read_checked(data, names, out, "dataset")
    reported: list[Photo] = []
    if validation:
        validated = checked.read_checked(validation, names, out, "validation")
        checked.refuse_shared(report, validated)
        reported = photos_of(validated.photos)
    faces = split_photos(photos_of(report.photos), reported, fraction, seed, read_split(keep) if keep else None)
    if not any(len(photo.boxes) for photo in faces.training):
        raise ConfigError(
            f"There is no box of a face on {plural(len(faces.training), 'photo')} to learn from; check that the "
            "annotations belong to these photos."
        )
    _draw(out / "dataset.jpg", faces.training)
    write_split(out / SPLIT_FILE, faces)
    return faces


def write_split(path: Path, faces: Faces) -> None:
    """Write down which photos are learned from and which are held out, with their boxes."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    split = [*((Part.TRAIN, one) for one in faces.training), *((Part.VALIDATION, one) for one in faces.held_out)]
    for number, (part, photo) in enumerate(split, 1):
        named = {"id": number, "file_name": str(photo.path.resolve()), "source": photo.source, "split": part.value}
        images.append(named)
        boxes = [(0, box) for box in photo.boxes.tolist()] + [(1, box) for box in photo.ignore.tolist()]
        for ignore, (x0, y0, x1, y1) in boxes:
            one = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "ignore": ignore}
            annotations.append({**one, "bbox": [x0, y0, x1 - x0, y1 - y0]})
    write_json(path, {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "face"}]})


def read_split(path: Path) -> tuple[list[Photo], list[Photo]]:
    """The photos that a run learned from, and those that it held out.

    Raises:
        ConfigError: The file cannot be read.
    """
    found = dataset.read(path, FaceNames()).photos
    held = photos_of(photo for photo in found if photo.part is Part.VALIDATION)
    return photos_of(photo for photo in found if photo.part is not Part.VALIDATION), held


def _photo(photo: dataset.Photo) -> Photo:
    for face in photo.faces:
        if face.bbox is None:
            raise ConfigError(
                f"{photo.listed_in or photo.path}: {photo.path.name} has a face without a box, and a detector learns "
                "from boxes: give COCO, Pascal VOC, YOLO, or a .csv with x0,y0,x1,y1."
            )
    boxes = [face.bbox for face in photo.faces if face.bbox and not face.ignore]
    ignore = [face.bbox for face in photo.faces if face.bbox and face.ignore]
    return Photo(photo.path, photo.source, _array(boxes), _array(ignore), group=photo.group)


def _array(boxes: Sequence[BBox]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(boxes, np.float32).reshape(-1, 4)


def _draw(path: Path, photos: Sequence[Photo]) -> None:
    """Some photos with their boxes, so that shifted boxes are seen before an epoch is spent on them."""
    order = np.random.default_rng(0).permutation(len(photos))[:SHOWN]
    write_sheet(path, "Photos with their boxes", evenly([_tile(photos[index]) for index in order], SHOWN))


def _tile(photo: Photo) -> Tile:
    image = read_image(photo.path)
    thick = max(1, round(max(image.shape[:2]) / 128))
    for colour, boxes in zip(COLOURS, (photo.boxes, photo.ignore), strict=True):
        for x0, y0, x1, y1 in boxes.round().astype(int).tolist():
            cv2.rectangle(image, (x0, y0), (x1, y1), colour, thick)
    return Tile(image, (photo.path.name[-20:], f"{len(photo.boxes)} faces"))

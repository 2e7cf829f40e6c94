"""Pictures for the mask classifier: readers for the three layouts, grouped splits.

Nothing here needs keras. A face is a `Sample`: a picture, a label and, where it is known, a box.

    folder per class      with_mask/*.jpg, without_mask/*.jpg, mask_worn_incorrectly/*.jpg
    labels.csv            file,label[,source,group,split]; paths relative to the csv
    COCO json             images[], annotations[] with bbox [x, y, width, height]; paths relative to the json
"""

from __future__ import annotations

import csv
import difflib
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.errors import ConfigError
from edge.values import LABELS, BBox, Image, Label
from train.common.box_size import larger

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})

UNSTATED_FACE = "face"
"""The COCO category of a face whose mask state nobody annotated.

Such faces are nearly always bare, except where the state of another face in the photo is annotated: there they are left
out.
"""


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


def read(path: Path) -> list[Sample]:
    """Read one data set, whatever its layout.

    Args:
        path: A folder with one folder a class, a labels.csv, or a COCO json.

    Returns:
        Its faces, in a stable order.

    Raises:
        ConfigError: Nothing is there, a label is unknown, or a file has the wrong shape.
    """
    if path.is_dir():
        samples = _read_folders(path)
    elif not path.exists():
        raise ConfigError(f"No data at {path}: give a folder with one folder a class, a labels.csv or a COCO json.")
    elif path.suffix == ".csv":
        samples = _read_csv(path)
    elif path.suffix == ".json":
        samples = _read_coco(path)
    else:
        raise ConfigError(f"{path} is neither a folder, a .csv nor a .json: give one of these as --data.")
    if not samples:
        raise ConfigError(
            f"No images found in {path}: expected pictures in folders named {', '.join(LABELS)}, "
            "or rows or annotations that name them."
        )
    return samples


def label_named(name: str, where: Path) -> Label:
    """The label called ``name``; a ConfigError that names ``where`` and the nearest label if there is none."""
    try:
        return Label(name)
    except ValueError:
        nearest = difflib.get_close_matches(name, list(LABELS), n=1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]}?" if nearest else "."
        raise ConfigError(f"Unknown label {name!r} in {where}: the labels are {', '.join(LABELS)}{hint}") from None


def _read_folders(root: Path) -> list[Sample]:
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    samples = []
    for folder in folders:
        label = label_named(folder.name, root)
        pictures = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
        samples += [Sample(path, label, root.name, str(path)) for path in pictures]
    return samples


def _read_csv(path: Path) -> list[Sample]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = {"file", "label"} - set(reader.fieldnames or ())
        if missing:
            raise ConfigError(
                f"{path} has no column {' or '.join(sorted(missing))}: its first line must name file,label."
            )
        return [_csv_sample(row, path) for row in reader]


def _csv_sample(row: dict[str, str], path: Path) -> Sample:
    source = row.get("source") or path.parent.name
    return Sample(
        path=path.parent / row["file"],
        label=label_named(row["label"], path),
        source=source,
        group=f"{path.parent.name}/{row.get('group') or row['file']}",
        validation=row.get("split") == "val",
    )


def _read_coco(path: Path) -> list[Sample]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        names = {category["id"]: category["name"] for category in data["categories"]}
        pictures = {picture["id"]: picture for picture in data["images"]}
        faces = [
            (face["image_id"], names[face["category_id"]], face["bbox"])
            for face in data["annotations"]
            if not (face.get("iscrowd") or face.get("ignore"))
        ]
        stated = {picture for picture, name, _ in faces if name != UNSTATED_FACE}
        return [
            _coco_sample(pictures[picture], name, bbox, path)
            for picture, name, bbox in faces
            if name != UNSTATED_FACE or picture not in stated
        ]
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path} is not a COCO json with images, annotations and categories: {error!r}.") from error


def _coco_sample(picture: dict[str, Any], name: str, bbox: Sequence[float], path: Path) -> Sample:
    x, y, width, height = bbox
    return Sample(
        path=path.parent / picture["file_name"],
        label=Label.WITHOUT_MASK if name == UNSTATED_FACE else label_named(name, path),
        source=picture.get("source", path.parent.name),
        group=picture["file_name"],
        bbox=BBox(x, y, x + width, y + height),
        stated=name != UNSTATED_FACE,
        annotated=True,
    )


def hold_out(samples: Sequence[Sample], fraction: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Split by group, so that near-duplicates stay together.

    Args:
        samples: Faces.
        fraction: Of the groups to hold out, in [0, 1).
        seed: The same seed holds out the same groups, whatever the order of ``samples``.

    Returns:
        What to train on, and what is held out.
    """
    groups = sorted({sample.group for sample in samples})
    random.Random(seed).shuffle(groups)  # noqa: S311 - a split, not a secret
    held = set(groups[: round(len(groups) * fraction)])
    return [s for s in samples if s.group not in held], [s for s in samples if s.group in held]


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
    """The picture in BGR, or None. Goes through memory: cv2.imread prints its own warnings for a missing file."""
    if not path.is_file():
        return None
    coded = np.frombuffer(path.read_bytes(), np.uint8)
    return cv2.imdecode(coded, cv2.IMREAD_COLOR) if coded.size else None  # type: ignore[return-value]


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

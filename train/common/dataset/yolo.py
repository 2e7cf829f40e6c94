"""YOLO: a ``data.yaml`` with the names, and a text file per photo with ``class x y width height`` as shares of it.

Layout as at https://docs.ultralytics.com/datasets/detect/: ``images/train/a.jpg`` has ``labels/train/a.txt``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edge.errors import ConfigError
from edge.values import BBox
from train.common.dataset.files import photos_below, read_text
from train.common.dataset.looks import look
from train.common.dataset.names import Names
from train.common.dataset.record import PARTS, Annotation, Dataset, Photo
from train.common.terminal import progress

BOX = 4
"""Numbers of a box: more are a confidence, the points of a face, or those of a polygon."""
YAML = ("data.yaml", "data.yml", "dataset.yaml")


@dataclass(frozen=True, slots=True)
class Declared:
    """What the YAML says.

    Attributes:
        file: The YAML.
        classes: By number.
        keypoints: Whether points of the face follow a box.
    """

    file: Path
    classes: Mapping[int, str]
    keypoints: bool


def recognises(path: Path) -> bool:
    """Whether ``path`` is a YAML file, or a folder with a ``data.yaml`` or with ``images`` and text in ``labels``."""
    if not path.is_dir():
        return path.suffix.lower() in (".yaml", ".yml")
    return _yaml(path) is not None or ((path / "images").is_dir() and any((path / "labels").rglob("*.txt")))


def read(path: Path, names: Names) -> Dataset:
    """Read the photos of each part that the YAML names.

    Raises:
        ConfigError: The YAML or a label file has the wrong shape.
    """
    file = path if path.is_file() else _yaml(path)
    if file is None:
        raise ConfigError(f"{path} has images and labels of YOLO, but no data.yaml: add it, with train, val and names.")
    content = _content(file)
    declared = Declared(file, _classes(content.get("names"), file), "kpt_shape" in content)
    skipped: Counter[str] = Counter()
    pictures = [
        (picture, part)
        for part in ("train", "val", "test")
        for folder in _folders(content, part, file)
        for picture in photos_below(folder, skipped)
    ]
    # Boxes are shares of a photo's size, so every photo is decoded here. The check does not decode it again.
    photos = [_photo(picture, part, declared, names) for picture, part in progress(pictures, "Reading boxes")]
    del skipped[".txt"]
    return Dataset(path, "yolo", tuple(photos), dict(skipped))


def _yaml(folder: Path) -> Path | None:
    return next((folder / name for name in YAML if (folder / name).is_file()), None)


def _content(file: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"{file} is not a YOLO data.yaml: it names no train, val and names.")
    return content


def _classes(names: Any, file: Path) -> dict[int, str]:
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, Mapping) or not names:
        raise ConfigError(f"{file} has no names of classes: add names: [with_mask, without_mask].")
    try:
        return {int(number): str(name) for number, name in names.items()}
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{file}: names gives classes other keys than numbers: write names: [with_mask, without_mask]."
        ) from error


def _folders(content: Mapping[str, Any], part: str, file: Path) -> Iterator[Path]:
    """Where the photos of a part are. Public sets often write ``../train/images`` from a folder that is not there."""
    named = content.get(part) or ([] if part != "val" else content.get("valid") or [])
    root = file.parent / str(content.get("path") or "")
    for one in map(str, named if isinstance(named, list) else [named]):
        tried = [root / one, file.parent / one, file.parent / one.removeprefix("../")]
        folder = next((place for place in tried if place.is_dir()), None)
        if folder is None:
            raise ConfigError(f"{file}: {part} is {one!r}, but {tried[0]} is not a folder; correct the path.")
        yield folder


def _photo(picture: Path, part: str, declared: Declared, names: Names) -> Photo:
    label_file = _label_file(picture)
    lines = read_text(label_file).splitlines() if label_file.is_file() else []
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    size = look(picture).size if rows else (0, 0)
    faces = []
    for number, row in rows:
        name, bbox = _row(row, f"{label_file}, line {number}", size, declared)
        if not names.skips(name):
            label = names.label(name, f"{label_file}, line {number}", declared.classes.values())
            faces.append(Annotation(label, bbox, where=f"line {number}"))
    return Photo(picture, declared.file.parent.name, str(picture), PARTS[part], tuple(faces), label_file)


def _label_file(picture: Path) -> Path:
    """``.../images/a.jpg`` has ``.../labels/a.txt``; a photo elsewhere has its text file next to it."""
    beside = picture.with_suffix(".txt")
    parts = list(beside.parts)
    if "images" not in parts:
        return beside
    parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    usual = Path(*parts)
    return beside if beside.is_file() and not usual.is_file() else usual


def _row(row: list[str], where: str, size: tuple[int, int], declared: Declared) -> tuple[str, BBox]:
    """The class's name and the box in pixels."""
    try:
        kind, *shares = map(float, row)
        name = declared.classes[int(kind)]
        left, top, right, bottom = _edges(shares, declared.keypoints)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{where}: expected 'class x y width height'; correct or remove it.") from error
    except KeyError as error:
        raise ConfigError(
            f"{where}: there is no class {row[0]}; the data.yaml names {len(declared.classes)}."
        ) from error
    return name, BBox(left * size[0], top * size[1], right * size[0], bottom * size[1])


def _edges(shares: list[float], keypoints: bool) -> tuple[float, float, float, float]:
    """A box, of which points or a confidence may follow; or around a polygon, as data sets for segmentation have it.

    Raises:
        ValueError: There are too few numbers.
    """
    if len(shares) > BOX + 1 and not keypoints:
        points = list(zip(shares[::2], shares[1::2], strict=True))
        across, down = zip(*points, strict=True)
        return min(across), min(down), max(across), max(down)
    x, y, width, height = shares[:BOX]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2

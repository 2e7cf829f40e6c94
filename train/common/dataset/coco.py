"""COCO: one JSON with images, annotations and categories (https://cocodataset.org/#format-data)."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.errors import ConfigError
from edge.values import BBox, Label
from train.common.dataset.files import read_text
from train.common.dataset.names import Names
from train.common.dataset.record import PARTS, Annotation, Dataset, Photo, size_of

ROBOFLOW = "_annotations.coco.json"
"""What Roboflow's export calls the file."""


def recognises(path: Path) -> bool:
    """Whether ``path`` is a .json file, or a folder with Roboflow's file in it."""
    return path.suffix.lower() == ".json" or (path.is_dir() and (path / ROBOFLOW).is_file())


def read(path: Path, names: Names) -> Dataset:
    """Read the file; photos are named relative to its folder.

    Raises:
        ConfigError: It is not COCO; the text names the entry that has the wrong shape.
    """
    file = path / ROBOFLOW if path.is_dir() else path
    content = _content(file)
    for part in ("images", "categories"):
        _refuse_equal_ids(content[part], part, file)
    categories = {
        _field(one, "id", f"{file}, category {at}"): str(_field(one, "name", f"{file}, category {at}"))
        for at, one in enumerate(content["categories"])
    }
    faces: dict[Any, list[Annotation]] = defaultdict(list)
    for at, one in enumerate(content["annotations"]):
        where = f"annotation {one.get('id', at) if isinstance(one, dict) else at}"
        category = _category(one, categories, f"{file}, {where}")
        if not names.skips(category):
            label = names.label(category, f"{file}, {where}", categories.values())
            faces[_field(one, "image_id", f"{file}, {where}")].append(_face(one, label, file, where))
    photos = [_photo(one, at, faces, file) for at, one in enumerate(content["images"])]
    lost = sorted(set(faces) - {_plain(one["id"]) for one in content["images"]}, key=str)
    if lost:
        raise ConfigError(f"{file}, {faces[lost[0]][0].where}: its image_id {lost[0]} is not among the images.")
    return Dataset(path, "coco", tuple(photos))


def _content(file: Path) -> dict[str, list[Any]]:
    try:
        content: Any = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not valid JSON: {error}.") from error
    parts = content if isinstance(content, dict) else {}
    for part in ("images", "annotations", "categories"):
        if not isinstance(parts.get(part), list):
            raise ConfigError(f"{file} is not a COCO file: it has no list of {part}.")
    return parts


def _refuse_equal_ids(entries: Sequence[Any], part: str, file: Path) -> None:
    """Files that were joined may have the same numbers: boxes of one photo would go to another."""
    ids = Counter(_plain(one["id"]) for one in entries if isinstance(one, dict) and "id" in one)
    twice = [identity for identity, count in ids.items() if count > 1]
    if twice:
        raise ConfigError(f"{file}: {ids[twice[0]]} {part} have the id {twice[0]}; give each its own.")


def _field(entry: Any, key: str, where: str) -> Any:
    if not isinstance(entry, dict) or key not in entry:
        raise ConfigError(f"{where} has no {key!r}; complete or remove it.")
    return _plain(entry[key]) if key.endswith("id") else entry[key]


def _plain(identity: Any) -> Any:
    """An id that can be compared; a list or an object becomes text, which matches nothing."""
    return identity if isinstance(identity, Hashable) else str(identity)


def _category(entry: Any, categories: Mapping[Any, str], where: str) -> str:
    identity = _field(entry, "category_id", where)
    if identity not in categories:
        raise ConfigError(f"{where}: its category_id {identity} is not among the categories.")
    return categories[identity]


def _face(entry: Mapping[str, Any], label: Label | None, file: Path, where: str) -> Annotation:
    box = _field(entry, "bbox", f"{file}, {where}")
    try:
        x, y, width, height = map(float, box)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"{file}, {where}: the bbox {box} is not [x, y, width, height]; correct or remove it."
        ) from error
    ignore = bool(entry.get("ignore") or entry.get("iscrowd"))
    return Annotation(label, BBox(x, y, x + width, y + height), ignore, where)


def _photo(entry: Any, at: int, faces: Mapping[Any, list[Annotation]], file: Path) -> Photo:
    name = str(_field(entry, "file_name", f"{file}, image {at}"))
    identity = _field(entry, "id", f"{file}, image {at}")
    return Photo(
        path=file.parent / name,
        source=str(entry.get("source") or file.parent.name),
        group=str(entry.get("group") or name),
        part=PARTS.get(str(entry.get("split", "")).lower()),
        faces=tuple(faces.get(identity, ())),
        listed_in=file,
        size=size_of(entry.get("width"), entry.get("height")),
    )

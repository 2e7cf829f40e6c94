"""One folder per class, with or without train/, val/ and test/ above or below: the classic layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edge.errors import ConfigError
from edge.text import plural
from train.common.dataset.files import is_hidden, photos_below
from train.common.dataset.names import FaceNames, Names, not_known
from train.common.dataset.record import PARTS, Annotation, Dataset, Part, Photo


def recognises(path: Path) -> bool:
    """Whether ``path`` is a folder."""
    return path.is_dir()


def read(path: Path, names: Names) -> Dataset:
    """Read the folders; a folder that only wraps others (``dataset/``, ``images/``) is looked into.

    Raises:
        ConfigError: A folder with photos is called like no class.
    """
    skipped: Counter[str] = Counter()
    if isinstance(names, FaceNames) and any(photos_below(path, Counter())):
        raise ConfigError(
            f"{path} is a folder of photos without boxes, and a face detector learns from boxes: name the file that "
            "has them, a COCO .json, a data.yaml or a .csv with x0,y0,x1,y1, or a folder with Pascal VOC .xml files."
        )
    folders = list(_class_folders(path, None, names))
    unknown = list(dict.fromkeys(folder.name for folder, _ in folders if not names.means(folder.name)))
    if len(unknown) > 1:
        raise not_known(unknown, path)
    photos = [photo for folder, part in folders for photo in _photos(folder, part, path, names, skipped)]
    loose = sum(1 for _ in photos_below(path, Counter())) - len(photos) - skipped["left out"]
    if loose > 0:
        skipped["in no class folder"] += loose
    if loose > 0 and not photos:
        raise ConfigError(
            f"{path}: {plural(loose, 'photo')} in no class folder; sort them into with_mask/, without_mask/ and, if "
            "you have any, mask_worn_incorrectly/, or name the file that annotates them."
        )
    return Dataset(path, "folders", tuple(photos), dict(skipped))


def _class_folders(folder: Path, part: Part | None, names: Names) -> Iterator[tuple[Path, Part | None]]:
    """Folders that stand for a class, each with its side of the split."""
    below = sorted(child for child in folder.iterdir() if child.is_dir() and not is_hidden(child, folder))
    for child in below:
        if child.name.lower() in PARTS:
            yield from _class_folders(child, PARTS[child.name.lower()], names)
        elif names.means(child.name) or not any(grandchild.is_dir() for grandchild in child.iterdir()):
            yield child, part
        else:
            yield from _class_folders(child, part, names)


def _photos(folder: Path, part: Part | None, root: Path, names: Names, skipped: Counter[str]) -> Iterator[Photo]:
    """The photos of a class; ``with_mask/train/a.jpg`` is in the split that its folder names."""
    found = list(photos_below(folder, skipped))
    if not found:
        return
    if names.skips(folder.name):
        skipped["left out"] += len(found)
        return
    face = Annotation(names.label(folder.name, folder))
    if face.label is None:
        raise ConfigError(f"{folder}: photos of faces in unknown state teach nothing here; leave the folder out.")
    for path in found:
        within = (PARTS.get(name.lower()) for name in path.relative_to(folder).parts[:-1])
        yield Photo(path, root.name, str(path), next(filter(None, within), part), (face,))

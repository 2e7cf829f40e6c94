"""Pascal VOC: an XML per photo, usually ``annotations/*.xml`` next to ``images/*.png``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from edge.errors import ConfigError
from edge.values import BBox
from train.common.dataset.files import is_hidden, photos_below
from train.common.dataset.names import Names
from train.common.dataset.record import PARTS, Annotation, Dataset, Photo, size_of

LARGEST = 4 * 2**20
"""An annotation file in bytes; a larger one is not of a photo."""


def recognises(path: Path) -> bool:
    """Whether XML files with annotations lie below the folder."""
    return path.is_dir() and any(not is_hidden(file, path) for file in path.rglob("*.xml"))


def read(path: Path, names: Names) -> Dataset:
    """Read every XML file; photos are found by name, wherever they are below ``path``.

    Raises:
        ConfigError: A file is not an annotation, or its photo is not there.
    """
    skipped: Counter[str] = Counter()
    pictures = list(photos_below(path, skipped))
    by_name: dict[str, list[Path]] = defaultdict(list)
    for picture in pictures:
        by_name[picture.name].append(picture)
        by_name[picture.stem].append(picture)
    files = sorted(file for file in path.rglob("*.xml") if not is_hidden(file, path))
    photos = [_photo(file, path, by_name, names) for file in files]
    unlisted = len(set(pictures) - {photo.path for photo in photos})
    if unlisted:
        skipped["photo without an .xml"] += unlisted
    del skipped[".xml"]
    return Dataset(path, "voc", tuple(photos), dict(skipped))


def _photo(file: Path, root: Path, by_name: Mapping[str, Sequence[Path]], names: Names) -> Photo:
    tree = _tree(file)
    name = Path((tree.findtext("filename") or "").replace("\\", "/")).name
    picture = _picture(name, file, root, by_name)
    faces = [
        _face(one, number, file, names)
        for number, one in enumerate(tree.iter("object"), 1)
        if not names.skips(_name(one))
    ]
    within = (PARTS.get(part.lower()) for part in picture.relative_to(root).parts[:-1])
    size = size_of(tree.findtext("size/width"), tree.findtext("size/height"))
    return Photo(picture, root.name, str(picture), next(filter(None, within), None), tuple(faces), file, size)


def _picture(name: str, file: Path, root: Path, by_name: Mapping[str, Sequence[Path]]) -> Path:
    """The photo of an annotation file. Of several with its name the nearest: ``val/a.png`` of ``val/a.xml``.

    Raises:
        ConfigError: There is none, or several are equally near.
    """
    found = by_name.get(name) or by_name.get(file.stem)
    if not found:
        raise ConfigError(f"{file}: its photo {name or file.stem} is nowhere below {root}; add it or remove the file.")
    folders = Counter(file.relative_to(root).parts[:-1])
    apart = {picture: (Counter(picture.relative_to(root).parts[:-1]) - folders).total() for picture in found}
    nearest = [picture for picture in found if apart[picture] == min(apart.values())]
    if len(nearest) > 1:
        raise ConfigError(f"{file}: its photo may be {nearest[0]} or {nearest[1]}; rename one of them and its .xml.")
    return nearest[0]


def _tree(file: Path) -> ElementTree.Element:
    try:
        if file.stat().st_size > LARGEST:
            raise ConfigError(f"{file} is larger than {LARGEST // 2**20} MB: this is not an annotation of a photo.")
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"Cannot read {file}: {error.strerror}.") from error
    if b"<!ENTITY" in content:
        raise ConfigError(f"{file} defines XML entities, which annotations do not need; remove them.")
    try:
        tree = ElementTree.fromstring(content)  # noqa: S314 - entities are refused above
    except ElementTree.ParseError as error:
        raise ConfigError(f"{file} is not valid XML: {error}.") from error
    if tree.tag != "annotation":
        raise ConfigError(f"{file} is not a Pascal VOC annotation: it begins with <{tree.tag}>.")
    return tree


def _name(one: ElementTree.Element) -> str:
    return (one.findtext("name") or "").strip()


def _face(one: ElementTree.Element, number: int, file: Path, names: Names) -> Annotation:
    where = f"object {number}"
    name = _name(one)
    if not name:
        raise ConfigError(f"{file}, {where} has no <name>; complete or remove it.")
    label = names.label(name, f"{file}, {where}")
    edges = [one.findtext(f"bndbox/{edge}") or "" for edge in ("xmin", "ymin", "xmax", "ymax")]
    try:
        bbox = BBox(*map(float, edges))
    except ValueError as error:
        raise ConfigError(f"{file}, {where}: its <bndbox> is not four numbers; correct or remove it.") from error
    return Annotation(label, bbox, where=where)

"""The check before a training: what is usable, what is not, and what is there twice."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge.cameras.picture import UNSUPPORTED
from edge.errors import ConfigError
from edge.text import plural
from edge.values import LABELS, BBox
from train.common.dataset.looks import Look, Progress, alike, look_at
from train.common.dataset.record import Annotation, Dataset, Photo

SHOWN = 5
"""Faults and files named in a message; the rest are counted."""

FEW = 30
"""A class with fewer faces than this is said to be short."""

UNEVEN = 20
"""A class with so many times fewer faces than the largest is said to be short, too."""

UNSTATED = "face, state unknown"


@dataclass(frozen=True, slots=True)
class Report:
    """What the check found.

    Attributes:
        photos: Those that can be used, with groups that keep duplicates together and boxes cut to the photo.
        looks: What was seen of each photo, by path.
        layouts: Of each data set, by its path.
        skipped: Files that were not read, by suffix or reason.
        unreadable: Why a photo cannot be used, by path.
        duplicates: Groups of photos that are the same file.
        near_duplicates: Groups of photos that look alike.
        contradictions: Groups of duplicates with different classes.
        clipped: Boxes that reached beyond the photo.
    """

    photos: tuple[Photo, ...]
    looks: Mapping[Path, Look]
    layouts: Mapping[str, str]
    skipped: Mapping[str, int]
    unreadable: Mapping[Path, str]
    duplicates: tuple[tuple[Path, ...], ...] = ()
    near_duplicates: tuple[tuple[Path, ...], ...] = ()
    contradictions: tuple[tuple[Path, ...], ...] = ()
    clipped: int = 0
    faces: Mapping[str, int] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """What the operator should know before training, a sentence each."""
        return list(_warnings(self))

    def _shown(self) -> Iterator[tuple[Photo, Annotation]]:
        """Faces that are not ignored, each with its photo."""
        return ((photo, face) for photo in self.photos for face in photo.faces if not face.ignore)

    def as_json(self) -> dict[str, Any]:
        """For ``dataset.json``."""
        return {
            "layouts": dict(self.layouts),
            "photos": len(self.photos),
            "faces": dict(self.faces),
            "parts": dict(Counter(photo.part.value if photo.part else "not split" for photo in self.photos)),
            "sources": dict(Counter(photo.source for photo in self.photos)),
            "face_size_px": _sizes(face.bbox.short_side for _, face in self._shown() if face.bbox),
            "photo_size_px": _sizes(self.looks[one.path].short_side for one, face in self._shown() if not face.bbox),
            "skipped": dict(self.skipped),
            "unreadable": {str(path): fault for path, fault in self.unreadable.items()},
            "duplicates": [[str(path) for path in group] for group in self.duplicates],
            "near_duplicates": [[str(path) for path in group] for group in self.near_duplicates],
            "contradictions": [[str(path) for path in group] for group in self.contradictions],
            "boxes_cut_to_the_photo": self.clipped,
            "warnings": self.warnings,
        }

    def as_text(self) -> str:
        """For the terminal: a table, then warnings."""
        said = self.as_json()
        rows = [("photos", str(said["photos"]))]
        rows += [(f"  {label}", plural(count, "face")) for label, count in self.faces.items()]
        for name, sizes in (("face size", said["face_size_px"]), ("photo", said["photo_size_px"])):
            if sizes:
                told = f"{sizes['smallest']} to {sizes['largest']} px, median {sizes['median']}"
                rows.append((f"{name}, short side", told))
        rows += [(f"split: {part}", plural(count, "photo")) for part, count in said["parts"].items()]
        rows += [(f"skipped: {what}", plural(count, "file")) for what, count in sorted(self.skipped.items())]
        rows.append(("unreadable", plural(len(self.unreadable), "photo")))
        rows.append(("same file twice", _doubles(self.duplicates)))
        rows.append(("nearly the same photo", _doubles(self.near_duplicates)))
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        return "\n".join([*lines, *(f"! {warning}" for warning in self.warnings)])


def check(datasets: Sequence[Dataset], cache: Path | None, progress: Progress) -> Report:
    """Look at every photo of some data sets.

    Args:
        datasets: As read.
        cache: Where looks are kept between runs, or None.
        progress: Shows how far it is.

    Raises:
        ConfigError: A box cannot be one (empty, negative, not a number, outside the photo), or no photo can be used.
            The text names the file and the annotation.
    """
    photos = [photo for dataset in datasets for photo in dataset.photos]
    looks = look_at((photo.path for photo in photos), cache, progress)
    unreadable = {photo.path: looks[photo.path].fault for photo in photos if looks[photo.path].fault}
    usable = [photo for photo in photos if photo.path not in unreadable]
    _refuse_impossible_boxes(usable, looks)
    if not usable:
        first = next(iter(unreadable.items()))
        raise ConfigError(f"None of {len(photos)} photos can be read; the first: {first[0]}: {first[1]}.")
    cut = [_cut_to_photo(photo, looks[photo.path]) for photo in usable]
    groups = [[usable[index] for index in group] for group in alike([looks[photo.path] for photo in usable])]
    same, near = _by_digest(groups, looks)
    return Report(
        photos=tuple(_grouped(cut, groups)),
        looks=looks,
        layouts={str(dataset.path): dataset.layout for dataset in datasets},
        skipped=sum((Counter(dataset.skipped) for dataset in datasets), Counter()),
        unreadable=unreadable,
        duplicates=same,
        near_duplicates=near,
        contradictions=tuple(tuple(p.path for p in group) for group in groups if _contradicts(group)),
        clipped=sum(one.faces != other.faces for one, other in zip(cut, usable, strict=True)),
        faces=_faces(cut),
    )


def _faces(photos: Sequence[Photo]) -> dict[str, int]:
    counts = Counter(
        str(face.label or UNSTATED) if not face.ignore else "ignored" for photo in photos for face in photo.faces
    )
    return {name: counts[name] for name in (*map(str, LABELS), UNSTATED, "ignored") if counts[name]}


def _refuse_impossible_boxes(photos: Sequence[Photo], looks: Mapping[Path, Look]) -> None:
    faults = [
        f"{photo.listed_in or photo.path}, {face.where} ({photo.path.name}): {fault}"
        for photo in photos
        for face in photo.faces
        if face.bbox and (fault := _fault(face.bbox, looks[photo.path]))
    ]
    if faults:
        more = f"\n  and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        shown = "\n  ".join(faults[:SHOWN])
        raise ConfigError(
            f"{plural(len(faults), 'box', 'boxes')} cannot be faces; correct or remove them:\n  {shown}{more}"
        )


def _fault(bbox: BBox, look: Look) -> str:
    """Why a box cannot be a face of a photo of this size; "" where it can."""
    edges = ", ".join(f"{edge:g}" for edge in bbox)
    if not all(map(math.isfinite, bbox)):
        return f"the box {edges} is not all numbers"
    if bbox.x1 <= bbox.x0 or bbox.y1 <= bbox.y0:
        return f"the box {edges} (left, top, right, bottom) is empty or the wrong way round"
    if bbox.x0 >= look.width or bbox.y0 >= look.height or bbox.x1 <= 0 or bbox.y1 <= 0:
        return f"the box {edges} lies outside the photo of {look.width}x{look.height} pixels"
    return ""


def _cut_to_photo(photo: Photo, look: Look) -> Photo:
    return replace(photo, faces=tuple(_cut(face, look) for face in photo.faces))


def _cut(face: Annotation, look: Look) -> Annotation:
    if face.bbox is None:
        return face
    x0, y0, x1, y1 = face.bbox
    return replace(face, bbox=BBox(max(0.0, x0), max(0.0, y0), min(float(look.width), x1), min(float(look.height), y1)))


def _by_digest(
    groups: Sequence[Sequence[Photo]], looks: Mapping[Path, Look]
) -> tuple[tuple[tuple[Path, ...], ...], tuple[tuple[Path, ...], ...]]:
    """Groups of the same file, and groups of different files that look alike."""
    same, near = [], []
    for group in groups:
        by_digest: dict[str, list[Path]] = {}
        for photo in group:
            by_digest.setdefault(looks[photo.path].digest, []).append(photo.path)
        same += [tuple(paths) for paths in by_digest.values() if len(paths) > 1]
        if len(by_digest) > 1:
            near.append(tuple(paths[0] for paths in by_digest.values()))
    return tuple(same), tuple(near)


def _grouped(photos: Sequence[Photo], groups: Sequence[Sequence[Photo]]) -> Iterator[Photo]:
    """Photos whose groups are joined where photos are alike."""
    leader: dict[str, str] = {}

    def first(group: str) -> str:
        while leader.get(group, group) != group:
            group = leader[group]
        return group

    for group in groups:
        for photo in group[1:]:
            leader[first(photo.group)] = first(group[0].group)
    for photo in photos:
        yield replace(photo, group=first(photo.group))


def _contradicts(group: Sequence[Photo]) -> bool:
    """Whether photos that are alike as a whole have different classes."""
    whole = {face.label for photo in group for face in photo.faces if face.bbox is None}
    return len(whole) > 1


def _doubles(groups: Sequence[Sequence[Path]]) -> str:
    return plural(sum(len(group) - 1 for group in groups), "photo")


def _sizes(sides: Iterable[float]) -> dict[str, int]:
    measured = list(sides)
    if not measured:
        return {}
    return {
        "smallest": round(min(measured)),
        "median": round(statistics.median(measured)),
        "largest": round(max(measured)),
    }


def _warnings(report: Report) -> Iterator[str]:
    for path, fault in list(report.unreadable.items())[:SHOWN]:
        yield f"{path} is left out: {fault}."
    for suffix in sorted(UNSUPPORTED.keys() & report.skipped):
        yield f"Skipped {plural(report.skipped[suffix], f'{suffix} file')}: export the photos as JPEG to use them."
    for group in report.contradictions[:SHOWN]:
        names = ", ".join(map(str, group[:3]))
        yield f"The same photo has different classes: {names}; keep the right one."
    labelled = {str(label): report.faces.get(str(label), 0) for label in LABELS}
    most = max(labelled.values())
    for label, count in labelled.items():
        if most and 0 < count < max(FEW, most / UNEVEN):
            yield f"{label} has only {plural(count, 'face')}; its figures will be uncertain. Add photos if you can."
    yield from _of_another_size(report)
    both = _on_both_sides(report)
    if both:
        has = "has" if both == 1 else "have"
        yield f"{plural(both, 'photo')} in validation or test {has} a near duplicate in training: kept on one side."


def _of_another_size(report: Report) -> Iterator[str]:
    """Photos that were turned or scaled after they were annotated, as programs that overlook the EXIF data do."""
    other = [
        photo
        for photo in report.photos
        if photo.size and any(face.bbox for face in photo.faces) and photo.size != report.looks[photo.path].size
    ]
    if other:
        first = other[0]
        (wide, high), (width, height) = first.size or (0, 0), report.looks[first.path].size
        yield (
            f"{plural(len(other), 'photo')} had another size when annotated, such as {first.path}: {wide}x{high}, now "
            f"{width}x{height} pixels. Do the boxes still fit? dataset.jpg shows some."
        )


def _on_both_sides(report: Report) -> int:
    parts: dict[str, set[Any]] = {}
    for photo in report.photos:
        parts.setdefault(photo.group, set()).add(photo.part)
    split = {group for group, found in parts.items() if len(found) > 1}
    return sum(
        photo.group in split and photo.part is not None and photo.part.value != "train" for photo in report.photos
    )

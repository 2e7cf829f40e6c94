"""Hard cases by name: which annotated faces show a hand before the mouth, a beard, a face far away, and so on.

The list names photos and boxes; no photo is in the project. Faces were picked by looking at them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from edge.errors import ConfigError
from edge.values import BBox, Label
from train.common.faults import in_words
from train.common.matching import SAME_FACE
from train.evaluate.measure import Outcome

SLACK = 1.0
"""Pixels by which a listed box, in whole pixels, may differ from the annotated one."""


class HardFace(NamedTuple):
    """A face of a case.

    Attributes:
        photo: Relative to the folder of the COCO file.
        bbox: Left, top, width and height of the annotated box, in whole pixels.
        alarm: Whether the face calls for an alarm, to the eye of who picked it: anything but a well-worn mask.
    """

    photo: str
    bbox: tuple[int, int, int, int]
    alarm: bool

    def is_at(self, bbox: BBox) -> bool:
        """Whether ``bbox`` is the annotated box that is meant."""
        sides = (bbox.x0, bbox.y0, bbox.width, bbox.height)
        return all(abs(side - listed) <= SLACK for side, listed in zip(sides, self.bbox, strict=True))


class Case(NamedTuple):
    """A name, its faces, and what is to be known of them, as where few could be found.

    Attributes:
        name: In the list.
        faces: Or, with ``no_face``, boxes in which nobody is to be found.
        note: For people.
        no_face: The boxes hold hands, signs and the like.
    """

    name: str
    faces: Sequence[HardFace]
    note: str
    no_face: bool = False


def read_cases(path: Path) -> list[Case]:
    """Read a list of hard cases.

    Raises:
        ConfigError: It is absent or has another form.
    """
    try:
        listed: Mapping[str, Mapping[str, object]] = json.loads(path.read_text("utf-8"))["cases"]
        return [_case(name, content) for name, content in listed.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} is not a list of hard cases ({in_words(error)}); restore it, or leave --cases out."
        ) from error


def _case(name: str, content: Mapping[str, object]) -> Case:
    faces = content["faces"]
    if not isinstance(faces, list):
        raise ValueError(f"the faces of {name} are no list")  # noqa: TRY004 - these words are shown
    return Case(
        name, [_face(face) for face in faces], str(content.get("note", "")), bool(content.get("no_face", False))
    )


def _face(entry: Mapping[str, object]) -> HardFace:
    photo, bbox, alarm = entry["photo"], entry["bbox"], entry["alarm"]
    if not (isinstance(photo, str) and isinstance(bbox, list) and isinstance(alarm, bool)):
        raise TypeError(f"{entry} is not photo, bbox and alarm")
    left, top, width, height = map(int, bbox)
    return HardFace(photo, (left, top, width, height), alarm)


class CaseCount(NamedTuple):
    """Of a case's faces: in the photos measured, found, and among these judged right as to an alarm.

    Of a case without faces: its boxes in the photos measured, those taken for faces, and the others.
    """

    name: str
    faces: int
    found: int
    right: int


def count_cases(cases: Iterable[Case], outcomes: Iterable[Outcome], folders: Sequence[Path]) -> list[CaseCount]:
    """Go through the hard cases; faces of photos that were not measured, or that are not annotated, are left out.

    Args:
        cases: By name.
        outcomes: Of the photos.
        folders: To one of which each case's photo is relative.
    """
    by_photo = {outcome.photo.path: outcome for outcome in outcomes}
    counts = []
    for case in cases:
        if case.no_face:
            counts.append(_count_false(case, by_photo, folders))
            continue
        known = [
            (face.alarm, reading)
            for face in case.faces
            for folder in folders
            if (outcome := by_photo.get(folder / face.photo)) is not None
            for truth, reading in outcome.pairs()
            if face.is_at(truth.bbox)
        ]
        found = [(alarm, reading.label != Label.WITH_MASK) for alarm, reading in known if reading is not None]
        counts.append(CaseCount(case.name, len(known), len(found), sum(due == said for due, said in found)))
    return counts


def _count_false(case: Case, by_photo: Mapping[Path, Outcome], folders: Sequence[Path]) -> CaseCount:
    taken = [
        any(reading.face.bbox.iou(_box(face)) >= SAME_FACE for reading in outcome.unmatched)
        for face in case.faces
        for folder in folders
        if (outcome := by_photo.get(folder / face.photo)) is not None
    ]
    return CaseCount(case.name, len(taken), sum(taken), len(taken) - sum(taken))


def _box(face: HardFace) -> BBox:
    left, top, width, height = face.bbox
    return BBox(left, top, left + width, top + height)

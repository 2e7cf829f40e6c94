"""The list of hard cases: its form always, and where the photos are at hand, that each entry is an annotated face."""

import json
import os
from pathlib import Path

import pytest

from edge.errors import ConfigError
from tests.nonempty import some
from train.evaluate.hard_cases import HardFace, read_cases
from train.evaluate.photos import read_photos

ROOT = Path(__file__).parents[2]
LISTED = ROOT / "tests/hard_cases.json"
DATA = Path(os.environ.get("DATA", ROOT.parent / "shared/data/faces/val.json"))
MORE = sorted(DATA.parents[1].glob("more/*/val.json"))
NAMES = {
    "hand over mouth",
    "chin mask",
    "bare nose",
    "face shield",
    "drawn face",
    "scarf",
    "low light",
    "beard",
    "child",
    "far",
    "profile",
    "dark or patterned mask",
    "glasses with mask",
    "profile down",
    "head back",
    "cap",
    "hand beside",
    "half hidden",
    "fist",
    "sign",
}


def listed() -> list[HardFace]:
    return [face for case in read_cases(LISTED) for face in case.faces]


def test_cases_hold_at_least_150_faces() -> None:
    assert {case.name for case in read_cases(LISTED) if case.faces} == NAMES
    assert len(listed()) >= 150


def test_no_face_is_listed_twice() -> None:
    assert len({(face.photo, face.bbox) for face in listed()}) == len(listed())


def test_entries_have_photo_box_and_alarm() -> None:
    cases = json.loads(LISTED.read_text("utf-8"))["cases"].values()
    assert all(set(case) <= {"note", "faces", "no_face"} for case in some(cases))
    for face in some(face for case in cases for face in case["faces"]):
        assert set(face) == {"photo", "bbox", "alarm"}
        assert [type(side) for side in face["bbox"]] == [int] * 4
        assert min(face["bbox"][2:]) > 0
        assert not Path(face["photo"]).is_absolute()


def test_sparse_cases_say_so() -> None:
    few = {case.name: case.note for case in read_cases(LISTED) if len(case.faces) < 20}
    assert all(note for name, note in some(item for item in few.items() if item[0] != "chin mask"))


def test_badly_worn_masks_are_alarms() -> None:
    worn = [face for case in read_cases(LISTED) if case.name in {"chin mask", "bare nose"} for face in case.faces]
    assert all(face.alarm for face in some(worn))


@pytest.mark.skipif(
    not (DATA.is_file() and MORE), reason=f"no validation photos at {DATA}; name a COCO file with DATA="
)
def test_entries_match_at_most_one_face() -> None:
    photos = {photo.path: photo for file in (DATA, *MORE) for photo in read_photos(file)}
    folders = [file.parent for file in (DATA, *MORE)]
    for case, face in some((one, face) for one in read_cases(LISTED) for face in one.faces):
        shown = [photos[folder / face.photo] for folder in folders if folder / face.photo in photos]
        meant = [sum(face.is_at(truth.bbox) for truth in photo.truths) for photo in shown]
        assert sum(meant) == (0 if case.no_face else 1), (case.name, face)
        assert len(shown) >= 1, (case.name, face)


def test_empty_boxes_are_no_alarms() -> None:
    without = [case for case in read_cases(LISTED) if case.no_face]
    assert {case.name for case in without} == {"fist", "sign"}
    assert not any(face.alarm for face in some(face for case in without for face in case.faces))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"cases": {"far": {}}}', '{"cases": {"far": {"faces": [{"photo": "a.jpg"}]}}}']
)
def test_other_list_forms_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "cases.json").write_text(text)
    with pytest.raises(ConfigError, match="not a list of hard cases"):
        read_cases(tmp_path / "cases.json")

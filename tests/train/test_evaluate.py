"""The evaluation: pairing, figures and bars, on a pipeline that is told what to answer."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.values import BBox, Face, Frame, Image, Label, Reading
from edge.vision.pipeline import Pipeline
from tests.nonempty import some
from train.common.matching import match
from train.evaluate import report as evaluate
from train.evaluate.gallery import write_gallery
from train.evaluate.hard_cases import Case, CaseCount, HardFace, count_cases
from train.evaluate.measure import Outcome, Share, assess, confusion, figures, flagged, recall
from train.evaluate.photos import Photo, Truth, open_photo, read_photos
from train.evaluate.report import unmet
from train.evaluate.sources import false_photos, source_rows

MASKED, BARE, BADLY = (0.9, 0.05, 0.05), (0.05, 0.9, 0.05), (0.1, 0.2, 0.7)


class Told:
    """Sees in each picture the readings told for the grey level of its first pixel."""

    def __init__(self, readings: dict[int, list[Reading]]) -> None:
        self._readings = readings
        self._now: list[Reading] = []

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        self._now = [one for one in self._readings[int(frame.image[0, 0, 0])] if one.face.score >= threshold]
        return [one.face for one in self._now]

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        return [one for one in self._now if one.face in faces]


def told(*readings: list[Reading], threshold: float = 0.05) -> Pipeline:
    scripted = Told(dict(enumerate(readings)))
    return Pipeline(scripted, scripted, threshold)


def square(x: float, y: float, side: float) -> BBox:
    return BBox(x, y, x + side, y + side)


def read_as(bbox: BBox, probabilities: tuple[float, ...], score: float = 0.9) -> Reading:
    return Reading(Face(bbox, score), probabilities)


def photo(folder: Path, number: int, *truths: Truth, ignored: tuple[BBox, ...] = ()) -> Photo:
    path = folder / f"{number}.png"
    cv2.imwrite(str(path), np.full((200, 300, 3), number, np.uint8))
    return Photo(path, "", truths, ignored)


def seen(shown: Photo, pipeline: Pipeline) -> Outcome:
    return assess(shown, open_photo(shown), pipeline, 0.4, 0.3)


def coco(folder: Path, *truths: Truth) -> Path:
    """A COCO file with one photo, numbered 0."""
    photo(folder, 0)
    names = ["with_mask", "without_mask", "mask_worn_incorrectly", "face", "helmet"]
    content = {
        "images": [{"id": 7, "file_name": "0.png", "width": 300, "height": 200, "source": "street"}],
        "categories": [{"id": index, "name": name} for index, name in enumerate(names)],
        "annotations": [
            {
                "id": index,
                "image_id": 7,
                "category_id": names.index(truth.category),
                "bbox": [truth.bbox.x0, truth.bbox.y0, truth.bbox.width, truth.bbox.height],
                "iscrowd": 0,
            }
            for index, truth in enumerate(truths)
        ],
    }
    path = folder / "val.json"
    path.write_text(json.dumps(content))
    return path


# Pairing


def test_the_surest_face_takes_the_truth() -> None:
    truths = [square(10, 10, 50)]
    faces = [Face(square(10, 10, 50), 0.6), Face(square(14, 10, 50), 0.9)]
    assert match(truths, faces, 0.3) == [1]


def test_faces_take_their_best_overlap() -> None:
    truths = [square(0, 0, 50), square(20, 0, 50)]
    assert match(truths, [Face(square(22, 0, 50), 0.9)], 0.3) == [None, 0]


def test_too_little_overlap_is_no_pair() -> None:
    assert match([square(0, 0, 50)], [Face(square(40, 0, 50), 0.9)], 0.3) == [None]
    assert match([], [Face(square(40, 0, 50), 0.9)], 0.3) == []


boxes = st.lists(st.builds(square, st.floats(0, 100), st.floats(0, 100), st.floats(5, 60)), max_size=8)


@given(truths=boxes, faces=boxes, iou=st.floats(0.1, 0.9))
def test_pairs_are_one_to_one(truths: list[BBox], faces: list[BBox], iou: float) -> None:
    found = [Face(bbox, 0.5 + index / 20) for index, bbox in enumerate(faces)]
    pairs = match(truths, found, iou)
    taken = [index for index in pairs if index is not None]
    assert len(taken) == len(set(taken))
    overlaps = [truth.iou(faces[index]) for truth, index in zip(truths, pairs, strict=True) if index is not None]
    assert [overlap for overlap in overlaps if overlap < iou] == []


# Figures


def test_recall_counts_the_shorter_side(tmp_path: Path) -> None:
    near, middle, far = square(0, 0, 60), square(100, 0, 30), BBox(200, 0, 290, 10)
    shown = photo(tmp_path, 0, *(Truth(bbox, "face") for bbox in (near, middle, far)))
    outcome = seen(shown, told([read_as(near, BARE), read_as(far, BARE)]))
    assert recall([outcome]) == Share(1, 1)
    assert recall([outcome], 20, 40) == Share(0, 1)
    assert recall([outcome], 8, 20) == Share(1, 1)


def test_badly_worn_on_bare_still_alarms(tmp_path: Path) -> None:
    places = [square(100 * index, 0, 60) for index in range(3)]
    shown = photo(tmp_path, 0, *(Truth(bbox, "without_mask") for bbox in places))
    answers = [read_as(bbox, said) for bbox, said in zip(places, (BARE, BADLY, MASKED), strict=True)]
    table = confusion([seen(shown, told(answers))])
    assert flagged(table[Label.WITHOUT_MASK]) == Share(2, 3)


def test_confusion_counts_missed_and_omits_far(tmp_path: Path) -> None:
    shown = photo(tmp_path, 0, Truth(square(0, 0, 60), "with_mask"), Truth(square(100, 0, 39), "with_mask"))
    table = confusion([seen(shown, told([]))])
    assert table["with_mask"] == {"missed": 1}
    assert flagged(table["with_mask"]).value is None


def test_weak_faces_count_for_precision_only(tmp_path: Path) -> None:
    bbox = square(0, 0, 60)
    outcome = seen(photo(tmp_path, 0, Truth(bbox, "face")), told([read_as(bbox, BARE, score=0.2)]))
    assert recall([outcome]) == Share(0, 1)
    assert outcome.unmatched == []
    assert len(outcome.swept) == 1


def test_ignored_regions_match_nothing(tmp_path: Path) -> None:
    stray, crowd = square(0, 0, 50), square(200, 100, 50)
    shown = photo(tmp_path, 0, ignored=(crowd,))
    outcome = seen(shown, told([read_as(stray, BARE), read_as(crowd, BARE)]))
    assert [reading.face.bbox for reading in outcome.unmatched] == [stray]


def test_surer_strays_lower_average_precision(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    bbox, stray = square(0, 0, 60), square(200, 100, 60)
    shown = photo(tmp_path, 0, Truth(bbox, "face"))
    perfect = figures([seen(shown, told([read_as(bbox, BARE, 0.8)]))])
    worse = figures([seen(shown, told([read_as(bbox, BARE, 0.8), read_as(stray, BARE, 0.9)]))])
    assert perfect.ap_50 == pytest.approx(1.0)
    assert worse.ap_50 == pytest.approx(0.5)


def test_honest_probabilities_have_no_calibration_error(tmp_path: Path) -> None:
    places = [square(60 * index, 0, 50) for index in range(4)]
    half_sure = (0.5, 0.3, 0.2)
    categories = ("with_mask", "with_mask", "without_mask", "mask_worn_incorrectly")
    shown = photo(tmp_path, 0, *(Truth(bbox, name) for bbox, name in zip(places, categories, strict=True)))
    found = figures([seen(shown, told([read_as(bbox, half_sure, 0.9) for bbox in places]))])
    assert found.ece_label == pytest.approx(0)
    assert found.ece_alarm == pytest.approx(0)
    assert found.ece_face == pytest.approx(0.1), "all four are faces, and each score said 0.9"


def test_unknown_faces_are_not_calibrated(tmp_path: Path) -> None:
    bbox = square(0, 0, 60)
    found = figures([seen(photo(tmp_path, 0, Truth(bbox, "face")), told([read_as(bbox, MASKED)]))])
    assert found.ece_label is None
    assert found.ece_alarm is None


# Hard cases


def test_cases_count_found_and_right(tmp_path: Path) -> None:
    bare, masked, missed = (square(100 * index, 0, 60.3) for index in range(3))
    shown = photo(tmp_path, 0, *(Truth(bbox, "face") for bbox in (bare, masked, missed)))
    outcome = seen(shown, told([read_as(bare, BADLY), read_as(masked, BARE)]))
    faces = [HardFace("0.png", (0, 0, 60, 60), True), HardFace("0.png", (100, 0, 60, 60), False)]
    case = Case("beard", [*faces, HardFace("0.png", (200, 0, 60, 60), True)], "")
    assert count_cases([case], [outcome], [tmp_path]) == [CaseCount("beard", faces=3, found=2, right=1)]


def test_cases_omit_unmeasured_photos(tmp_path: Path) -> None:
    bbox = square(0, 0, 60)
    outcome = seen(photo(tmp_path, 0, Truth(bbox, "face")), told([read_as(bbox, BARE)]))
    case = Case("far", [HardFace("1.png", (0, 0, 60, 60), True), HardFace("0.png", (9, 0, 60, 60), True)], "")
    assert count_cases([case], [outcome], [tmp_path]) == [CaseCount("far", faces=0, found=0, right=0)]


# Reading the annotations


def test_unknown_categories_become_faces(tmp_path: Path) -> None:
    truths = [Truth(square(5, 6, 50), "mask_worn_incorrectly"), Truth(square(80, 6, 20), "helmet")]
    path = coco(tmp_path, *truths)
    (shown,) = read_photos(path)
    assert shown.truths == (truths[0], Truth(truths[1].bbox, "face"))
    assert (shown.source, shown.path) == ("street", tmp_path / "0.png")
    assert read_photos(tmp_path) == [shown], "a folder stands for its val.json"


@pytest.mark.parametrize("text", ["", "[]", '{"images": []}'])
def test_other_files_than_coco_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "val.json").write_text(text)
    with pytest.raises(ConfigError, match=r"val\.json is not (valid JSON|a COCO file)"):
        read_photos(tmp_path)


def test_usual_names_of_classes_are_understood(tmp_path: Path) -> None:
    path = coco(tmp_path, Truth(square(5, 6, 50), "with_mask"))
    path.write_text(path.read_text().replace('"with_mask"', '"Mask"'))
    (shown,) = read_photos(path)
    assert [truth.category for truth in shown.truths] == ["with_mask"]


def test_equal_ids_are_refused(tmp_path: Path) -> None:
    path = coco(tmp_path, Truth(square(5, 6, 50), "with_mask"))
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"images": content["images"] * 2}))
    with pytest.raises(ConfigError, match="2 images have the id"):
        read_photos(path)


def test_boxes_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    path = coco(tmp_path, Truth(square(float("nan"), 6, 50), "with_mask"))
    with pytest.raises(ConfigError, match=r"annotation \d+: the box is not all numbers"):
        read_photos(path)


def test_unreadable_photos_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.png"):
        open_photo(Photo(tmp_path / "gone.png", "", ()))


# The command


@pytest.fixture
def one_bare_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A COCO file with one bare and one masked face, both of which the models hold for bare."""
    bare, masked = square(0, 0, 60), square(100, 0, 60)

    def load(settings: Any, threshold: float, max_faces: int, closely: bool) -> Pipeline:
        return told([read_as(bare, BARE), read_as(masked, BARE)], threshold=threshold)

    monkeypatch.setattr(evaluate, "load_pipeline", load)
    return coco(tmp_path, Truth(bare, "without_mask"), Truth(masked, "with_mask"))


def test_the_report_is_printed_and_written(one_bare_face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = one_bare_face.parent / "report.json"
    assert evaluate.main(["--data", str(one_bare_face), "--json", str(report)]) == 0
    printed = capsys.readouterr().out
    assert "| Faces found, short side 40 px and more | 100.0% (2 of 2) |" in printed
    assert "| Masked faces labelled other than with_mask | 100.0% (1 of 1) |" in printed
    assert "| street | 1 | 100.0% of 2 |" in printed
    written = json.loads(report.read_text())
    assert written["figures"]["bare_flagged"] == 1.0
    assert written["confusion"]["with_mask"] == {"without_mask": 1}
    assert written["photos"] == 1


def test_hard_cases_are_a_line_each(one_bare_face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = one_bare_face.parent / "cases.json"
    face = {"photo": "0.png", "bbox": [0, 0, 60, 60], "alarm": True}
    cases.write_text(json.dumps({"cases": {"beard": {"faces": [face]}, "child": {"faces": []}}}))
    report = one_bare_face.parent / "report.json"
    told_to = ["--data", str(one_bare_face), "--cases", str(cases), "--json", str(report)]
    assert evaluate.main(told_to) == 0
    printed = capsys.readouterr().out
    assert "| beard | 1 | 1 | 1 |" in printed
    assert "| child | 0 | 0 | 0 |" in printed
    assert json.loads(report.read_text())["cases"][0] == {"name": "beard", "faces": 1, "found": 1, "right": 1}


def test_missing_hard_cases_are_explained(one_bare_face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = one_bare_face.parent / "cases.json"
    cases.write_text(json.dumps({"cases": {"child": {"faces": []}}}))
    assert evaluate.main(["--data", str(one_bare_face), "--cases", str(cases)]) == 0
    assert "None of the hard cases is among these photos." in capsys.readouterr().out


def test_temperature_comes_from_held_out_faces(
    one_bare_face: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = one_bare_face.parent
    (folder / "labels.csv").write_text(
        "file,label,split\n0.png,without_mask,val\n1.png,with_mask,val\n2.png,without_mask,train\n"
    )
    for copy in ("1.png", "2.png"):
        (folder / copy).write_bytes((folder / "0.png").read_bytes())
    whole = read_as(square(0, 0, 60), BARE)

    class Bare(Told):
        def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
            return [Reading(face, whole.probabilities) for face in faces]

    def load(settings: Any, threshold: float, max_faces: int, closely: bool) -> Pipeline:
        scripted = Bare({0: [whole]})
        return Pipeline(scripted, scripted, threshold)

    monkeypatch.setattr(evaluate, "load_pipeline", load)
    assert evaluate.main(["--data", str(one_bare_face), "--temperature-on", str(folder / "labels.csv")]) == 0
    printed = capsys.readouterr().out
    assert "on 2 faces held out in labels.csv: 4.17" in printed, "right half of the time, it is far too sure"
    assert "| as shipped |" in printed
    assert "| temperature 4.17 |" in printed


@pytest.mark.parametrize(
    ("bars", "code"),
    [
        ("face_recall=0.9,bare_flagged=0.93", 0),
        ("face_recall=0.9,masked_flagged=0.05", 1),
        ("masked_flagged=1", 0),
        ("incorrect_flagged=0.1", 1),
    ],
    ids=["met", "too many false alarms", "at most", "not measurable"],
)
def test_missed_bars_set_the_exit_code(one_bare_face: Path, bars: str, code: int) -> None:
    assert evaluate.main(["--data", str(one_bare_face), "--require", bars]) == code


def test_missed_bars_show_their_value(tmp_path: Path) -> None:
    outcome = seen(photo(tmp_path, 0, Truth(square(0, 0, 60), "face")), told([]))
    assert unmet(figures([outcome]), {"face_recall": 0.9}) == ["face_recall is 0.0000, less than 0.9"]


@pytest.mark.parametrize("bars", ["beauty=1", "face_recall", "face_recall=high"])
def test_an_invalid_bar_is_refused(one_bare_face: Path, bars: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        evaluate.main(["--data", str(one_bare_face), "--require", bars])
    assert stopped.value.code == 2


def test_a_wrong_path_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["--data", str(tmp_path / "nowhere.json")]) == ConfigError.exit_code
    assert capsys.readouterr().err.count("\n") == 1


def test_unknown_sources_are_refused(one_bare_face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["--data", str(one_bare_face), "--source", "moon"]) == ConfigError.exit_code
    assert "--source" in capsys.readouterr().err


def test_unwritable_reports_are_explained(one_bare_face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = one_bare_face.parent / "absent/report.json"
    assert evaluate.main(["--data", str(one_bare_face), "--json", str(report)]) == ConfigError.exit_code
    assert "give --json another file" in capsys.readouterr().err


def test_empty_boxes_are_right_without_finds(tmp_path: Path) -> None:
    outcome = seen(photo(tmp_path, 0), told([read_as(square(100, 20, 40), BARE)]))
    faces = [HardFace("0.png", (100, 20, 40, 40), False), HardFace("0.png", (10, 20, 40, 40), False)]
    case = Case("fist", faces, "", no_face=True)
    assert count_cases([case], [outcome], [tmp_path]) == [CaseCount("fist", faces=2, found=1, right=1)]


def test_each_source_has_a_row(tmp_path: Path) -> None:
    near, far = square(20, 20, 50), square(100, 20, 25)
    street = replace(photo(tmp_path, 0, Truth(near, "without_mask"), Truth(far, "face")), source="street")
    rooms = replace(photo(tmp_path, 1), source="rooms")
    pipeline = told([read_as(near, BARE)], [read_as(square(0, 0, 40), BARE, score=0.45)])
    rows = source_rows([seen(street, pipeline), seen(rooms, pipeline)])
    assert rows == [
        ("rooms", "1", "-", "-", "-", "1.00", "0.0% of 1", "-", "-", "-"),
        ("street", "1", "100.0% of 1", "0.0% of 1", "-", "0.00", "-", "100.0% of 1", "-", "-"),
    ]


@pytest.mark.parametrize(("score", "ignored", "hits"), [(0.6, (), 1), (0.45, (), 0), (0.6, (square(0, 0, 41),), 0)])
def test_sure_boxes_without_faces_are_false(tmp_path: Path, score: float, ignored: tuple[BBox, ...], hits: int) -> None:
    pipeline = told([read_as(square(0, 0, 40), BARE, score=score)])
    assert false_photos([seen(photo(tmp_path, 0, ignored=ignored), pipeline)]) == Share(hits, 1)


def test_the_gallery_shows_each_error_kind(tmp_path: Path) -> None:
    missed, masked = square(20, 20, 50), square(120, 20, 50)
    shown = photo(tmp_path, 0, Truth(missed, "face"), Truth(masked, "with_mask"))
    pipeline = told([read_as(masked, BARE), read_as(square(200, 100, 40), BARE)])
    sheets = write_gallery(tmp_path / "gallery", [seen(shown, pipeline)])
    assert [path.name for path in sheets] == ["missed.png", "false.png", "verdicts.png"]
    for path in some(sheets):
        blue, _, red = cv2.split(cv2.imread(str(path)).astype(int))
        assert (red - blue).max() > 100, "the box is drawn"


def test_several_files_are_one_evaluation(
    one_bare_face: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate, "load_pipeline", lambda *_, **__: told([read_as(square(20, 20, 50), BARE)]))
    assert evaluate.main(["--data", str(one_bare_face), "--data", str(one_bare_face)]) == 0
    assert capsys.readouterr().out.startswith("2 photos, one look at each")

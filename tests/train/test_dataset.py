"""Photos as people have them: each layout is read, checked, and refused with the place of the fault."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.cameras import picture
from edge.errors import ConfigError
from edge.values import BBox, Label
from train.common.contact_sheet import Tile, around, write_sheet
from train.common.dataset import FaceNames, Names, Part, read
from train.common.dataset.check import Report, check

MASK, BARE, BADLY = Label.WITH_MASK, Label.WITHOUT_MASK, Label.MASK_WORN_INCORRECTLY


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (60, 40), quality: int = 95) -> Path:
    """A smooth random picture, so that JPEG and scaling leave it recognisable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    image = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    assert cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return path


def unhurried(paths: Sequence[Path]) -> Iterator[Path]:
    yield from paths


def checked(*paths: Path, cache: Path | None = None) -> Report:
    return check([read(path) for path in paths], cache, unhurried)


def labels(path: Path, names: Names | None = None) -> dict[str, Label | None]:
    return {one.path.name: one.faces[0].label for one in read(path, names).photos}


class TestFolders:
    @pytest.mark.parametrize(
        ("name", "label"),
        [
            ("with_mask", MASK),
            ("Mask", MASK),
            ("WithMask", MASK),
            ("No Mask", BARE),
            ("without-mask", BARE),
            ("mask_weared_incorrect", BADLY),
            ("Incorrectly Masked", BADLY),
        ],
    )
    def test_any_usual_name_of_a_class(self, tmp_path: Path, name: str, label: Label) -> None:
        photo(tmp_path / name / "a.jpg")
        assert labels(tmp_path) == {"a.jpg": label}

    def test_an_unknown_name_offers_the_nearest(self, tmp_path: Path) -> None:
        photo(tmp_path / "wiht_mask" / "a.jpg")
        with pytest.raises(ConfigError, match=r"'wiht_mask' \(did you mean with_mask\?\) is not known\. .*--label"):
            read(tmp_path)

    def test_all_unknown_names_are_told_together(self, tmp_path: Path) -> None:
        for number, name in enumerate(("Mit Maske", "ohne Maske", "Tür innen")):
            photo(tmp_path / name / "a.jpg", number)
        options = '--label "Mit Maske=with_mask" --label "Tür innen=LABEL" --label "ohne Maske=without_mask"'
        with pytest.raises(ConfigError, match=f"are not known. Say what is meant with {options}; a class may be"):
            read(tmp_path)

    def test_photos_in_no_class_folder_are_told(self, tmp_path: Path) -> None:
        photo(tmp_path / "a.jpg")
        with pytest.raises(ConfigError, match=r"1 photo in no class folder; sort them into with_mask/, without_mask/"):
            read(tmp_path)

    def test_folders_teach_no_face_detector(self, tmp_path: Path) -> None:
        photo(tmp_path / "with_mask" / "a.jpg")
        with pytest.raises(ConfigError, match=r"without boxes, and a face detector learns from boxes: name the file"):
            read(tmp_path, FaceNames())

    def test_the_operator_names_a_class(self, tmp_path: Path) -> None:
        photo(tmp_path / "ja" / "a.jpg")
        photo(tmp_path / "nein" / "b.jpg", 1)
        photo(tmp_path / "katzen" / "c.jpg", 2)
        names = Names.parse(["ja=with_mask", "nein=without_mask", "katzen=skip"])
        assert labels(tmp_path, names) == {"a.jpg": MASK, "b.jpg": BARE}

    @pytest.mark.parametrize("word", ["ja", "=with_mask", "ja=masked"])
    def test_a_wrong_naming_is_refused(self, word: str) -> None:
        with pytest.raises(ConfigError, match="--label"):
            Names.parse([word])

    @pytest.mark.parametrize("layout", ["{part}/{label}", "{label}/{part}", "data/{part}/{label}"])
    def test_splits_above_or_below_the_class(self, tmp_path: Path, layout: str) -> None:
        for seed, part in enumerate(("Train", "val", "test")):
            photo(tmp_path / layout.format(part=part, label="mask") / f"{part}.jpg", seed)
        parts = {one.path.stem: one.part for one in read(tmp_path).photos}
        assert parts == {"Train": Part.TRAIN, "val": Part.VALIDATION, "test": Part.TEST}

    def test_hidden_and_foreign_files_are_counted(self, tmp_path: Path) -> None:
        photo(tmp_path / "mask" / "a.jpg")
        (tmp_path / "mask" / "._a.jpg").write_bytes(b"x")
        (tmp_path / "mask" / "b.heic").write_bytes(b"x")
        (tmp_path / "mask" / "Thumbs.db").write_bytes(b"x")
        dataset = read(tmp_path)
        assert [one.path.name for one in dataset.photos] == ["a.jpg"]
        assert dataset.skipped == {"hidden": 1, ".heic": 1, ".db": 1}

    def test_an_empty_folder_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="contains no photo"):
            read(tmp_path)

    def test_nothing_there_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="There is no data at"):
            read(tmp_path / "photos")


class TestTable:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
    def test_any_encoding_people_save(self, tmp_path: Path, encoding: str) -> None:
        photo(tmp_path / "à.jpg")
        (tmp_path / "labels.csv").write_bytes("file,label\nà.jpg,mask\n".encode(encoding))
        dataset = read(tmp_path / "labels.csv")
        assert [(one.path.exists(), one.faces[0].label) for one in dataset.photos] == [(True, MASK)]

    def test_group_source_and_split_are_read(self, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("file,label,source,group,split\na.jpg,mask,door,7,val\n", "utf-8")
        (one,) = read(tmp_path / "labels.csv").photos
        assert (one.source, one.group, one.part) == ("door", f"{tmp_path.name}/7", Part.VALIDATION)

    def test_a_quoted_name_may_hold_a_line_end(self, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text('file,label\n"two\nlines.jpg",mask\n', "utf-8", newline="")
        assert labels(tmp_path / "labels.csv") == {"two\nlines.jpg": MASK}

    def test_rows_with_boxes_are_faces(self, tmp_path: Path) -> None:
        rows = "filename;xmin;ymin;xmax;ymax;class\na.jpg;1;2;3;4;mask\na.jpg;5;6;7;8;no mask\n"
        (tmp_path / "labels.csv").write_text(rows, "utf-8")
        (one,) = read(tmp_path / "labels.csv").photos
        assert [(face.label, face.bbox) for face in one.faces] == [(MASK, BBox(1, 2, 3, 4)), (BARE, BBox(5, 6, 7, 8))]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("name,what\na.jpg,mask\n", "line 1 lacks the columns file and label"),
            ("file,label\na.jpg,mask\nb.jpg\n", "line 3: the row has 1 of the columns"),
            ("file,label\na.jpg,mask\n,mask\n", "line 3: the file is missing"),
            ("file,label\na.jpg,mask\na.jpg,mask\n", "line 3: a.jpg is listed twice"),
            ("file,label,x0,y0,x1,y1\na.jpg,mask,1,2,three,4\n", "line 2: the box 1, 2, three, 4 is not four numbers"),
            ("", "line 1"),
            (f'file,label\n"{"a" * 200_000}.jpg,mask\n', "line 2 is not CSV: .*; is a quotation mark missing"),
        ],
    )
    def test_a_fault_names_its_line(self, tmp_path: Path, text: str, said: str) -> None:
        (tmp_path / "labels.csv").write_text(text, "utf-8")
        with pytest.raises(ConfigError, match=said):
            read(tmp_path / "labels.csv")


def coco(folder: Path, *annotations: dict[str, Any], **changes: Any) -> Path:
    photo(folder / "a.jpg")
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "source": "door"}],
        "categories": [{"id": 1, "name": "with_mask"}, {"id": 4, "name": "face"}],
        "annotations": list(annotations),
    }
    file = folder / "data.json"
    file.write_text(json.dumps(content | changes), "utf-8")
    return file


class TestCoco:
    def test_faces_of_a_photo(self, tmp_path: Path) -> None:
        faces = (
            {"id": 7, "image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 30]},
            {"id": 8, "image_id": 1, "category_id": 4, "bbox": [0, 0, 5, 5], "ignore": 1},
        )
        (one,) = read(coco(tmp_path, *faces)).photos
        assert [(face.label, face.bbox, face.ignore, face.where) for face in one.faces] == [
            (MASK, BBox(10, 5, 30, 35), False, "annotation 7"),
            (None, BBox(0, 0, 5, 5), True, "annotation 8"),
        ]
        assert one.source == "door"

    @pytest.mark.parametrize(
        ("face", "said"),
        [
            ({"id": 7, "image_id": 1, "bbox": [1, 2, 3, 4]}, "annotation 7 has no 'category_id'"),
            ({"id": 7, "image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4]}, "annotation 7: its category_id 9"),
            ({"id": 7, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3]}, "annotation 7: the bbox"),
            ({"id": 7, "image_id": 1, "category_id": 1, "bbox": "no"}, "annotation 7: the bbox"),
            ({"id": 7, "image_id": 3, "category_id": 1, "bbox": [1, 2, 3, 4]}, "annotation 7: its image_id 3"),
        ],
    )
    def test_a_fault_names_its_annotation(self, tmp_path: Path, face: dict[str, Any], said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            read(coco(tmp_path, face))

    @pytest.mark.parametrize(
        "face",
        [
            {"id": 7, "image_id": [1], "category_id": 1, "bbox": [1, 2, 3, 4]},
            {"id": 7, "image_id": 1, "category_id": {}, "bbox": [1, 2, 3, 4]},
            {"id": 7, "image_id": 1, "category_id": 1, "bbox": [10**400, 2, 3, 4]},
        ],
    )
    def test_nonsense_names_its_annotation(self, tmp_path: Path, face: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="annotation 7"):
            read(coco(tmp_path, face))

    @pytest.mark.parametrize(
        ("part", "entry"), [("images", {"file_name": "a.jpg"}), ("categories", {"name": "with_mask"})]
    )
    def test_ids_that_are_there_twice_are_refused(self, tmp_path: Path, part: str, entry: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match=f"2 {part} have the id 1; give each its own"):
            read(coco(tmp_path, **{part: [{"id": 1, **entry}] * 2}))

    def test_a_name_that_no_file_can_have(self, tmp_path: Path) -> None:
        file = coco(tmp_path, images=[{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "a\0b.jpg"}])
        assert "null byte" in checked(file).unreadable[tmp_path / "a\0b.jpg"]

    def test_turned_photos_are_told(self, tmp_path: Path) -> None:
        face = {"id": 7, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 10]}
        turned = {"id": 1, "file_name": "a.jpg", "width": 40, "height": 60}
        told = checked(coco(tmp_path, face, images=[turned])).warnings
        assert f"1 photo had another size when annotated, such as {tmp_path}/a.jpg: 40x60, now 60x40" in told[-1]
        upright = {"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}
        assert "another size" not in str(checked(coco(tmp_path, face, images=[upright])).warnings)

    def test_a_photo_without_faces_is_kept(self, tmp_path: Path) -> None:
        (one,) = read(coco(tmp_path)).photos
        assert one.faces == ()

    def test_other_json_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no list of annotations"):
            read(coco(tmp_path, annotations={}))


def voc(root: Path, name: str, label: str, edges: Sequence[object], seed: int = 0) -> None:
    photo(root / "images" / f"{name}.png", seed)
    left, top, right, bottom = edges
    text = (
        f"<annotation><folder>images</folder><filename>{name}.png</filename><object><name>{label}</name>"
        f"<bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox>"
        "</object></annotation>"
    )
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / f"{name}.xml").write_text(text, "utf-8")


class TestVoc:
    def test_the_best_known_sets_layout(self, tmp_path: Path) -> None:
        voc(tmp_path, "maksssksksss0", "with_mask", (5, 5, 20, 20))
        voc(tmp_path, "maksssksksss1", "mask_weared_incorrect", (1, 2, 30, 32), seed=1)
        dataset = read(tmp_path)
        assert dataset.layout == "voc"
        assert [(one.faces[0].label, one.faces[0].bbox) for one in dataset.photos] == [
            (MASK, BBox(5, 5, 20, 20)),
            (BADLY, BBox(1, 2, 30, 32)),
        ]

    def test_equal_names_in_other_folders(self, tmp_path: Path) -> None:
        for folder, label in (("train", "with_mask"), ("val", "without_mask")):
            voc(tmp_path / folder, "a", label, (5, 5, 20, 20))
        assert [(one.path.parts[-3], one.faces[0].label, one.part) for one in read(tmp_path).photos] == [
            ("train", MASK, Part.TRAIN),
            ("val", BARE, Part.VALIDATION),
        ]

    def test_a_doubtful_photo_is_refused(self, tmp_path: Path) -> None:
        for folder in ("one", "other"):
            voc(tmp_path / folder, "a", "with_mask", (5, 5, 20, 20))
        (tmp_path / "a.xml").write_text((tmp_path / "one/annotations/a.xml").read_text())
        with pytest.raises(ConfigError, match=r"a\.xml: its photo may be .*a\.png or .*a\.png; rename"):
            read(tmp_path)

    def test_an_invalid_box_names_its_file(self, tmp_path: Path) -> None:
        voc(tmp_path, "a", "with_mask", (5, "left", 20, 20))
        with pytest.raises(ConfigError, match=r"a\.xml, object 1: its <bndbox> is not four numbers"):
            read(tmp_path)

    def test_a_missing_photo_is_said(self, tmp_path: Path) -> None:
        voc(tmp_path, "a", "with_mask", (5, 5, 20, 20))
        (tmp_path / "images" / "a.png").unlink()
        with pytest.raises(ConfigError, match=r"a\.xml: its photo a\.png is nowhere below"):
            read(tmp_path)

    @pytest.mark.parametrize("text", ["<annotation>", "<svg/>", '<!DOCTYPE a [<!ENTITY x "y">]><annotation/>'])
    def test_other_xml_is_refused(self, tmp_path: Path, text: str) -> None:
        voc(tmp_path, "a", "with_mask", (5, 5, 20, 20))
        (tmp_path / "annotations" / "a.xml").write_text(text, "utf-8")
        with pytest.raises(ConfigError, match=r"a\.xml"):
            read(tmp_path)


class TestYolo:
    def test_shares_become_pixels(self, tmp_path: Path) -> None:
        photo(tmp_path / "images" / "train" / "a.jpg", size=(200, 100))
        (tmp_path / "labels" / "train").mkdir(parents=True)
        (tmp_path / "labels" / "train" / "a.txt").write_text("1 0.5 0.5 0.2 0.4\n", "utf-8")
        (tmp_path / "data.yaml").write_text("train: images/train\nnames: [mask, no mask]\n", "utf-8")
        (one,) = read(tmp_path).photos
        assert (one.faces[0].label, one.part) == (BARE, Part.TRAIN)
        assert one.faces[0].bbox == pytest.approx(BBox(80, 30, 120, 70))

    def test_a_photo_is_decoded_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        photo(tmp_path / "images" / "a.jpg")
        (tmp_path / "labels").mkdir()
        (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 .1 .1", "utf-8")
        (tmp_path / "data.yaml").write_text("train: images\nnames: [mask]\n", "utf-8")
        decode, decoded = picture.decode, list[bytes]()

        def counted(content: bytes) -> np.ndarray:
            decoded.append(content)
            return decode(content)

        monkeypatch.setattr(picture, "decode", counted)
        assert len(checked(tmp_path).photos) == 1
        assert len(decoded) == 1

    def test_paths_of_roboflow_exports(self, tmp_path: Path) -> None:
        photo(tmp_path / "valid" / "images" / "a.jpg")
        (tmp_path / "data.yaml").write_text("val: ../valid/images\nnames: {0: mask}\n", "utf-8")
        (one,) = read(tmp_path / "data.yaml").photos
        assert (one.faces, one.part) == ((), Part.VALIDATION)

    def test_all_unknown_classes_are_told_together(self, tmp_path: Path) -> None:
        photo(tmp_path / "images" / "a.jpg")
        (tmp_path / "labels").mkdir()
        (tmp_path / "labels" / "a.txt").write_text("1 .5 .5 .1 .1", "utf-8")
        (tmp_path / "data.yaml").write_text("train: images\nnames: [mask, dunno, what]\n", "utf-8")
        with pytest.raises(ConfigError, match="line 1: the classes 'dunno', 'what' are not known"):
            read(tmp_path)
        assert [len(one.faces) for one in read(tmp_path, Names.parse(["dunno=skip", "what=skip"])).photos] == [0]

    def test_a_missing_yaml_is_told(self, tmp_path: Path) -> None:
        photo(tmp_path / "images" / "a.jpg")
        (tmp_path / "labels").mkdir()
        (tmp_path / "labels" / "a.txt").write_text("1 .5 .5 .1 .1", "utf-8")
        with pytest.raises(ConfigError, match=r"images and labels of YOLO, but no data\.yaml: add it"):
            read(tmp_path)

    @pytest.mark.parametrize(
        ("keypoints", "row", "bbox"),
        [
            ("", "0 .1 .2 .5 .2 .5 .6 .1 .6", (10, 20, 50, 60)),
            ("", "0 .5 .5 .2 .4 .93", (40, 30, 60, 70)),
            ("kpt_shape: [5, 2]", "0 .5 .5 .2 .4 0 0 1 1 0 0 1 1 0 0", (40, 30, 60, 70)),
        ],
        ids=["polygon", "confidence", "points of a face"],
    )
    def test_more_numbers_than_a_box(
        self, tmp_path: Path, keypoints: str, row: str, bbox: tuple[float, float, float, float]
    ) -> None:
        photo(tmp_path / "a.jpg", size=(100, 100))
        (tmp_path / "a.txt").write_text(row, "utf-8")
        (tmp_path / "data.yaml").write_text(f"train: .\nnames: [mask]\n{keypoints}\n", "utf-8")
        (one,) = read(tmp_path).photos
        assert one.faces[0].bbox == pytest.approx(bbox)

    def test_a_folder_called_images_above_the_set(self, tmp_path: Path) -> None:
        root = tmp_path / "images" / "door"
        photo(root / "a.jpg")
        (root / "a.txt").write_text("0 .5 .5 .1 .1", "utf-8")
        (root / "data.yaml").write_text("train: .\nnames: [mask]\n", "utf-8")
        (one,) = read(root).photos
        assert len(one.faces) == 1

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("names: {a: mask}\ntrain: .", "names gives classes other keys than numbers"),
            ("names: [mask]\ntrain: [5]", "train is '5', but .*5 is not a folder"),
            ("names: [mask]\ntrain: 5", "train is '5', but .*5 is not a folder"),
        ],
    )
    def test_a_wrong_yaml_is_told(self, tmp_path: Path, text: str, said: str) -> None:
        (tmp_path / "data.yaml").write_text(text, "utf-8")
        with pytest.raises(ConfigError, match=said):
            read(tmp_path)

    @pytest.mark.parametrize(
        ("row", "said"), [("0 0.5", "line 1: expected"), ("7 .5 .5 .1 .1", "there is no class 7"), ("x y", "expected")]
    )
    def test_a_fault_names_its_line(self, tmp_path: Path, row: str, said: str) -> None:
        photo(tmp_path / "images" / "a.jpg")
        (tmp_path / "labels").mkdir()
        (tmp_path / "labels" / "a.txt").write_text(row, "utf-8")
        (tmp_path / "data.yaml").write_text("train: images\nnames: [mask]\n", "utf-8")
        with pytest.raises(ConfigError, match=said):
            read(tmp_path)


class TestCheck:
    def test_faces_are_counted_by_class(self, tmp_path: Path) -> None:
        for seed in range(3):
            photo(tmp_path / "mask" / f"{seed}.jpg", seed)
        photo(tmp_path / "no mask" / "b.jpg", 9)
        report = checked(tmp_path)
        assert report.faces == {"with_mask": 3, "without_mask": 1}
        assert "without_mask has only 1 face;" in report.as_text()

    def test_sizes_of_photos_are_not_called_face_sizes(self, tmp_path: Path) -> None:
        photo(tmp_path / "folders" / "mask" / "a.jpg", size=(60, 40))
        boxed = coco(tmp_path / "boxes", {"id": 7, "image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 30]})
        told = checked(tmp_path / "folders").as_text()
        assert "photo, short side      40 to 40 px, median 40" in told
        assert "face size" not in told
        told = checked(tmp_path / "folders", boxed).as_text()
        assert "photo, short side      40 to 40 px, median 40" in told
        assert "face size, short side  20 to 20 px, median 20" in told

    def test_unreadable_photos_are_left_out(self, tmp_path: Path) -> None:
        photo(tmp_path / "mask" / "a.jpg")
        (tmp_path / "mask" / "b.jpg").write_bytes(b"not a photo")
        report = checked(tmp_path)
        assert [one.path.name for one in report.photos] == ["a.jpg"]
        assert "b.jpg is left out: the file is damaged" in report.as_text()

    def test_only_unreadable_photos_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "mask").mkdir()
        (tmp_path / "mask" / "b.jpg").write_bytes(b"not a photo")
        with pytest.raises(ConfigError, match=r"None of 1 photos can be read; the first: .*b\.jpg"):
            checked(tmp_path)

    def test_photos_in_other_formats_are_explained(self, tmp_path: Path) -> None:
        photo(tmp_path / "mask" / "a.jpg")
        (tmp_path / "mask" / "b.HEIC").write_bytes(b"x")
        assert "Skipped 1 .heic file: export the photos as JPEG to use them." in checked(tmp_path).warnings

    def test_near_duplicates_share_a_group(self, tmp_path: Path) -> None:
        photo(tmp_path / "train" / "mask" / "a.jpg", 1)
        photo(tmp_path / "val" / "mask" / "b.jpg", 1, size=(90, 60), quality=40)
        photo(tmp_path / "val" / "mask" / "c.jpg", 2)
        report = checked(tmp_path)
        groups = {one.path.name: one.group for one in report.photos}
        assert groups["a.jpg"] == groups["b.jpg"] != groups["c.jpg"]
        assert [[path.name for path in group] for group in report.near_duplicates] == [["a.jpg", "b.jpg"]]
        assert "1 photo in validation or test has a near duplicate in training" in report.as_text()

    def test_copies_and_near_copies_differ(self, tmp_path: Path) -> None:
        first = photo(tmp_path / "mask" / "a.jpg", 1)
        (tmp_path / "mask" / "b.jpg").write_bytes(first.read_bytes())
        report = checked(tmp_path)
        assert len(report.duplicates) == 1
        assert report.near_duplicates == ()

    def test_one_photo_in_two_classes(self, tmp_path: Path) -> None:
        first = photo(tmp_path / "mask" / "a.jpg", 1)
        photo(tmp_path / "no mask" / "b.jpg", 2).write_bytes(first.read_bytes())
        assert "The same photo has different classes" in checked(tmp_path).as_text()

    @pytest.mark.parametrize(
        ("bbox", "said"),
        [
            ([70, 5, 10, 10], "lies outside the photo of 60x40 pixels"),
            ([5, 5, -3, 10], "empty or the wrong way round"),
            ([5, 5, 0, 10], "empty or the wrong way round"),
            ([5, 5, float("nan"), 10], "is not all numbers"),
        ],
    )
    def test_an_impossible_box_is_named(self, tmp_path: Path, bbox: list[float], said: str) -> None:
        file = coco(tmp_path, {"id": 7, "image_id": 1, "category_id": 1, "bbox": bbox})
        with pytest.raises(ConfigError, match=rf"data\.json, annotation 7 \(a\.jpg\): .*{said}"):
            checked(file)

    def test_boxes_are_cut_to_photos(self, tmp_path: Path) -> None:
        report = checked(coco(tmp_path, {"id": 7, "image_id": 1, "category_id": 1, "bbox": [50, -5, 30, 20]}))
        assert report.photos[0].faces[0].bbox == BBox(50, 0, 60, 15)
        assert report.clipped == 1

    def test_a_second_look_is_cached(self, tmp_path: Path) -> None:
        photo(tmp_path / "data" / "mask" / "a.jpg")
        cache = tmp_path / "looks.json"
        first = checked(tmp_path / "data", cache=cache)
        kept = json.loads(cache.read_text("utf-8"))
        (only,) = kept.values()
        only["width"] = 61
        cache.write_text(json.dumps(kept), "utf-8")
        second = checked(tmp_path / "data", cache=cache)
        assert [look.width for look in first.looks.values()] == [60]
        assert [look.width for look in second.looks.values()] == [61]

    def test_a_damaged_cache_is_made_again(self, tmp_path: Path) -> None:
        photo(tmp_path / "data" / "mask" / "a.jpg")
        cache = tmp_path / "looks.json"
        cache.write_text('{"half', "utf-8")
        assert checked(tmp_path / "data", cache=cache).faces == {"with_mask": 1}

    def test_the_report_can_be_saved(self, tmp_path: Path) -> None:
        photo(tmp_path / "mask" / "a.jpg")
        said = json.loads(json.dumps(checked(tmp_path).as_json()))
        assert (said["photos"], said["faces"]) == (1, {"with_mask": 1})


class TestContactSheet:
    def test_every_tile_is_drawn(self, tmp_path: Path) -> None:
        red = np.full((50, 100, 3), (0, 0, 255), np.uint8)
        write_sheet(tmp_path / "sheet.png", "faces", [Tile(red, ("a", "b"))] * 9, columns=4)
        sheet = cv2.imread(str(tmp_path / "sheet.png"))
        assert sheet is not None
        reds = (sheet == (0, 0, 255)).all(axis=2).sum()
        assert reds == 9 * 128 * 64

    def test_a_cut_stays_in_the_picture(self) -> None:
        image = np.zeros((40, 60, 3), np.uint8)
        assert around(image, BBox(50, 30, 70, 50)).shape == (16, 16, 3)

    def test_a_missing_folder_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="Cannot write"):
            write_sheet(tmp_path / "no" / "sheet.png", "faces", [])

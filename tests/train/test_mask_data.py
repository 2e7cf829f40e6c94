"""The faces of a mask training: read, split by group, and given boxes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras.demo import DEMO_CLIP, DEMO_TRUTH
from edge.errors import ConfigError
from edge.values import LABELS, BBox, Face, Label
from tests.nonempty import some
from tests.train.mask_photos import LANDMARKS, coco, folders, picture, sample
from train.mask import locate as locate_module
from train.mask.data import Sample, drop_unreadable, face_box, hold_out, load, read
from train.mask.device_boxes import DeviceDetector, with_device_boxes
from train.mask.locate import locate


class TestReaders:
    def test_folders_name_labels(self, tmp_path: Path) -> None:
        samples = read(folders(tmp_path, count=2))
        assert [(s.path.parent.name, s.label.value) for s in samples] == [
            (label, label) for label in sorted(map(str, LABELS)) for _ in range(2)
        ]

    def test_csv_gives_source_group_and_split(self, tmp_path: Path) -> None:
        path = tmp_path / "labels.csv"
        path.write_text(
            "file,label,source,group,split\na.jpg,with_mask,web,3,train\nb.jpg,mask_worn_incorrectly,drawn,4,val\n"
        )
        first, second = read(path)
        assert (first.path, first.label, first.source, first.validation) == (
            tmp_path / "a.jpg",
            Label.WITH_MASK,
            "web",
            False,
        )
        assert second.validation
        assert first.group != second.group

    def test_coco_takes_unstated_faces_as_bare(self, tmp_path: Path) -> None:
        masked, bare = read(coco(tmp_path, [("with_mask", [10, 20, 30, 40]), ("without_mask", [0, 0, 5, 6])]))
        (unstated,) = read(coco(tmp_path, [("face", [0, 0, 5, 6])]))
        assert masked.bbox == BBox(10, 20, 40, 60)
        assert (masked.label, masked.stated, masked.source) == (Label.WITH_MASK, True, "street")
        assert (unstated.label, unstated.stated) == (Label.WITHOUT_MASK, False)
        assert masked.group == bare.group

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda root: root / "nowhere", "There is no data at"),
            (lambda root: root, "contains no photo"),
            (lambda root: folders(root).joinpath("with_mask/0.png"), "has no layout"),
        ],
    )
    def test_missing_data_is_reported(self, tmp_path: Path, make, words: str) -> None:  # type: ignore[no-untyped-def]
        with pytest.raises(ConfigError, match=words):
            read(make(tmp_path))

    def test_unknown_labels_name_the_nearest(self, tmp_path: Path) -> None:
        picture(tmp_path / "wiht_mask" / "a.png", (1, 2, 3))
        with pytest.raises(ConfigError, match=r"'wiht_mask' \(did you mean with_mask\?\) is not known"):
            read(tmp_path)

    def test_other_json_shapes_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.json").write_text('{"images": []}')
        with pytest.raises(ConfigError, match="not a COCO file"):
            read(tmp_path / "x.json")

    def test_unreadable_pictures_are_named_once(self, tmp_path: Path) -> None:
        root = folders(tmp_path, count=1)
        broken = root / "with_mask" / "broken.jpg"
        broken.write_bytes(b"not a picture")
        said: list[str] = []
        kept, unreadable = drop_unreadable([*read(root), *read(root)], said.append)
        assert unreadable == [broken]
        assert said == [f"Skipping unreadable image {broken}"]
        assert len(kept) == 6


class TestSplit:
    @given(groups=st.lists(st.integers(0, 20), min_size=1, max_size=60), seed=st.integers(0, 99))
    def test_groups_stay_on_one_side(self, groups: list[int], seed: int) -> None:
        samples = [sample(str(group)) for group in groups]
        train, held = hold_out(samples, 0.3, seed)
        assert not {s.group for s in train} & {s.group for s in held}
        assert len(train) + len(held) == len(samples)

    def test_data_order_keeps_the_split(self) -> None:
        samples = [sample(str(number)) for number in range(30)]
        there = {s.group for s in hold_out(samples, 0.2, 5)[1]}
        back = {s.group for s in hold_out(samples[::-1], 0.2, 5)[1]}
        assert there == back

    def test_other_data_keeps_the_split(self) -> None:
        few = [sample(f"door/{number}.jpg") for number in range(100)]
        more = [sample(f"web/{number}.jpg") for number in range(300)]
        held = hold_out([*more, *few], 0.1, 1)[1]
        assert hold_out(few, 0.1, 1)[1] == [each for each in held if each in few]

    def test_about_a_tenth_is_held_out(self) -> None:
        samples = [sample(f"{number}.jpg") for number in range(2000)]
        assert 160 < len(hold_out(samples, 0.1, 1)[1]) < 240

    def test_ten_splits_cover_every_face(self) -> None:
        samples = [sample(f"{number}.jpg") for number in range(100)]
        held = [each for split in range(1, 11) for each in hold_out(samples, 0.1, split)[1]]
        assert sorted(each.group for each in held) == sorted(each.group for each in samples)


class FoundOnce:
    """A detector that always finds one face, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def find(self, image: np.ndarray) -> list[tuple[BBox, tuple[tuple[float, float], ...]]]:
        self.asked += 1
        return [(BBox(4, 5, 30, 35), LANDMARKS)]


def demo_frame() -> np.ndarray:
    """The first visitor of the demo clip, when they are nearest."""
    visit = json.loads(DEMO_TRUTH.read_text("utf-8"))["visits"][0]
    capture = cv2.VideoCapture(str(DEMO_CLIP))
    for _ in range(round((visit["enters"] + visit["leaves"]) / 2 * capture.get(cv2.CAP_PROP_FPS))):
        capture.grab()
    return capture.read()[1]


class TestBoxes:
    def test_crops_get_the_detectors_box_once(self, tmp_path: Path) -> None:
        samples = read(folders(tmp_path / "data", count=1))
        detector = FoundOnce()
        for _ in range(2):
            located = locate(samples, detector, tmp_path / "boxes.json", 30)
            assert all(s.bbox == BBox(4, 5, 30, 35) and s.landmarks == LANDMARKS for s in some(located))
        assert detector.asked == len(samples)

    def test_a_photo_is_decoded_once_for_its_faces(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        faces = read(coco(tmp_path, [("with_mask", [10, 20, 40, 45]), ("without_mask", [5, 5, 40, 40])]))
        decoded: list[Path] = []
        monkeypatch.setattr(locate_module, "load", lambda path: decoded.append(path) or load(path))
        locate(faces, FoundOnce(), tmp_path / "boxes.json", 30)
        assert decoded == [tmp_path / "photo.png"]

    def test_unboxed_crops_shrink_a_tenth(self) -> None:
        assert face_box(sample(), np.zeros((50, 100, 3), np.uint8)) == pytest.approx(BBox(6, 3, 94, 47))

    def test_annotated_boxes_are_kept(self, tmp_path: Path) -> None:
        (face,) = read(coco(tmp_path, [("with_mask", [10, 20, 40, 45])]))
        (located,) = locate([face], FoundOnce(), tmp_path / "boxes.json", 30)
        assert located.bbox == face.bbox


class TestDeviceBoxes:
    def test_faces_are_cut_like_detections(self, tmp_path: Path) -> None:
        samples = read(coco(tmp_path, [("with_mask", [10, 10, 30, 30]), ("without_mask", [50, 40, 20, 20])]))
        elsewhere, there = Face(BBox(0, 60, 10, 70), 0.9), Face(BBox(12, 6, 44, 38), 0.8)
        seen, missed = with_device_boxes(samples, lambda _: [elsewhere, there], print)
        image = np.zeros((80, 80, 3), np.uint8)
        assert face_box(seen, image) == there.bbox
        assert face_box(missed, image) == pytest.approx(BBox(49, 39, 71, 61))
        assert seen.bbox == samples[0].bbox

    def test_crops_are_shown_with_a_border(self, tmp_path: Path) -> None:
        (face,) = read(folders(tmp_path, labels=(Label.WITH_MASK,), count=1))
        shown: list[tuple[int, ...]] = []

        def find(image: np.ndarray) -> list[Face]:
            shown.append(image.shape)
            return [Face(BBox(9, 9, 19, 19), 0.9), Face(BBox(14, 19, 44, 49), 0.5)]

        (drawn,) = with_device_boxes([face], find, print)
        assert shown == [(58, 58, 3)]
        assert drawn.drawn == BBox(5, 10, 35, 40)

    def test_each_picture_is_looked_at_once(self, tmp_path: Path) -> None:
        photo = read(coco(tmp_path / "photo", [("with_mask", [10, 10, 30, 30]), ("without_mask", [50, 40, 20, 20])]))
        crops = read(folders(tmp_path / "crops", count=2))
        asked, said = [], []  # type: ignore[var-annotated]

        def find(image: np.ndarray) -> list[Face]:
            asked.append(image)
            return []

        drawn = with_device_boxes([photo[0], *crops, photo[1]], find, said.append)
        assert drawn == [photo[0], *crops, photo[1]]
        assert len(asked) == 1 + len(crops)
        assert said == [f"0 of {len(drawn)} faces have the box that the device draws"]

    def test_faces_that_fill_crops_are_found(self, tmp_path: Path) -> None:
        find = DeviceDetector()
        frame = demo_frame()
        box = find(frame)[0].bbox
        crop = frame[round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)]
        cv2.imwrite(str(tmp_path / "crop.png"), crop)
        (face,) = with_device_boxes([Sample(tmp_path / "crop.png", Label.WITHOUT_MASK, "made", "g")], find, print)
        assert face.drawn is not None
        assert face.drawn.iou(BBox(0, 0, crop.shape[1], crop.shape[0])) > 0.7

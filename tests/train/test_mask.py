"""Training the mask classifier: readers, splits, views and both recipes, on tiny made-up pictures."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cameras.demo import DEMO_CLIP, DEMO_TRUTH
from edge.errors import ConfigError
from edge.values import LABELS, BBox, Face, Label
from tests.nonempty import some
from train.__main__ import main
from train.common.checkpoints import RunFolder
from train.mask import augment as mask_augment
from train.mask import paint as mask_paint
from train.mask.data import Sample, drop_unreadable, face_box, hold_out, read
from train.mask.device_boxes import DeviceDetector, with_device_boxes
from train.mask.figures import figures
from train.mask.locate import locate
from train.mask.paint import FaceAxes, Wearing
from train.mask.soup import Soup
from train.mask.views import CLASS_SHARES, Deck, plain_view

COLOURS = {
    Label.WITH_MASK: (200, 60, 40),
    Label.WITHOUT_MASK: (60, 200, 60),
    Label.MASK_WORN_INCORRECTLY: (40, 60, 200),
}
LANDMARKS = ((40.0, 40.0), (60.0, 40.0), (50.0, 52.0), (42.0, 62.0), (58.0, 62.0))
FAST = ["--weights", "none", "--size", "32", "--width", "0.35", "--batch", "4", "--workers", "1"]


def picture(path: Path, colour: tuple[int, int, int], seed: int = 0, side: int = 40) -> Path:
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.clip(rng.normal(colour, 20, (side, side, 3)), 0, 255).astype(np.uint8))
    return path


def folders(root: Path, labels: tuple[Label, ...] = LABELS, count: int = 6) -> Path:
    for label in labels:
        for number in range(count):
            picture(root / label.value / f"{number}.png", COLOURS[label], seed=number)
    return root


def coco(root: Path, boxes: list[tuple[str, list[float]]]) -> Path:
    names = [*map(str, LABELS), "face"]
    picture(root / "photo.png", (90, 90, 90), side=80)
    document = {
        "images": [{"id": 7, "file_name": "photo.png", "width": 80, "height": 80, "source": "street"}],
        "annotations": [
            {"id": n, "image_id": 7, "category_id": names.index(name) + 1, "bbox": box, "iscrowd": 0}
            for n, (name, box) in enumerate(boxes)
        ],
        "categories": [{"id": n + 1, "name": name} for n, name in enumerate(names)],
    }
    path = root / "faces.json"
    path.write_text(json.dumps(document))
    return path


def sample(group: str = "g", label: Label = Label.WITHOUT_MASK, **more: object) -> Sample:
    return Sample(Path(f"{group}.png"), label, "made", group, **more)  # type: ignore[arg-type]


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


class TestViews:
    def test_classes_are_drawn_by_their_share(self) -> None:
        many = [sample(str(n)) for n in range(500)]
        few = [sample("m", Label.WITH_MASK), sample("i", Label.MASK_WORN_INCORRECTLY)]
        deck, rng = Deck([*many, *few], LABELS), np.random.default_rng(0)
        drawn = [deck.draw(rng).label for _ in range(3000)]
        assert drawn.count(Label.WITH_MASK) / 3000 == pytest.approx(CLASS_SHARES[Label.WITH_MASK], abs=0.03)
        assert drawn.count(Label.MASK_WORN_INCORRECTLY) / 3000 == pytest.approx(
            CLASS_SHARES[Label.MASK_WORN_INCORRECTLY], abs=0.03
        )

    def test_only_bare_faces_are_painted(self) -> None:
        box = BBox(30, 25, 70, 75)
        bare = sample("bare", bbox=box, landmarks=LANDMARKS)
        masked = sample("masked", Label.WITH_MASK, bbox=box, landmarks=LANDMARKS)
        deck, rng = Deck([bare, masked, sample("nolandmarks")], LABELS), np.random.default_rng(1)
        draws = [deck.draw(rng) for _ in range(500)]
        assert {draw.sample.group for draw in draws if draw.painted} == {"bare"}
        badly_worn = (draw for draw in draws if draw.label is Label.MASK_WORN_INCORRECTLY)
        assert all(draw.painted for draw in some(badly_worn))

    def test_views_depend_only_on_seed(self, tmp_path: Path) -> None:
        path = picture(tmp_path / "a.png", (120, 120, 120), side=100)
        face = Sample(path, Label.WITHOUT_MASK, "s", "g", bbox=BBox(30, 25, 70, 75), landmarks=LANDMARKS)
        deck = Deck([face], LABELS)

        def view(seed: int) -> np.ndarray:
            rng = np.random.default_rng(seed)
            return deck.view(deck.draw(rng), 32, 0.3, rng)

        assert view(3).shape == (32, 32, 3)
        assert np.array_equal(view(3), view(3))
        assert not np.array_equal(view(3), view(4))

    def test_a_plain_view_is_rgb(self, tmp_path: Path) -> None:
        path = picture(tmp_path / "blue.png", (250, 0, 0))
        assert plain_view(Sample(path, Label.WITH_MASK, "s", "g"), 16, 0.3)[8, 8, 2] > 150

    @given(
        corner=st.tuples(st.floats(-20, 150), st.floats(-20, 110)),
        extent=st.tuples(st.floats(4, 120), st.floats(4, 120)),
        size=st.sampled_from([16, 33, 64]),
        seed=st.integers(0, 2**16),
    )
    @settings(max_examples=40, deadline=None)
    def test_views_have_the_models_size(
        self, corner: tuple[float, float], extent: tuple[float, float], size: int, seed: int
    ) -> None:
        image = np.full((120, 160, 3), 128, np.uint8)
        bbox = BBox(*corner, corner[0] + extent[0], corner[1] + extent[1])
        cut, box, _ = mask_augment.region(image, bbox, None)
        view = mask_augment.training_view(cut, box, size, 0.3, np.random.default_rng(seed))
        assert view.shape == (size, size, 3)
        assert view.dtype == np.uint8

    def test_degrading_evens_out_sharpness(self) -> None:
        rng = np.random.default_rng(0)
        sharp = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        blurred = cv2.GaussianBlur(sharp, (0, 0), 4)

        def sharpness(image: np.ndarray) -> float:
            seeds = range(40)
            views = [mask_augment.degrade(image, 40, np.random.default_rng(seed)) for seed in seeds]
            return float(np.mean([cv2.Laplacian(view, cv2.CV_32F).std() for view in views]))

        before = cv2.Laplacian(sharp, cv2.CV_32F).std() / cv2.Laplacian(blurred, cv2.CV_32F).std()
        assert sharpness(sharp) / sharpness(blurred) < before / 4

    def test_landmarks_follow_crop_and_turn(self) -> None:
        image = np.zeros((100, 100, 3), np.uint8)
        image[50:55, 48:53] = 255
        landmarks = np.array([[50, 52]], np.float32)
        cut, _, moved = mask_augment.region(image, BBox(30, 30, 70, 75), landmarks)
        turned, moved = mask_augment.turn(cut, moved, 20, mirror=True)
        assert moved is not None
        bright = np.argwhere(turned[..., 0] > 128).mean(axis=0)[::-1]
        assert np.abs(bright - moved[0]).max() < 1.5


class TestPaint:
    face = np.full((100, 100, 3), 150, np.uint8)
    landmarks = np.array(LANDMARKS, np.float32)
    dark = np.full((64, 64, 3), 10, np.uint8)

    def share_covered(self, wearing: Wearing, x: int, y: int) -> float:
        """How often the pixel is covered, over seeds."""
        hits = 0
        for seed in range(30):
            painted = mask_paint.paint_mask(self.face, self.landmarks, wearing, self.dark, np.random.default_rng(seed))
            hits += int(painted[y, x].max()) < 75
        return hits / 30

    @pytest.mark.parametrize(
        ("wearing", "nose", "mouth"),
        [
            (Wearing.PROPERLY, True, True),
            (Wearing.UNDER_NOSE, False, True),
            (Wearing.ON_CHIN, False, False),
            (Wearing.OVER_NOSE_ONLY, True, False),
        ],
    )
    def test_painted_masks_cover_what_they_should(self, wearing: Wearing, nose: bool, mouth: bool) -> None:
        assert (self.share_covered(wearing, 50, 52) > 0.9) is nose
        assert (self.share_covered(wearing, 50, 62) > 0.9) is mouth
        assert self.share_covered(wearing, 50, 38) == 0

    def test_painting_leaves_the_given_picture_alone(self) -> None:
        before = self.face.copy()
        mask_paint.paint_covering(self.face, self.landmarks, self.dark, np.random.default_rng(0))
        mask_paint.paint_mask(self.face, self.landmarks, Wearing.PROPERLY, self.dark, np.random.default_rng(0))
        assert np.array_equal(self.face, before)

    def test_a_profile_is_not_painted_on(self) -> None:
        profile = self.landmarks.copy()
        profile[2, 0] = 75
        assert FaceAxes(self.landmarks).paintable
        assert not FaceAxes(profile).paintable

    def test_cloth_comes_from_around_the_mouth(self) -> None:
        image = self.face.copy()
        image[50:] = (10, 20, 200)
        assert np.abs(mask_paint.cloth_of(image, LANDMARKS).reshape(-1, 3).mean(axis=0) - (10, 20, 200)).max() < 12


class TestFigures:
    def test_every_other_answer_alarms(self) -> None:
        truth = np.array([0, 0, 1, 1, 2, 2])
        answers = np.array([0, 1, 1, 2, 0, 2])
        found = figures(truth, np.eye(3)[answers])
        assert found["bare_alarmed"] == 1.0
        assert found["masked_wrongly_alarmed"] == 0.5
        assert found["badly_worn_flagged"] == 0.5
        assert found["accuracy"] == 0.5
        assert found["confusion"] == [[1, 1, 0], [0, 1, 1], [1, 0, 1]]

    def test_rates_need_faces(self) -> None:
        assert figures(np.array([0]), np.eye(3)[[0]])["badly_worn_flagged"] is None


class TestSoup:
    def test_the_mean_keeps_starting_weights(self, tmp_path: Path) -> None:
        start, one, other = (
            [np.full(shape, value, np.float32) for shape in ((2, 3), (4,))] for value in (8.0, 1.0, 3.0)
        )
        soup = Soup(keep=0.25)
        soup.begin(start)
        assert soup.weights(one)[0] == pytest.approx(np.full((2, 3), 0.75 * 1 + 0.25 * 8))
        soup.add(one)
        soup.save(tmp_path / "soup.npz")
        again = Soup(keep=0.25)
        again.load(tmp_path / "soup.npz")
        again.add(other)
        assert again.weights(start)[1] == pytest.approx(np.full(4, 0.75 * 2 + 0.25 * 8))
        assert again.members == 2

    def test_a_broken_file_is_one_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "soup.npz").write_bytes(b"PK")
        with pytest.raises(ConfigError, match=r"soup\.npz cannot be read"):
            Soup(keep=0).load(tmp_path / "soup.npz")


class TestCommand:
    def test_help_teaches_without_loading_keras(self) -> None:
        code = "import sys; from train.__main__ import parser; parser().format_help(); sys.exit('keras' in sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=20)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--weights", "nowhere.weights.h5"], "No weights at nowhere.weights.h5"),
            (["--weights", "none", "--detector", "no.onnx"], "No model at no.onnx: give --detector"),
            (["--weights", "none", "--teacher", "no.keras"], "No model at no.keras"),
            (["--weights", "none", "--start-from", "no.keras"], "give one of them"),
            (["--weights", "none", "--learning-rate", "-1"], "--learning-rate is -1.0"),
            (["--weights", "none", "--width", "0"], "--width is 0.0"),
            (["--weights", "none", "--resume"], "Nothing to resume"),
            (["--weights", "none", "--train-from", "block_99"], "No layer block_99"),
            (["--weights", "none", "--epochs", "0"], "--epochs is 0"),
            (["--weights", "none", "--keep-start", "1"], "--keep-start is 1.0"),
            (
                ["--weights", "none", "--leave-out", "web"],
                "--leave-out web: no face of --data has this source; there are data.",
            ),
        ],
    )
    def test_wrong_options_exit_with_2(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
    ) -> None:
        data = folders(tmp_path / "data", count=1)
        fixed = ["mask", "--data", str(data), "--out", str(tmp_path / "out"), "--size", "32", "--warmup-epochs", "0"]
        assert main([*fixed, *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert len(error.strip().splitlines()) == 1


def trained(folder: Path) -> np.ndarray:
    """All weights that the last epoch left to train, in one row."""
    import keras

    weights = keras.models.load_model(folder / "last.keras").trainable_variables
    return np.concatenate([np.asarray(weight).ravel() for weight in weights])


@pytest.fixture
def eager() -> Iterator[None]:
    """Run TensorFlow without building graphs: for a few tiny batches that takes a fraction of the time."""
    tf = pytest.importorskip("tensorflow")
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eager")
class TestTraining:
    def test_the_default_recipe_resumes_exactly(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        boxes = [(str(label), [5.0 + 20 * n, 10.0, 18.0, 20.0]) for n, label in enumerate(LABELS)]
        validation = coco(tmp_path / "val", [*boxes, ("with_mask", [10, 10, 50, 60])])
        data = folders(tmp_path / "data")
        recipe = [
            "--faces",
            "8",
            "--epochs",
            "1",
            "--members",
            "2",
            "--learning-rate",
            "0.01",
            "--warmup-epochs",
            "0",
            "--train-from",
            "block_16",
        ]
        fixed = ["mask", "--data", str(data), "--validation", str(validation), *FAST, *recipe]
        whole, broken_off = tmp_path / "whole", tmp_path / "broken_off"
        self.keep_a_copy_after_epoch_1(monkeypatch, broken_off)
        assert main([*fixed, "--out", str(whole)]) == 0
        first, second = trained(broken_off), trained(whole)
        assert main([*fixed, "--out", str(broken_off), "--resume"]) == 0

        moved, apart = np.abs(second - first).mean(), np.abs(second - trained(broken_off)).mean()
        assert moved > 0
        assert apart < 0.05 * moved, "only rounding in threads may differ"
        metrics = json.loads((broken_off / "metrics.json").read_text())
        assert metrics["labels"] == list(map(str, LABELS))
        assert (metrics["size"], metrics["margin"], metrics["seed"]) == (32, 0.2273, 1)
        assert [row["epoch"] for row in metrics["history"]] == [1, 2]
        assert metrics["kept_epoch"] == 2
        assert metrics["validation"]["faces"] == 4
        assert metrics["validation_annotated_40px"]["faces"] == 1
        for name in ("curves_loss", "curves_accuracy", "curves_rates", "confusion_validation"):
            assert cv2.imread(str(whole / f"{name}.png")) is not None

    def test_left_out_sources_are_only_measured(self, tmp_path: Path) -> None:
        own, foreign = folders(tmp_path / "own"), folders(tmp_path / "foreign", count=2)
        recipe = ["--faces", "4", "--epochs", "1", "--members", "1", "--leave-out", "foreign"]
        assert main(["mask", "--data", str(own), "--data", str(foreign), *FAST, *recipe, "--out", str(tmp_path)]) == 0
        metrics = json.loads((tmp_path / "metrics.json").read_text())
        assert metrics["left_out"]["faces"] == 6
        assert sum(metrics["training_faces"].values()) + metrics["held_out"]["faces"] == 18

    def test_teachers_answer_with_their_mean(self, tmp_path: Path) -> None:
        from train.mask.model import classifier, for_door
        from train.mask.teachers import Teachers

        views, answers, paths = np.random.default_rng(1).uniform(-1, 1, (5, 32, 32, 3)), [], []
        for name, ratios in {"one": [2.0, 0.5, 1.0], "other": [3.0, 0.2, 0.1]}.items():
            model = classifier(32, 0.35, "none", 3, dropout=0)
            answers.append(model.predict_on_batch(views))
            paths.append(tmp_path / name / "mask.keras")
            paths[-1].parent.mkdir()
            for_door(model, np.log(ratios).tolist()).save(paths[-1])
            paths[-1].with_name("metrics.json").write_text(json.dumps({"door_ratios": ratios}))
        taught = Teachers(paths)(views.astype(np.float32))
        assert taught.sum(axis=1) == pytest.approx(np.ones(5))
        assert taught == pytest.approx(np.mean(answers, axis=0), abs=1e-5)
        twice_as_large = views.repeat(2, axis=1).repeat(2, axis=2).astype(np.float32)
        assert Teachers(paths)(twice_as_large) == pytest.approx(taught, abs=1e-5)

        data = folders(tmp_path / "data", count=2)
        learn = ["--teacher", str(paths[0]), "--faces", "4", "--epochs", "1", "--members", "1", "--warmup-epochs", "0"]
        assert main(["mask", "--data", str(data), *FAST, *learn, "--out", str(tmp_path / "out")]) == 0

    def test_unusable_teachers_are_explained(self, tmp_path: Path) -> None:
        from train.mask.model import classifier
        from train.mask.teachers import Teachers

        path = tmp_path / "mask.keras"
        classifier(32, 0.35, "none", 3, dropout=0).save(path)
        with pytest.raises(
            ConfigError, match=r"metrics\.json does not tell door_ratios .*keep it next to the --teacher"
        ):
            Teachers([path])
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(
            ConfigError, match=r"mask\.keras cannot be read: give --teacher a \.keras file of an earlier run"
        ):
            Teachers([path])

    @staticmethod
    def keep_a_copy_after_epoch_1(monkeypatch: pytest.MonkeyPatch, copy: Path) -> None:
        """What a power cut after the first epoch would leave on the disk."""
        save = RunFolder.save

        def save_and_copy(self: RunFolder, model: object, state: dict[str, list[object]], *others: object) -> None:
            save(self, model, state, *others)  # type: ignore[arg-type]
            if len(state["history"]) == 1:
                shutil.copytree(self.path, copy)

        monkeypatch.setattr(RunFolder, "save", save_and_copy)

    def test_resuming_with_other_options_is_refused(self, tmp_path: Path) -> None:
        import keras

        RunFolder(tmp_path, {"seed": 1, "size": 128}).save(keras.Sequential([keras.Input((1,))]), {"history": []})
        with pytest.raises(ConfigError, match="made with another seed"):
            RunFolder(tmp_path, {"seed": 2, "size": 128}).resume()

    def test_interrupted_saves_keep_the_last_epoch(self, tmp_path: Path) -> None:
        import keras

        def disk_full(path: Path) -> None:
            path.write_bytes(b"half")
            raise OSError("No space left on device")

        folder, model = RunFolder(tmp_path, {}), keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        folder.save(model, {"history": [1]}, {folder.average: lambda path: path.write_bytes(b"whole") and None})
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        with pytest.raises(OSError, match="No space"):
            folder.save(model, {"history": [1, 2]}, {folder.average: disk_full})
        assert {name: (tmp_path / name).read_bytes() for name in before} == before

    def test_the_report_preset_trains_two_classes(self, tmp_path: Path) -> None:
        data = folders(tmp_path / "data", (Label.WITH_MASK, Label.WITHOUT_MASK), count=10)
        (data / "with_mask" / "broken.jpg").write_bytes(b"")
        out = tmp_path / "out"
        fixed = ["mask", "--preset", "report", "--data", str(data), *FAST, "--out", str(out)]
        assert main([*fixed, "--epochs", "1"]) == 0
        metrics = json.loads((out / "metrics.json").read_text())
        assert metrics["labels"] == ["with_mask", "without_mask"]
        assert metrics["test"]["faces"] == 4
        assert metrics["unreadable"] == [str(data / "with_mask" / "broken.jpg")]
        report = (out / "classification_report.txt").read_text()
        assert "without_mask" in report
        assert "macro avg" in report
        for name in ("curves_loss", "curves_accuracy", "confusion_test"):
            assert cv2.imread(str(out / f"{name}.png")) is not None

    def test_the_reports_model_is_the_reports(self) -> None:
        from train.mask.model import report_classifier

        model = report_classifier(224, 0.35, "none", classes=2)
        names = [layer.__class__.__name__ for layer in model.layers[2:]]
        assert names == ["AveragePooling2D", "Flatten", "Dense", "Dropout", "Dense"]
        assert model.get_layer("pool").pool_size == (7, 7)
        assert model.get_layer("dense").units == 128
        assert model.get_layer("dropout").rate == 0.5
        assert len(model.trainable_variables) == 4

    def test_the_door_model_follows_bayes_rule(self) -> None:
        from train.mask.model import classifier, for_door

        model = classifier(32, 0.35, "none", len(LABELS), dropout=0.3)
        image = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
        ratios = np.array([2.0, 1.0, 0.25], np.float32)
        before = np.asarray(model(image))
        expected = before**2 * ratios / (before**2 * ratios).sum()
        answered = np.asarray(for_door(model, np.log(ratios).tolist(), temperature=0.5)(image))
        np.testing.assert_allclose(answered, expected, atol=1e-5)
        np.testing.assert_array_equal(np.asarray(model(image)), before)

    def test_the_report_needs_two_classes(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        data = folders(tmp_path / "data", (Label.WITH_MASK,), count=2)
        assert main(["mask", "--preset", "report", "--data", str(data), *FAST, "--out", str(tmp_path / "o")]) == 2
        assert "Two classes are needed" in capsys.readouterr().err

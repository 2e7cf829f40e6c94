"""The peers: their decoders, and one table for all; the real ones too, where their files are at hand."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import config
from edge.commands.check import STILL_MAX_FACES
from edge.errors import ConfigError
from edge.values import BBox, Face, Frame, Image, Reading
from edge.vision.detectors.anchors import grid
from edge.vision.pipeline import load_pipeline
from tests.nonempty import some
from train.evaluate import against_peers as eval_peers
from train.evaluate import peers_report
from train.evaluate.against_peers import Once, measure, shipped
from train.evaluate.degrade import around
from train.evaluate.peers import UNJUDGED, System, aizoo, blazeface, boxes, published
from train.evaluate.peers_report import Point, Row, Times, curve, report, unmatched_at
from train.evaluate.photos import Photo, Truth, open_photo

ROOT = Path(__file__).parents[2]
PEERS = Path(os.environ.get("PEERS", ROOT.parent / "shared/peers"))
needs_peers = pytest.mark.skipif(
    not (PEERS / "yunet_n_320.onnx").is_file(), reason=f"no published models in {PEERS}; name a folder with PEERS="
)


class Finds:
    """Finds the same faces in every picture, and holds them for bare."""

    def __init__(self, *faces: Face) -> None:
        self.looks = 0
        self._faces = faces

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        self.looks += 1
        return [face for face in self._faces if face.score >= threshold]

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        return [Reading(face, (0.0, 1.0, 0.0)) for face in faces]


def square(x: float, side: float = 60) -> BBox:
    return BBox(x, 0, x + side, side)


def photo(folder: Path, *truths: Truth) -> Photo:
    cv2.imwrite(str(folder / "0.png"), np.zeros((100, 400, 3), np.uint8))
    return Photo(folder / "0.png", "", truths)


# Decoders


def test_grids_are_cell_centres() -> None:
    assert grid(2, 1).tolist() == [[0.25, 0.5], [0.75, 0.5]]


def test_faces_are_clipped_to_the_picture() -> None:
    found = np.array([[-0.5, 0, 0.5, 1], [1.2, 0, 1.4, 1]], np.float32)
    (face,) = boxes.not_empty(boxes.faces(np.zeros((10, 20, 3), np.uint8), found, np.array([0.9, 0.8], np.float32)))
    assert face.bbox == BBox(0, 0, 10, 10)


def test_aizoo_anchors_are_the_published_ones() -> None:
    centres, sides = aizoo.anchors()
    assert centres.shape == sides.shape == (5972, 2)
    assert centres[0] == pytest.approx([0.5 / 33, 0.5 / 33])
    assert sides[0] == pytest.approx([0.04, 0.04])
    assert sides[1] == pytest.approx([0.056, 0.056])
    assert sides[2, 0] / sides[2, 1] == pytest.approx(0.62)
    assert centres[-1] == pytest.approx([2.5 / 3, 2.5 / 3])


def test_aizoo_offsets_change_anchors() -> None:
    anchored = (np.array([[0.5, 0.5]], np.float32), np.array([[0.2, 0.4]], np.float32))
    (decoded,) = aizoo.decode(np.array([[1, 0, 0, 5 * np.log(2)]], np.float32), anchored)
    assert decoded == pytest.approx([0.42, 0.1, 0.62, 0.9])


def test_blazeface_anchors_are_the_published_ones() -> None:
    centres = blazeface.anchors()
    assert centres.shape == (896, 2)
    assert centres[[0, 1]] == pytest.approx(np.full((2, 2), 1 / 32))
    assert centres[[512, 517]] == pytest.approx(np.full((2, 2), 1 / 16))


def test_blazeface_offsets_are_input_pixels() -> None:
    regressors = np.zeros((1, 16), np.float32)
    regressors[0, :4] = 32, 0, 64, 64
    assert blazeface.decode(regressors, np.array([[0.5, 0.5]], np.float32))[0] == pytest.approx([0.5, 0.25, 1, 0.75])


def test_overlapping_boxes_are_blended() -> None:
    found = np.array([[0, 0, 1, 1], [0.1, 0, 1.1, 1], [5, 5, 6, 6]], np.float32)
    blended, scores = blazeface.blend(found, np.array([0.8, 0.4, 0.9], np.float32), 0.3)
    assert blended[0] == pytest.approx([5, 5, 6, 6])
    assert blended[1] == pytest.approx([0.1 / 3, 0, 1 + 0.1 / 3, 1])
    assert scores == pytest.approx([0.9, 0.8])


def test_no_box_is_no_face() -> None:
    none = np.empty((0, 4), np.float32)
    assert blazeface.blend(none, np.empty(0, np.float32), 0.3)[0].shape == (0, 4)
    assert boxes.best(none, np.empty(0, np.float32), 0.3).shape == (0,)


# One run


def test_shared_detectors_look_once(tmp_path: Path) -> None:
    detector = Finds(Face(square(0), 0.9))
    systems = [System("a", detector, detector, 0.5, ""), System("b", detector, UNJUDGED, 0.95, "")]
    measured = measure(systems, [photo(tmp_path, Truth(square(0), "without_mask"))] * 2)
    assert detector.looks == 2
    assert [len([one for one in outcome.found if one]) for outcome in measured["a"]] == [1, 1]
    assert [len([one for one in outcome.found if one]) for outcome in measured["b"]] == [0, 0], "its own threshold"


def test_another_picture_is_looked_at_anew() -> None:
    detector = Finds(Face(square(0), 0.9))
    once, first, second = Once(detector), np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)
    for image in (first, first, second, first):
        once.detect(Frame.still(image), 0.5)
    assert detector.looks == 3


def test_curves_trade_recall_for_boxes(tmp_path: Path) -> None:
    detector = Finds(Face(square(0), 0.9), Face(square(200), 0.6), Face(square(100), 0.3))
    system = System("a", detector, detector, 0.5, "")
    shown = photo(tmp_path, Truth(square(0), "face"), Truth(square(100), "face"))
    points = curve(measure([system], [shown])["a"], 40, 100)
    assert points == [Point(0.5, 0), Point(0.5, 1), Point(1.0, 1)]
    assert unmatched_at(points, 0.5) == 0
    assert unmatched_at(points, 0.7) == 1
    assert unmatched_at(points[:2], 0.7) is None


def test_detectors_alone_have_no_mask_figures(tmp_path: Path) -> None:
    detector = Finds(Face(square(0), 0.9), Face(square(200), 0.9))
    systems = [
        System(peers_report.OURS, Finds(Face(square(0), 0.9)), Finds(), 0.4, "ours"),
        System(peers_report.YARDSTICK, detector, detector, 0.5, "theirs"),
        System("RFB-320", Finds(), UNJUDGED, 0.7, "alone"),
    ]
    outcomes = measure(systems, [photo(tmp_path, Truth(square(0), "without_mask"))])
    times = [Times(2, 3), Times(4, 9), Times(1, 1)]
    rows = [Row(system, outcomes[system.name], spent) for system, spent in zip(systems, times, strict=True)]
    printed = report(rows, 1)
    assert "| YuNet 320 + EscVM | 1.000 |  |  | 1.000 |  |  | 1.00 |" in printed
    assert "| RFB-320 |  |  |  | 0.000 |  |  | 0.00 |" in printed
    assert "| 2.0 | 0.50 | 3.0 |" in printed, "half of the yardstick's 4 ms"
    assert "| 1.0 | 0.25 |  |" in printed
    assert "* RFB-320: alone." in printed
    peers_report.draw(rows, tmp_path / "plot.png")
    assert cv2.imread(str(tmp_path / "plot.png")) is not None


def test_missing_peers_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = photo(tmp_path)
    content = {"images": [{"id": 1, "file_name": shown.path.name}], "categories": [], "annotations": []}
    (tmp_path / "val.json").write_text(json.dumps(content))
    assert eval_peers.main(["--data", str(tmp_path), "--peers", str(tmp_path)]) == ConfigError.exit_code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--peers" in said


@needs_peers
def test_the_command_writes_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, bbox = portrait()
    cv2.imwrite(str(tmp_path / "0.png"), image)
    content = {
        "images": [{"id": 1, "file_name": "0.png"}],
        "categories": [{"id": 2, "name": "without_mask"}],
        "annotations": [
            {"image_id": 1, "category_id": 2, "bbox": [bbox.x0, bbox.y0, bbox.width, bbox.height]},
        ],
    }
    (tmp_path / "val.json").write_text(json.dumps(content))
    out, figures = tmp_path / "out", tmp_path / "figures.json"
    told_to = ["--data", str(tmp_path), "--peers", str(PEERS), "--out", str(out), "--json", str(figures)]
    assert eval_peers.main(told_to) == 0
    assert (out / "recall.png").is_file()
    written = json.loads(figures.read_text())
    assert written["systems"][0]["system"] == peers_report.OURS
    yardstick = next(row for row in written["systems"] if row["system"] == peers_report.YARDSTICK)
    assert yardstick["find_ratio"] == 1
    assert yardstick["recall"]["40 px and more"] == 1
    printed = capsys.readouterr().out
    assert all(f"| {row['system']} |" in printed for row in some(written["systems"]))


# The real ones


def portrait() -> tuple[Image, BBox]:
    """A near face: cut out of the picture of the demo clip, around the surest face that maskgate finds."""
    image = open_photo(Photo(ROOT / "docs/images/demo.webp", "", ()))
    bbox = shipped(config.load().config).detector.detect(Frame.still(image), 0.5)[0].bbox
    return around(image, bbox)


def test_maskgate_is_measured_as_check_looks_once() -> None:
    image = open_photo(Photo(ROOT / "docs/images/demo.webp", "", ()))
    settings, system = config.load().config, shipped(config.load().config)
    faces = system.detector.detect(Frame.still(image), system.threshold)
    pipeline = load_pipeline(settings, settings.face.still_threshold, STILL_MAX_FACES)
    readings = pipeline.process(Frame.still(image))
    assert [reading.face for reading in some(readings)] == faces
    assert system.classifier.classify(image, faces) == readings
    assert "320x320 or 320x256 or 320x192" in system.settings


@needs_peers
def test_published_detectors_find_near_faces() -> None:
    image, bbox = portrait()
    for system in some(published(PEERS)):
        found = system.detector.detect(Frame.still(image), system.threshold)
        assert any(face.bbox.iou(bbox) > 0.4 for face in found), system.name


@needs_peers
def test_published_classifiers_judge_each_face() -> None:
    image, _ = portrait()
    for system in some(published(PEERS)):
        faces = system.detector.detect(Frame.still(image), system.threshold)
        readings = system.classifier.classify(image, faces)
        assert [reading.face for reading in readings] == faces
        assert all(sum(reading.probabilities) == pytest.approx(1) for reading in some(readings))


@needs_peers
def test_damaged_models_are_named(tmp_path: Path) -> None:
    for path in PEERS.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes() if path.name != "yunet_n_320.onnx" else b"none")
    with pytest.raises(ConfigError, match=r"yunet_n_320\.onnx"):
        published(tmp_path)

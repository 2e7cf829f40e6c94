"""Heads of face models: each decodes what its publisher's own code does, and a new one is a file and a line."""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.board.findings import Machine, State
from edge.cameras.demo import DEMO_CLIP
from edge.cameras.video import VideoFile
from edge.config import Config
from edge.errors import ModelError
from edge.runtime import Model, Tensor, TensorSpec, open_model
from edge.values import BBox, Face, Frame, Image
from edge.vision.checks import models
from edge.vision.detectors import DETECTORS, Decoded, best, open_head
from edge.vision.face_detector import FaceDetector, ShapedDetector
from edge.vision.models import SHIPPED_MANIFEST, FaceEntry, read_manifest
from edge.vision.pipeline import expected_input, load_pipeline
from edge.vision.preprocess import Levels
from tests.nonempty import some

PEERS = Path(os.environ.get("PEERS", Path(__file__).parents[2].parent / "shared/peers"))
needs_peers = pytest.mark.skipif(
    not (PEERS / "aizoo.tflite").is_file(), reason=f"no published models in {PEERS}; name a folder with PEERS="
)


def entry(head: str, width: int, height: int, **more: Any) -> FaceEntry:
    said = {
        "file": "face.tflite",
        "sha256": "0" * 64,
        "training": "none",
        "data": [],
        "figures": {},
        "card": "face.md",
        "task": "face-detection",
        "labels": ["face"],
        "input": {"width": width, "height": height},
        "head": head,
    }
    return FaceEntry.model_validate(said | more)


def specs(values: Sequence[NDArray[np.float32]]) -> list[TensorSpec]:
    return [TensorSpec(f"out_{index}", value.shape, value.dtype) for index, value in enumerate(values)]


class FixedModel:
    """Answers the same to every picture, and remembers the pictures."""

    runtime = "fixed"

    def __init__(self, width: int, height: int, answer: Sequence[NDArray[np.float32]]) -> None:
        self.input = TensorSpec("image", (1, height, width, 3), np.dtype(np.float32))
        self.outputs = tuple(specs(answer))
        self.shown: list[NDArray[Any]] = []
        self._answer = [Tensor(value) for value in answer]

    def invoke(self, values: NDArray[Any]) -> Sequence[Tensor]:
        self.shown.append(values.copy())
        return self._answer


NEAR = 40
"""Short side of a near face, in pixels."""


def demo_frame() -> Frame:
    """One in which somebody is near the door."""
    clip = VideoFile(DEMO_CLIP, "demo")
    frames = [frame for _ in range(60) if (frame := clip.read())]
    clip.close()
    pipeline = load_pipeline(Config())
    return next(frame for frame in frames if any(face.bbox.short_side >= NEAR for face in pipeline.detect(frame)))


# A new head


class CentreHead:
    """One score for the whole picture: a face in its middle."""

    levels = Levels(1 / 255, 0.0)

    def decode(self, outputs: Sequence[Tensor], threshold: float) -> Decoded:
        score = outputs[0].real().reshape(-1)
        boxes = np.array([[16, 16, 48, 48]], np.float32)
        return Decoded(boxes[score >= threshold], score[score >= threshold])


@pytest.fixture
def centre_head(monkeypatch: pytest.MonkeyPatch) -> str:
    module = types.ModuleType("a_head_in_one_file")
    module.open_head = lambda entry, outputs: CentreHead()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(DETECTORS, "centre", module.__name__)
    return "centre"


def test_one_file_adds_a_head(centre_head: str) -> None:
    model = FixedModel(64, 64, [np.array([[0.8]], np.float32)])
    detector = FaceDetector(model, entry(centre_head, 64, 64))
    white = np.full((128, 128, 3), 255, np.uint8)
    assert detector.detect(Frame.still(white), 0.5) == [Face(BBox(32, 32, 96, 96), pytest.approx(0.8))]
    assert detector.detect(Frame.still(white), 0.9) == []
    assert model.shown[0].max() == 1.0


def test_unknown_heads_are_refused_by_name() -> None:
    with pytest.raises(ModelError, match="'retina', which this version does not know; it knows: maskgate, yunet"):
        open_head(entry("retina", 320, 320), [])


def test_our_head_is_the_default() -> None:
    said = json.loads(entry("maskgate", 320, 320).model_dump_json())
    del said["head"]
    assert FaceEntry.model_validate(said).head == "maskgate"
    assert {one.head for one in read_manifest().models.values() if isinstance(one, FaceEntry)} == {"maskgate"}


@pytest.mark.parametrize("head", ["maskgate", "yunet", "ssd", "blazeface"])
def test_outputs_of_another_head_are_refused(head: str) -> None:
    with pytest.raises(ModelError, match="convert it again"):
        open_head(entry(head, 320, 320), specs([np.zeros((1, 7, 3), np.float32)]))


# Published heads


def yunet_outputs(side: int, stride: int, row: int, column: int, score: float) -> list[NDArray[np.float32]]:
    values = []
    for each in (8, 16, 32):
        cells = (side // each) ** 2
        one, other, box = (np.zeros((1, cells, depth), np.float32) for depth in (1, 1, 4))
        if each == stride:
            at = row * (side // each) + column
            one[0, at], other[0, at], box[0, at] = score, 1.0, (0.5, 0.25, np.log(2), np.log(3))
        values += [one, other, box, np.zeros((1, cells, 10), np.float32)]
    return values


def test_yunet_boxes_start_at_cell_corners() -> None:
    values = yunet_outputs(64, 16, row=1, column=2, score=0.81)
    boxes, scores = open_head(entry("yunet", 64, 64), specs(values)).decode([Tensor(one) for one in values], 0.5)
    assert boxes.tolist() == [pytest.approx([40 - 16, 20 - 24, 40 + 16, 20 + 24])]
    assert scores.tolist() == [pytest.approx(0.9)]


def test_yunet_outputs_come_in_any_order() -> None:
    values = yunet_outputs(64, 16, row=1, column=2, score=0.81)
    maps = [value.reshape(1, int(value.shape[1] ** 0.5), -1, value.shape[2]) for value in values][::-1]
    for each in (values, maps):
        head = open_head(entry("yunet", 64, 64), specs(each))
        assert len(head.decode([Tensor(one) for one in each], 0.5).scores) == 1


def test_yunet_is_shown_raw_blue_first() -> None:
    model = FixedModel(64, 64, yunet_outputs(64, 16, row=1, column=2, score=0.81))
    FaceDetector(model, entry("yunet", 64, 64)).detect(Frame.still(np.full((64, 64, 3), (200, 10, 5), np.uint8)), 0.5)
    assert model.shown[0][0, 30, 30].tolist() == [200, 10, 5]


def kept(
    *boxes: tuple[float, float, float, float, float], nms_iou: float = 0.3, max_faces: int = 20
) -> list[list[float]]:
    """What ``best`` makes of boxes that end with their score, rounded to whole pixels."""
    rows = np.array(boxes, np.float32).reshape(-1, 5)
    found = best(Decoded(rows[:, :4], rows[:, 4]), nms_iou, max_faces)
    return [[*np.round(box), score] for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True)]


def test_overlapping_boxes_are_one_face() -> None:
    assert kept((0, 0, 40, 40, 0.5), (20, 0, 60, 40, 0.75)) == [[20, 0, 60, 40, 0.75]]


def test_boxes_inside_others_are_one_face() -> None:
    assert kept((0, 0, 100, 100, 0.75), (30, 60, 70, 95, 0.5)) == [[0, 0, 100, 100, 0.75]]


def test_neighbours_stay_two_faces() -> None:
    assert len(kept((0, 0, 40, 40, 0.5), (24, 0, 64, 40, 0.75))) == 2


def test_best_faces_come_first_and_are_limited() -> None:
    rows = [(100.0 * index, 0.0, 100.0 * index + 40, 40.0, score) for index, score in enumerate((0.25, 0.75, 0.5))]
    assert [row[-1] for row in kept(*rows)] == [0.75, 0.5, 0.25]
    assert [row[-1] for row in kept(*rows, max_faces=2)] == [0.75, 0.5]


def test_no_boxes_are_no_faces() -> None:
    assert kept() == []


def test_empty_boxes_are_kept_apart() -> None:
    assert len(kept((5, 5, 5, 5, 0.5), (50, 50, 90, 90, 0.75))) == 2


@needs_peers
def test_yunet_decodes_as_opencv_does() -> None:
    path, image = str(PEERS / "yunet_n_320.onnx"), demo_frame().image
    fitted = cv2.resize(image, (320, 320))
    theirs = cv2.FaceDetectorYN.create(path, "", (320, 320), 0.5, 0.3).detect(fitted)[1]
    net = cv2.dnn.readNetFromONNX(path)
    net.setInput(fitted.transpose(2, 0, 1)[None].astype(np.float32))
    values = [np.asarray(value, np.float32) for value in net.forward(net.getUnconnectedOutLayersNames())]
    detector = FaceDetector(FixedModel(320, 320, values), entry("yunet", 320, 320), nms_iou=0.3)
    ours = detector.detect(Frame.still(fitted), 0.5)
    assert len(ours) == len(theirs) > 0
    for face, row in some(zip(ours, theirs, strict=True)):
        assert face.score == pytest.approx(row[-1], abs=1e-4)
        assert face.bbox.iou(BBox(row[0], row[1], row[0] + row[2], row[1] + row[3])) > 0.99


@needs_peers
@pytest.mark.parametrize(
    ("file", "head", "side"), [("aizoo.tflite", "ssd", 260), ("blaze_short.tflite", "blazeface", 128)]
)
def test_published_models_find_the_same_face(file: str, head: str, side: int) -> None:
    image, (face, *_) = demo_frame().image, load_pipeline(Config()).detect(demo_frame())
    x, y, reach = *map(int, face.bbox.centre), int(1.5 * face.bbox.longer_side)
    near = np.ascontiguousarray(image[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach])
    expected, *_ = load_pipeline(Config()).detect(Frame.still(near))
    found = FaceDetector(open_model((PEERS / file).read_bytes()), entry(head, side, side)).detect(
        Frame.still(near), 0.5
    )
    assert [one for one in found if one.bbox.iou(expected.bbox) > 0.4], (expected, found)


# Several input sizes


class Looks(FaceDetector):
    """Remembers the frames that came to one input size."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height
        self.frames: list[Image] = []

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        return self.size

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        self.frames.append(frame.image)
        return []


class Shapes:
    """The three input sizes that a doorway needs, of which two are opened when a frame asks for them."""

    def __init__(self) -> None:
        self.own, self.opened, self.accelerated = Looks(320, 320), [], False
        openers = {size: lambda size=size: self._open(*size) for size in ((320, 256), (320, 192))}
        self.detector = ShapedDetector(self.own, openers, only_first=lambda: self.accelerated)

    def _open(self, width: int, height: int) -> Looks:
        self.opened.append(Looks(width, height))
        return self.opened[-1]


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        ((640, 480), (320, 256)),
        ((1280, 720), (320, 192)),
        ((1920, 1080), (320, 192)),
        ((640, 512), (320, 256)),
        ((480, 640), (320, 320)),
        ((500, 500), (320, 320)),
    ],
)
def test_frames_go_where_least_is_padding(frame: tuple[int, int], size: tuple[int, int]) -> None:
    assert Shapes().detector.input_size(*frame) == size


def test_input_sizes_open_when_needed() -> None:
    shapes = Shapes()
    for height in (480, 480, 640):
        shapes.detector.detect(Frame.still(np.zeros((height, 640, 3), np.uint8)), 0.5)
    assert [(one.size, len(one.frames)) for one in shapes.opened] == [((320, 256), 2)]
    assert len(shapes.own.frames) == 1


def test_an_accelerator_keeps_its_size() -> None:
    shapes = Shapes()
    shapes.accelerated = True
    assert shapes.detector.input_size(640, 480) == (320, 320)
    shapes.accelerated = False
    assert shapes.detector.input_size(640, 480) == (320, 256)


def with_shape(folder: Path, **changes: Any) -> Config:
    """The shipped face model, with itself as a second input size."""
    said = json.loads(SHIPPED_MANIFEST.read_text("utf-8"))
    face = said["models"]["face"]
    (folder / face["file"]).write_bytes((SHIPPED_MANIFEST.parent / face["file"]).read_bytes())
    (folder / "wide.tflite").write_bytes((SHIPPED_MANIFEST.parent / face["file"]).read_bytes())
    wide = {"file": "wide.tflite", "sha256": face["sha256"], "input": face["input"]} | changes
    said["models"] = {"face": face | {"shapes": [wide], "confirmed_by": None}}
    (folder / "manifest.json").write_text(json.dumps(said), "utf-8")
    return Config.model_validate({"face": {"model": f"{folder}/manifest.json#face"}})


def test_the_manifest_lists_input_sizes(tmp_path: Path) -> None:
    pipeline = load_pipeline(with_shape(tmp_path))
    assert pipeline.input_size(640, 480) == (320, 320)
    assert pipeline.detect(demo_frame())


def test_cameras_know_the_size_early(tmp_path: Path) -> None:
    config = with_shape(tmp_path, input={"width": 320, "height": 192})
    assert expected_input(config)(1280, 720) == (320, 192)
    assert expected_input(config)(480, 640) == (320, 320)
    with pytest.raises(ModelError, match="cannot be read"):
        expected_input(Config.model_validate({"face": {"model": f"{tmp_path}/gone.json#face"}}))(640, 480)


@pytest.mark.parametrize(
    ("camera", "frame", "face"),
    [
        ({}, (480, 640), "face-320x256.tflite"),
        ({"width": 1280, "height": 720}, (720, 1280), "face-320x192.tflite"),
        ({"rotate": 90}, (640, 480), "face.tflite"),
    ],
)
def test_one_input_size_opens_for_the_camera(
    monkeypatch: pytest.MonkeyPatch, camera: dict[str, int], frame: tuple[int, int], face: str
) -> None:
    opened: list[str] = []

    def noting(content: bytes, *runtime: Any, name: str) -> Model:
        opened.append(Path(name).name)
        return open_model(content, *runtime, name=name)

    monkeypatch.setattr("edge.vision.pipeline.open_model", noting)
    pipeline = load_pipeline(Config.model_validate({"camera": camera, "runtime": {"precision": "int8"}}))
    pipeline.detect(Frame.still(np.zeros((*frame, 3), np.uint8)))
    assert opened == [face, "mask.tflite", "confirm.tflite", "mask-small.tflite"]


def test_altered_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"wide\.tflite is not the one in its manifest"):
        load_pipeline(with_shape(tmp_path, sha256="0" * 64))


def test_doctor_verifies_every_input_size(tmp_path: Path) -> None:
    config = with_shape(tmp_path, input={"width": 320, "height": 192})
    face, _ = models(Machine(), config)
    assert "320x320, 320x192" in face.text
    (tmp_path / "wide.tflite").write_bytes(b"altered")
    face, _ = models(Machine(), config)
    assert face.state is State.PROBLEM

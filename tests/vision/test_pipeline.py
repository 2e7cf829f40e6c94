"""From a frame to readings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge import config
from edge.errors import ModelError
from edge.values import BBox, Face, Frame, Image, Reading, StageTimes
from edge.vision.pipeline import Pipeline, load_pipeline
from tests.stand_ins.clock import ManualClock

SURE = Face(BBox(10, 10, 50, 60), 0.9)
DOUBTFUL = Face(BBox(70, 10, 90, 30), 0.3)


class ScriptedDetector:
    """Finds the same faces in every picture, and takes its time."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        self._clock.advance(0.004)
        return [face for face in (SURE, DOUBTFUL) if face.score >= threshold]


class ScriptedClassifier:
    """Holds everybody for masked, and takes its time for each."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        self._clock.advance(0.002 * len(faces))
        return [Reading(face, (0.9, 0.1, 0.0)) for face in faces]


def pipeline(threshold: float) -> Pipeline:
    clock = ManualClock()
    return Pipeline(ScriptedDetector(clock), ScriptedClassifier(clock), threshold, clock.monotonic)


FRAME = Frame(np.zeros((100, 100, 3), np.uint8), 0.0, 0)


def test_faces_above_the_threshold_are_read() -> None:
    assert [reading.face for reading in pipeline(0.5).process(FRAME)] == [SURE]
    assert [reading.face for reading in pipeline(0.2).process(FRAME)] == [SURE, DOUBTFUL]


def test_only_the_chosen_faces_are_judged() -> None:
    runner = pipeline(0.2)
    faces = runner.detect(FRAME)
    assert [reading.face for reading in runner.judge(FRAME.image, faces[1:])] == [DOUBTFUL]


def test_each_stage_is_timed() -> None:
    runner = pipeline(0.2)
    assert runner.times == StageTimes(0.0, 0.0)
    runner.process(FRAME)
    assert (runner.times.detect, runner.times.classify) == pytest.approx((0.004, 0.004))
    runner.detect(FRAME)
    assert runner.times.classify == 0.0, "a picture whose faces nobody judged took no time to judge"


def test_an_empty_picture_has_no_face() -> None:
    grey = np.full((480, 640, 3), 127, np.uint8)
    assert load_pipeline(config.load().config).process(Frame(grey, 0.0, 0)) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (33, 47)])
def test_pictures_may_have_any_shape(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    readings = load_pipeline(config.load().config, threshold=0.01).process(Frame(noise, 0.0, 0))
    boxes = [reading.face.bbox for reading in readings]
    assert [one for one in boxes if not (0 <= one.x0 < one.x1 <= shape[1] and 0 <= one.y0 < one.y1 <= shape[0])] == []
    assert [sum(reading.probabilities) for reading in readings] == pytest.approx([1.0] * len(readings))


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    settings = config.load(overrides={"face.model": f"{tmp_path}/manifest.json#face"})
    with pytest.raises(ModelError, match=r"manifest\.json cannot be read"):
        load_pipeline(settings.config)


@pytest.mark.parametrize("name", ["mask", "mask-small", "mask-224"])
def test_every_mask_model_can_be_chosen(name: str) -> None:
    chosen = config.Config.model_validate({"mask": {"model": name}})
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    (reading,) = load_pipeline(chosen).judge(image, [SURE])
    assert sum(reading.probabilities) == pytest.approx(1, abs=0.02)

"""Against what would run otherwise: the same pictures, every face judged in each, in turn picture by picture."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from edge.errors import ConfigError
from edge.people import PeopleTracker
from edge.runtime import open_model
from edge.values import Face, Frame, Image, Reading
from edge.vision.face_detector import Detector
from edge.vision.mask_classifier import Classifier
from edge.vision.pipeline import Pipeline, load_pipeline
from edge.vision.preprocess import normalise
from tests.bench.report_ssd import Ssd
from tests.bench.results import Options, Quartiles, Section, Table, ratios
from tests.bench.scenes import HEIGHT, WIDTH, crowds, settings, with_one_person
from train.evaluate.peers import aizoo, escvm, yunet
from train.evaluate.photos import open_photo, read_photos

SIDE = 224
OURS = "maskgate"
STILL = "ten people (still)"
AT_DOOR = "maskgate at the door, people followed"
REPORT = "the report's: SSD 300 + Keras MobileNetV2 224, predict a frame"
SAME_FACES = "The report's SSD is timed, but its row judges the faces that YuNet finds: as many as the others judge."


@dataclass(frozen=True)
class Contender:
    """What finds and judges all faces of a picture."""

    name: str
    look: Callable[[Image], object]


class Times(NamedTuple):
    """Milliseconds a picture: by the clock, and of all processors together, which others' work disturbs less."""

    clock: list[float]
    processor: list[float]

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take the time of what is done inside."""
        begin, spent = time.perf_counter(), time.process_time()
        yield
        self.processor.append((time.process_time() - spent) * 1e3)
        self.clock.append((time.perf_counter() - begin) * 1e3)


class KerasMasks:
    """The report's classifier: boxes as they are, one ``predict`` over all the faces of a frame."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        if not faces:
            return []
        batch = np.stack([crop(image, face) for face in faces])
        answers = self._model.predict(batch, batch_size=32, verbose=0)
        return [Reading(face, (*map(float, answer), 0.0)) for face, answer in zip(faces, answers, strict=True)]


class LiteMasks:
    """The same model as float32 TFLite on LiteRT, a face at a time."""

    def __init__(self, content: bytes, threads: int) -> None:
        self._model = open_model(content, threads=threads, name="the report's model")

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        readings = []
        for face in faces:
            (output,) = self._model.invoke(crop(image, face)[None])
            readings.append(Reading(face, (*map(float, output.real(0)), 0.0)))
        return readings


def crop(image: Image, face: Face) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A face as the report's code cuts it: the box, stretched to 224x224, RGB in [-1, 1]."""
    height, width = image.shape[:2]
    x0, y0 = min(int(face.bbox.x0), width - 1), min(int(face.bbox.y0), height - 1)
    inside = image[y0 : max(y0 + 1, int(face.bbox.y1)), x0 : max(x0 + 1, int(face.bbox.x1))]
    return normalise(cv2.resize(cv2.cvtColor(inside, cv2.COLOR_BGR2RGB), (SIDE, SIDE)))  # type: ignore[arg-type]


def run(options: Options) -> Section:
    """Time every system on pictures of one person, of ten, and on photos."""
    section = Section()
    pipeline = load_pipeline(settings())
    scenes = {
        "one person (demo clip)": with_one_person(pipeline, options.some(60, 4)),
        STILL: crowds(pipeline, [10]) * options.some(40, 2),
    }
    if photos := _photos(options, section):
        scenes["whole photos"] = photos
    systems = [Contender(OURS, lambda image: pipeline.judge(image, pipeline.detect(Frame.still(image))))]
    systems += _report(options, section, [image for images in scenes.values() for image in images])
    systems += _published(options, section)
    for name, images in scenes.items():
        took = in_turn(systems, images)
        at_door = _at_the_door(pipeline, images) if name == STILL else None
        section.tables.append(_table(name, len(images), took, at_door))
        section.data[name] = {
            system: {
                "ms": Quartiles.of(times.clock).json(),
                "processor_ms": Quartiles.of(times.processor).json(),
                "times_ours": ratios(times.clock, took[OURS].clock).json(),
                "times_our_processor_time": ratios(times.processor, took[OURS].processor).json(),
            }
            for system, times in took.items()
        }
        if at_door:
            section.data[name][AT_DOOR] = {
                "ms": Quartiles.of(at_door.clock).json(),
                "processor_ms": Quartiles.of(at_door.processor).json(),
            }
    return section


def in_turn(systems: Sequence[Contender], images: Sequence[Image]) -> dict[str, Times]:
    """By system; each looks at each picture, after a few looks that do not count."""
    for system in systems:
        for image in images[:2]:
            system.look(image)
    took = {system.name: Times([], []) for system in systems}
    for image in images:
        for system in systems:
            with took[system.name].one():
                system.look(image)
    return took


def _at_the_door(pipeline: Pipeline, images: Sequence[Image]) -> Times:
    """Where people are followed at 20 frames a second, and judged when it teaches something."""
    people, settling, settled = PeopleTracker(settings().people), Times([], []), Times([], [])
    for number, image in enumerate([*images] * 2):
        with (settling if number < len(images) else settled).one():
            faces = pipeline.detect(Frame.still(image))
            plan = people.match(faces, number / 20, (WIDTH, HEIGHT))
            people.update(plan, pipeline.judge(image, plan.to_judge))
    return settled


def _table(name: str, pictures: int, took: Mapping[str, Times], at_door: Times | None) -> Table:
    told = dict(took)
    if at_door:
        told = {OURS: took[OURS], AT_DOOR: at_door, **took}
    rows = [
        (
            system,
            Quartiles.of(times.clock).told(1),
            f"{1e3 / Quartiles.of(times.clock).median:.0f}",
            ratios(times.clock, took[OURS].clock).told(1),
            Quartiles.of(times.processor).told(1),
            ratios(times.processor, took[OURS].processor).told(1),
        )
        for system, times in told.items()
    ]
    head = ("system", "ms per frame", "frames per second", "times maskgate's", "ms of processors", "times maskgate's")
    return Table(f"{name}, {pictures} pictures, every face judged:", head, rows)


def _report(options: Options, section: Section, images: Sequence[Image]) -> list[Contender]:
    """The report's pipeline in Keras, and its classifier after a lighter detector, in Keras and on LiteRT."""
    try:
        detector = yunet.FaceDetector(_folder(options), 320)
    except ConfigError as error:
        section.notes.append(f"Left out, the report's pipeline: {error}")
        return []
    keras_model, content = report_model(options, section)
    lite, masks = LiteMasks(content, threads=1), KerasMasks(keras_model)
    known = {id(image): detector.detect(Frame.still(image), yunet.THRESHOLD) for image in images}
    return [
        *_with_its_own_detector(options, section, masks, known),
        Contender("YuNet 320 + the report's Keras model, predict a frame", _looker(detector, masks, yunet.THRESHOLD)),
        Contender("YuNet 320 + the same model, float LiteRT", _looker(detector, lite, yunet.THRESHOLD)),
    ]


def _with_its_own_detector(
    options: Options, section: Section, masks: Classifier, faces: Mapping[int, Sequence[Face]]
) -> list[Contender]:
    """The report's pipeline, which judges ``faces``, by the id of their picture."""
    try:
        ssd = Ssd(_folder(options))
    except ConfigError as error:
        section.notes.append(f"Left out, the report's own face detector: {error}")
        return []

    def look(image: Image) -> None:
        ssd.look(image)
        masks.classify(image, faces[id(image)])

    section.notes.append(SAME_FACES)
    return [Contender(REPORT, look)]


def report_model(options: Options, section: Section) -> tuple[Any, bytes]:
    """The report's Keras model, and the same as float32 TFLite."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    from train.mask.model import report_classifier

    weights = str(options.weights) if options.weights and options.weights.is_file() else "none"
    if weights == "none":
        section.notes.append("The report's model has random weights: its time is the same.")
    model = report_classifier(SIDE, 1.0, weights, 2)
    with redirect_stdout(StringIO()):  # the converter prints every weight
        return model, tf.lite.TFLiteConverter.from_keras_model(model).convert()


def _published(options: Options, section: Section) -> list[Contender]:
    found = []
    try:
        both = aizoo.OneStage(_folder(options))
        found.append(Contender("AIZOO 260, one stage, float LiteRT", _looker(both, both, aizoo.THRESHOLD)))
        detector, masks = yunet.FaceDetector(_folder(options), 320), escvm.MaskClassifier(_folder(options), escvm.WIDE)
        found.append(Contender("YuNet 320 + EscVM 224, int8 LiteRT", _looker(detector, masks, yunet.THRESHOLD)))
    except ConfigError as error:
        section.notes.append(f"Left out: {error}")
    return found


def _looker(detector: Detector, classifier: Classifier, threshold: float) -> Callable[[Image], object]:
    return lambda image: classifier.classify(image, detector.detect(Frame.still(image), threshold))


def _photos(options: Options, section: Section) -> list[Image]:
    if not options.data or not options.data.exists():
        section.notes.append(f"No photos: there is no {options.data}; name a COCO file with --data.")
        return []
    photos = read_photos(options.data)
    return [open_photo(photo) for photo in photos[:: max(1, len(photos) // options.some(60, 3))]][: options.some(60, 3)]


def _folder(options: Options) -> Path:
    if options.peers is None or not options.peers.is_dir():
        raise ConfigError(f"there is no folder {options.peers} with published models; name one with --peers.")
    return options.peers

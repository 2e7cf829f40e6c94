"""What a picture takes beyond the models themselves: the pipeline's time over that of the bare ``invoke()`` calls."""

from __future__ import annotations

import time

import numpy as np

from edge.runtime.litert import open_model
from edge.values import Frame, Image
from edge.vision.face_detector import FaceDetector
from edge.vision.mask_classifier import MaskClassifier
from edge.vision.models import FaceEntry, MaskEntry, load_model
from edge.vision.pipeline import Pipeline
from edge.vision.preprocess import shrunk
from tests.bench.results import Options, Quartiles, Section, Table, ratios
from tests.bench.scenes import crowds, settings, with_one_person

THREADS = 1


class Bare:
    """A model that times its interpreter's ``invoke`` alone."""

    def __init__(self, content: bytes) -> None:
        self._model = open_model(content, THREADS)
        self.input, self.outputs, self.runtime = self._model.input, self._model.outputs, self._model.runtime
        self.invoke = self._model.invoke

    def time(self) -> float:
        """Milliseconds of processor time of one run on whatever it was shown last."""
        begin = time.thread_time()
        self._model._interpreter.invoke()
        return (time.thread_time() - begin) * 1e3


def run(options: Options) -> Section:
    """Take turns: a whole picture, then both models bare on what they were just shown."""
    config = settings()
    face, mask = load_model(config.face.model, FaceEntry), load_model(config.mask.model, MaskEntry)
    bare = Bare(face.content), Bare(mask.content)
    pipeline = Pipeline(
        FaceDetector(bare[0], face.entry, config.face.nms_iou, config.face.max_faces),
        MaskClassifier(bare[1], mask.entry),
        config.face.threshold,
    )
    walking = with_one_person(pipeline, 60)
    standing = crowds(pipeline, [1]) * 60
    section = Section()
    rows = []
    for scene, images in (("walking (demo clip)", walking), ("standing (still)", standing)):
        for scaled, words in ((True, "by the camera's thread"), (False, "in the loop")):
            whole, alone = _measure(pipeline, bare, images, scaled, options.some(12, 1))
            ratio = ratios(whole, alone)
            best = min(whole) / min(alone)
            measured = (Quartiles.of(whole).told(), Quartiles.of(alone).told(), ratio.told(), f"{best:.2f}")
            rows.append((scene, words, *measured))
            section.data[f"{scene}, scaled {words}"] = {
                "pipeline_ms": Quartiles.of(whole).json(),
                "bare_ms": Quartiles.of(alone).json(),
                "ratio": ratio.json(),
                "ratio_of_the_quickest": round(best, 4),
            }
    head = ("one person", "scaled", "pipeline, ms", "bare models, ms", "ratio", "ratio of the fastest runs")
    section.tables.append(
        Table("One person at 640x480, found and judged in every frame, CPU time of one thread:", head, rows)
    )
    return section


def _measure(
    pipeline: Pipeline, bare: tuple[Bare, Bare], images: list[Image], scaled: bool, rounds: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of processor time of the pipeline and of both models alone, picture by picture."""
    whole, alone = [], []
    fresh = np.empty_like(images[0])
    for image in images * rounds:
        np.copyto(fresh, image)  # as a camera leaves a picture: just written
        height, width = fresh.shape[:2]
        small = shrunk(fresh, *pipeline.input_size(width, height)) if scaled else None
        begin = time.thread_time()
        readings = pipeline.judge(fresh, pipeline.detect(Frame(fresh, 0.0, 0, small)))
        took = (time.thread_time() - begin) * 1e3
        if len(readings) == 1:
            whole.append(took)
            alone.append(bare[0].time() + bare[1].time())
    return whole, alone

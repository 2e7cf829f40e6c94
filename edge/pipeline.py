"""From a frame to readings: find the faces, judge each one's mask."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.config import Config
from edge.models import FaceEntry, MaskEntry, load_model
from edge.runtime import open_model
from edge.values import Face, Frame, Image, Reading
from edge.vision.face_detector import Detector, FaceDetector
from edge.vision.mask_classifier import Classifier, MaskClassifier


@dataclass(frozen=True, slots=True)
class StageTimes:
    """What the last picture took: seconds to detect its faces, and to classify all of them."""

    detect: float = 0.0
    classify: float = 0.0


class Pipeline:
    """Runs the two models on pictures, one after the other.

    Args:
        detector: Finds the faces.
        classifier: Judges them.
        threshold: Least score of a face, in (0, 1).
        monotonic: Seconds, to measure the stages by.
        runtime: What runs the models, for people.

    Attributes:
        times: Of the last picture.
        runtime: What runs the models, for people: ``litert, 2 threads``.
    """

    def __init__(
        self,
        detector: Detector,
        classifier: Classifier,
        threshold: float,
        monotonic: Callable[[], float] = time.perf_counter,
        runtime: str = "",
    ) -> None:
        self.times = StageTimes()
        self.runtime = runtime
        self._detector = detector
        self._classifier = classifier
        self._threshold = threshold
        self._monotonic = monotonic

    def process(self, frame: Frame) -> list[Reading]:
        """One reading for each face of the frame, the surest face first."""
        return self.judge(frame.image, self.detect(frame.image))

    def detect(self, image: Image) -> list[Face]:
        """The faces in a picture, (H, W, 3) uint8 BGR; the surest first."""
        start = self._monotonic()
        faces = self._detector.detect(image, self._threshold)
        self.times = StageTimes(detect=self._monotonic() - start)
        return faces

    def judge(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        """One reading for each of the faces that are worth judging now, in the same order."""
        start = self._monotonic()
        readings = self._classifier.classify(image, faces)
        self.times = StageTimes(self.times.detect, self._monotonic() - start)
        return readings


def load_pipeline(config: Config, threshold: float | None = None, max_faces: int | None = None) -> Pipeline:
    """Load both models into a runtime.

    Args:
        config: The effective configuration.
        threshold: Instead of ``config.face.threshold``.
        max_faces: Instead of ``config.face.max_faces``.

    Raises:
        ModelError: A model is missing, altered or not what it should be, or no runtime can run it.
    """
    face = load_model(config.face.model, FaceEntry)
    mask = load_model(config.mask.model, MaskEntry)
    backend, threads = config.runtime.backend, config.runtime.threads
    face_model = open_model(face.content, backend, threads, name=str(face.path))
    mask_model = open_model(mask.content, backend, threads, name=str(mask.path))
    detector = FaceDetector(face_model, face.entry, config.face.nms_iou, max_faces or config.face.max_faces)
    classifier = MaskClassifier(mask_model, mask.entry)
    runtimes = dict.fromkeys((face_model.runtime, mask_model.runtime))
    return Pipeline(detector, classifier, threshold or config.face.threshold, runtime="; ".join(runtimes))

"""From a frame to readings: find the faces, judge each one's mask."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2

from edge.clock import Clock
from edge.config import CameraSettings, Config, MaskSettings
from edge.messages import message
from edge.runtime import Model, open_model
from edge.runtime.accelerator.accelerated import Accelerator, Wish
from edge.runtime.accelerator.edgetpu import find_devices
from edge.values import Face, Frame, Image, Reading, StageTimes
from edge.vision.closer import CloserDetector
from edge.vision.confirmed import Confirmation, ConfirmedDetector
from edge.vision.face_detector import Detector, FaceDetector, ShapedDetector, Size, best_size
from edge.vision.mask_classifier import Classifier, MaskClassifier
from edge.vision.models import (
    FaceEntry,
    MaskEntry,
    ModelFile,
    edgetpu_content,
    find_entry,
    load_confirmation,
    load_first_look,
    load_model,
    load_shapes,
)
from edge.vision.models.precision import suited
from edge.vision.two_looks import TwoLooks

NOT_COMPILED = message("edgetpu.not_compiled")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Live:
    """What a pipeline at a door needs in addition to its settings.

    Attributes:
        clock: The machine's.
        state: Folder to remember things in.
        root: Where /dev and /sys are.
    """

    clock: Clock
    state: Path
    root: Path = Path("/")


class Pipeline:
    """Runs the two models on pictures, one after the other.

    Args:
        detector: Finds the faces.
        classifier: Judges them.
        threshold: Minimum score of a face, in (0, 1).
        monotonic: Seconds, to measure the stages by.
        runtime: What runs the models, for people.
        accelerator: What may run them elsewhere; closed with the pipeline.
        trouble: What will not change during the run, as a sentence.

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
        *,
        accelerator: Accelerator | None = None,
        trouble: str | None = None,
    ) -> None:
        self.times = StageTimes()
        self.runtime = runtime
        self._accelerator, self._trouble = accelerator, trouble
        self._detector = detector
        self._classifier = classifier
        self._threshold = threshold
        self._monotonic = monotonic

    @property
    def trouble(self) -> str | None:
        """Why models do not run where they should, as a sentence; None if there is no problem."""
        return self._accelerator.trouble if self._accelerator else self._trouble

    @property
    def accelerated(self) -> bool | None:
        """Whether models run on the accelerator now; None if none was asked for or found."""
        if self._accelerator is None:
            return False if self._trouble else None
        return self._accelerator.active if self._accelerator.expected else None

    def close(self) -> None:
        """Release the accelerator."""
        if self._accelerator:
            self._accelerator.close()

    def configure(self, settings: MaskSettings) -> None:
        """Judge by other settings from now on; the models stay."""
        if isinstance(self._classifier, MaskClassifier | TwoLooks):
            self._classifier.configure(settings.alarm_below)

    def input_size(self, width: int, height: int) -> Size:
        """The size that a frame of ``width`` x ``height`` is fitted into; ``Frame.small`` may have it already."""
        return self._detector.input_size(width, height)

    def process(self, frame: Frame) -> list[Reading]:
        """One reading for each face of the frame, the surest face first."""
        return self.judge(frame.image, self.detect(frame))

    def detect(self, frame: Frame) -> list[Face]:
        """The faces in a frame, highest score first."""
        start = self._monotonic()
        faces = self._detector.detect(frame, self._threshold)
        self.times = StageTimes(detect=self._monotonic() - start)
        return faces

    def judge(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        """One reading for each of the faces that are worth judging now, in the same order."""
        start = self._monotonic()
        readings = self._classifier.classify(image, faces)
        self.times = StageTimes(self.times.detect, self._monotonic() - start)
        return readings


def load_pipeline(
    config: Config,
    threshold: float | None = None,
    max_faces: int | None = None,
    *,
    live: Live | None = None,
    closely: bool = False,
) -> Pipeline:
    """Load the models into a runtime.

    Args:
        config: The effective configuration.
        threshold: Instead of ``config.face.threshold``.
        max_faces: Instead of ``config.face.max_faces``.
        live: Of a door, which may use an accelerator; None computes everything on the processor, the same every time.
        closely: Look at each picture also in overlapping tiles; see ``edge.vision.closer``.

    Raises:
        ModelError: A model is missing, altered or not what it should be, or no runtime can run it.
    """
    _skip_ipp()
    face = load_model(config.face.model, FaceEntry)
    mask = load_model(config.mask.model, MaskEntry)
    wanted = live is not None and config.runtime.accelerator != "cpu"
    compiled = _compiled_together(face, mask) if wanted else []
    if compiled:  # an Edge TPU and the processor in its place take the same pictures
        files = load_shapes(face)
    else:
        files = load_shapes(suited(face, config.runtime.precision, live.root if live else Path("/")))
        files = _suited_to(config.camera, files)
    backend, threads = config.runtime.backend, config.runtime.threads
    on_processor = [open_model(one.content, backend, threads, name=str(one.path)) for one in (files[0], mask)]
    accelerator, trouble = None, None
    if live and wanted:
        wish = Wish(config.runtime.accelerator, config.runtime.device, config.runtime.edgetpu_library)
        if compiled:
            accelerator = Accelerator(on_processor, compiled, wish, live.clock, state=live.state, root=live.root)
        elif wish.kind == "edgetpu" or find_devices(live.root):
            trouble = NOT_COMPILED
            log.warning("%s", trouble)
    face_model, mask_model = accelerator.models if accelerator else on_processor
    most = max_faces or config.face.max_faces
    detector = open_detector(config, files, face_model, most, accelerator)
    return Pipeline(
        confirmed(config, CloserDetector(detector, most) if closely else detector),
        open_classifier(config, mask, mask_model, alone=accelerator is not None),
        threshold or config.face.threshold,
        runtime="; ".join(dict.fromkeys((face_model.runtime, mask_model.runtime))),
        accelerator=accelerator,
        trouble=trouble,
    )


def _skip_ipp() -> None:
    """Let OpenCV itself swap colours in this thread.

    Intel's library asks the processor's kind in every call, which takes a virtual machine 10 µs: five times what the
    swap of a face's crop takes.
    """
    cv2.ipp.setUseIPP(False)


def _compiled_together(*models: ModelFile[Any]) -> list[bytes]:
    """The models' variants for the Edge TPU; none unless each model has one."""
    contents = [content for model in models if (content := edgetpu_content(model))]
    return contents if len(contents) == len(models) else []


def _suited_to(camera: CameraSettings, files: Sequence[ModelFile[FaceEntry]]) -> list[ModelFile[FaceEntry]]:
    """A face model at its input sizes, with the one first that fits the frames which the camera is asked for."""
    upright = camera.rotate % 180 != 0
    width, height = (camera.height, camera.width) if upright else (camera.width, camera.height)
    best = best_size(map(_size, files), width, height)
    return sorted(files, key=lambda one: _size(one) != best)


def _size(model: ModelFile[FaceEntry]) -> Size:
    return model.entry.input.width, model.entry.input.height


def open_classifier(config: Config, mask: ModelFile[MaskEntry], opened: Model, *, alone: bool = False) -> Classifier:
    """The mask model, after the smaller one that its manifest names.

    Args:
        config: The effective configuration.
        mask: Of ``config.mask.model``.
        opened: The same, ready to run.
        alone: Without the smaller one: an accelerator holds one model at a time, and is quick with either.

    Raises:
        ModelError: See ``load_pipeline``.
    """
    second = MaskClassifier(opened, mask.entry, config.mask.alarm_below)
    first = None if alone else load_first_look(config.mask.model)
    if first is None or mask.entry.first_look is None:
        return second
    model = open_model(first.content, config.runtime.backend, config.runtime.threads, name=str(first.path))
    return TwoLooks(MaskClassifier(model, first.entry), second, mask.entry.first_look, config.mask.alarm_below)


def expected_input(config: Config) -> Callable[[int, int], Size]:
    """What ``Pipeline.input_size`` will most probably say, for a camera that is opened before the models are.

    Raises:
        ModelError: The manifest cannot be read; only when the function is first called.
    """

    @cache
    def sizes() -> tuple[Size, ...]:
        entry = find_entry(config.face.model, FaceEntry)
        return tuple((one.width, one.height) for one in (entry.input, *(shape.input for shape in entry.shapes)))

    return lambda width, height: best_size(sizes(), width, height)


def confirmed(config: Config, detector: Detector) -> Detector:
    """A detector whose doubts are looked at again, where the manifest names a model for that.

    Args:
        config: The effective configuration.
        detector: Of ``config.face.model``.

    Raises:
        ModelError: See ``load_pipeline``.
    """
    confirmation = load_confirmation(config.face.model)
    if confirmation is None:
        return detector
    model = open_model(
        confirmation.content, config.runtime.backend, config.runtime.threads, name=str(confirmation.path)
    )
    return ConfirmedDetector(detector, Confirmation(model, confirmation.entry), confirmation.entry)


def open_face_model(config: Config, max_faces: int) -> Detector:
    """The face model alone, in int8 on the processor: nothing looks again at what it doubts.

    Raises:
        ModelError: See ``load_pipeline``.
    """
    face = load_model(config.face.model, FaceEntry)
    opened = open_model(face.content, config.runtime.backend, config.runtime.threads, name=str(face.path))
    return open_detector(config, load_shapes(face), opened, max_faces)


def open_detector(
    config: Config,
    files: Sequence[ModelFile[FaceEntry]],
    opened: Model,
    max_faces: int,
    accelerator: Accelerator | None = None,
) -> Detector:
    """A face model at all its input sizes; the second and later ones are opened when a frame needs them.

    Args:
        config: The effective configuration.
        files: Of the model, one for each input size.
        opened: The first of them, ready to run; an Edge TPU runs only this one.
        max_faces: Maximum number of faces per frame.
        accelerator: That runs ``opened``, if there is one.

    Raises:
        ModelError: See ``load_pipeline``.
    """

    def on(model: Model, entry: FaceEntry) -> FaceDetector:
        return FaceDetector(model, entry, config.face.nms_iou, max_faces)

    def opener(shape: ModelFile[FaceEntry]) -> Callable[[], Detector]:
        backend, threads = config.runtime.backend, config.runtime.threads
        return lambda: on(open_model(shape.content, backend, threads, name=str(shape.path)), shape.entry)

    first, *others = files
    detector = on(opened, first.entry)
    if not others:
        return detector
    openers = {_size(shape): opener(shape) for shape in others}
    return ShapedDetector(detector, openers, only_first=lambda: bool(accelerator and accelerator.preferred))

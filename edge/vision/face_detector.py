"""Where the faces are: runs a face model on frames and brings its boxes back into pixels of the frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np

from edge.runtime import Model
from edge.values import BBox, Face, Frame
from edge.vision.detectors import NMS_IOU, best, open_head
from edge.vision.model_input import ModelInput
from edge.vision.models import FaceEntry
from edge.vision.preprocess import Letterbox, fitted_size, letterbox

Size = tuple[int, int]
"""Width and height in pixels."""


def best_size(sizes: Iterable[Size], width: int, height: int) -> Size:
    """The input size that shows a frame of ``width`` x ``height`` largest; of several, that with the fewest pixels."""

    def merit(size: Size) -> tuple[float, int]:
        return min(size[0] / width, size[1] / height), -size[0] * size[1]

    return max(sizes, key=merit)


class Detector(Protocol):
    """Finds faces."""

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        """The faces in a frame, best first, in pixels of the frame and inside it.

        Args:
            frame: ``small`` spares the scaling where it fits ``input_size``.
            threshold: Minimum score, in (0, 1).
        """
        ...

    def input_size(self, width: int, height: int) -> Size:
        """The size that a frame of ``width`` x ``height`` is fitted into; as it is, unless the detector says more."""
        return width, height


class FaceDetector(Detector):
    """A ``Detector`` on a TFLite model.

    Args:
        model: Ready to run.
        entry: What the manifest says of it.
        nms_iou: Boxes that overlap more are one face, IoU in (0, 1).
        max_faces: Maximum number of faces per frame, the best first.

    Raises:
        ModelError: The model's input or outputs are not those of its manifest.
    """

    def __init__(self, model: Model, entry: FaceEntry, nms_iou: float = NMS_IOU, max_faces: int = 20) -> None:
        self._model = model
        self._head = open_head(entry, model.outputs)
        self._width, self._height = entry.input.width, entry.input.height
        self._prepare = ModelInput(model.input, self._width, self._height, self._head.levels)
        self._canvas = np.empty((self._height, self._width, 3), np.uint8)
        self._nms_iou = nms_iou
        self._max_faces = max_faces

    def input_size(self, width: int, height: int) -> Size:
        """The model's input, for every frame."""
        del width, height
        return self._width, self._height

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        """The faces in a frame; see ``Detector``."""
        height, width = frame.image.shape[:2]
        *size, scale = fitted_size(width, height, self._width, self._height)
        small = frame.small
        fits = small is not None and [small.shape[1], small.shape[0]] == size
        source = small if small is not None and fits else frame.image
        fitted, _ = letterbox(source, self._width, self._height, self._canvas, bgr=self._head.levels.bgr)
        outputs = self._model.invoke(self._prepare(fitted))
        boxes, scores = best(self._head.decode(outputs, threshold), self._nms_iou, self._max_faces)
        corners = Letterbox(scale).to_frame(boxes).tolist()
        faces = [
            Face(BBox(max(0.0, x0), max(0.0, y0), min(float(width), x1), min(float(height), y1)), score)
            for (x0, y0, x1, y1), score in zip(corners, scores.tolist(), strict=True)
        ]
        return [face for face in faces if face.bbox.area > 0]


class ShapedDetector(Detector):
    """A ``Detector`` on the same weights at several input sizes: each frame goes where least of the input is padding.

    Args:
        first: Is open already.
        openers: What opens the detector of each other input size, called when the first frame needs it.
        only_first: Whether every frame goes to ``first`` now, because it alone runs on an accelerator.
    """

    def __init__(
        self,
        first: FaceDetector,
        openers: Mapping[Size, Callable[[], Detector]],
        only_first: Callable[[], bool] = lambda: False,
    ) -> None:
        self._first = first.input_size(0, 0)
        self._opened: dict[Size, Detector] = {self._first: first}
        self._openers = openers
        self._only_first = only_first

    def input_size(self, width: int, height: int) -> Size:
        """The one of the sizes that wastes least; see ``best_size``."""
        return self._first if self._only_first() else best_size((self._first, *self._openers), width, height)

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        """The faces in a frame; see ``Detector``."""
        height, width = frame.image.shape[:2]
        size = self.input_size(width, height)
        if size not in self._opened:
            self._opened[size] = self._openers[size]()
        return self._opened[size].detect(frame, threshold)

"""Where the faces are: runs the detector and decodes its maps into boxes of the frame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.runtime import Model, Quantization, Tensor
from edge.values import BBox, Face, Image
from edge.vision.model_input import ModelInput
from edge.vision.models import FaceEntry
from edge.vision.preprocess import Letterbox, fitted_size, letterbox

MAX_LOG_SIDE = 6.0
"""Of a predicted side in strides, as in training: keeps a wild float output from overflowing."""


class Detector(Protocol):
    """Finds faces."""

    def detect(self, image: Image, threshold: float) -> list[Face]:
        """The faces in a picture, best first, in pixels of the picture and inside it.

        Args:
            image: (H, W, 3) uint8 BGR.
            threshold: Least score, in (0, 1).
        """
        ...


class Layout(NamedTuple):
    """Where a face model's maps lie in its input.

    Attributes:
        width: Of the model's input, in pixels.
        height: Of the model's input, in pixels.
        strides: Input pixels between cells of each pair of maps.
    """

    width: int
    height: int
    strides: tuple[int, ...]


class Decoded(NamedTuple):
    """``boxes`` (N, 4) float32, x0, y0, x1, y1 in pixels of the model's input; ``scores`` (N,) float32. Best first."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]


class FaceDetector:
    """A ``Detector`` on a TFLite model.

    Args:
        model: Ready to run.
        entry: What the manifest says of it.
        nms_iou: Boxes that overlap more are one face, IoU in (0, 1).
        max_faces: Most faces of a picture, the best first.

    Raises:
        ModelError: The model's input or outputs are not those of its manifest.
    """

    def __init__(self, model: Model, entry: FaceEntry, nms_iou: float = 0.45, max_faces: int = 20) -> None:
        self._model = model
        self._layout = Layout(entry.input.width, entry.input.height, entry.strides)
        self._prepare = ModelInput(model.input, entry.input.width, entry.input.height)
        self._canvas = np.empty((entry.input.height, entry.input.width, 3), np.uint8)
        self._nms_iou = nms_iou
        self._max_faces = max_faces
        pair_maps([output.shape for output in model.outputs], self._layout)

    def detect(self, image: Image, threshold: float, small: Image | None = None) -> list[Face]:
        """The faces in a picture; see ``Detector``.

        Args:
            image: (H, W, 3) uint8 BGR.
            threshold: Least score, in (0, 1).
            small: The same picture scaled down, (h, w, 3) uint8 BGR: spares the scaling where it has the right size.
        """
        height, width = image.shape[:2]
        *size, scale = fitted_size(width, height, self._layout.width, self._layout.height)
        fits = small is not None and [small.shape[1], small.shape[0]] == size
        source = small if small is not None and fits else image
        fitted, _ = letterbox(source, self._layout.width, self._layout.height, self._canvas)
        outputs = self._model.invoke(self._prepare(fitted))
        boxes, scores = decode(outputs, self._layout, threshold, self._nms_iou, self._max_faces)
        corners = Letterbox(scale).to_frame(boxes).tolist()
        faces = [
            Face(BBox(max(0.0, x0), max(0.0, y0), min(float(width), x1), min(float(height), y1)), score)
            for (x0, y0, x1, y1), score in zip(corners, scores.tolist(), strict=True)
        ]
        return [face for face in faces if face.bbox.area > 0]


def decode(outputs: Sequence[Tensor], layout: Layout, threshold: float, nms_iou: float, max_faces: int) -> Decoded:
    """Turn a face model's maps into boxes; only cells above the threshold are ever converted to real numbers.

    For each stride s a score map (1, height/s, width/s, 1) in [0, 1] and a bbox map (1, height/s, width/s, 4) of
    (dx, dy, log_w, log_h): cx = (column + 0.5 + dx) * s, cy = (row + 0.5 + dy) * s, w = exp(log_w) * s and
    h = exp(log_h) * s, as in YOLOX (https://arxiv.org/abs/2107.08430).

    Args:
        outputs: In any order, int8 or float32: they are told apart by shape.
        layout: Of the maps.
        threshold: Least score, in (0, 1).
        nms_iou: Boxes that overlap a better one by more are dropped, IoU in (0, 1).
        max_faces: Most boxes returned.

    Raises:
        ModelError: A map is missing.
    """
    pairs = pair_maps([output.values.shape for output in outputs], layout)
    scores, bboxes = [outputs[score] for score, _ in pairs], [outputs[bbox] for _, bbox in pairs]
    sure = [score.values >= score.quantization.stored(threshold) for score in scores]
    hits = np.flatnonzero(np.concatenate(sure, axis=None))
    if not hits.size:
        return Decoded(np.empty((0, 4), np.float32), np.empty(0, np.float32))
    cells = _cells(layout, tuple(score.quantization for score in scores), tuple(bbox.quantization for bbox in bboxes))
    found = _decode_cells(
        np.concatenate([score.values for score in scores], axis=None)[hits],
        np.concatenate([bbox.values.reshape(-1, 4) for bbox in bboxes])[hits],
        cells[hits],
    )
    kept = _suppress(found, nms_iou)[:max_faces]
    return Decoded(found.boxes[kept], found.scores[kept])


def pair_maps(shapes: Sequence[tuple[int, ...]], layout: Layout) -> list[tuple[int, int]]:
    """Which outputs are the score and bbox map of each stride, told by shape: the converter may swap them.

    Raises:
        ModelError: A map is missing.
    """
    index = {shape: position for position, shape in enumerate(shapes)}
    pairs = []
    for stride in layout.strides:
        cells = (1, layout.height // stride, layout.width // stride)
        score, bbox = index.get((*cells, 1)), index.get((*cells, 4))
        if score is None or bbox is None:
            raise ModelError(
                f"The face model has no score and bbox map of {cells[2]}x{cells[1]} cells for stride {stride}; "
                f"it has {sorted(index)}: convert it again, or mend its manifest."
            )
        pairs.append((score, bbox))
    return pairs


@lru_cache
def _cells(
    layout: Layout, score_steps: tuple[Quantization, ...], bbox_steps: tuple[Quantization, ...]
) -> NDArray[np.float32]:
    """What the decode needs to know of every cell, map after map and row by row, so that all are decoded at once.

    Returns:
        (cells, 8) float32: zero point and scale of its score, zero point and scale of its offsets, (x, y) of its middle
        in strides, its stride and half its stride in pixels of the model's input.
    """
    blocks = []
    for stride, score, bbox in zip(layout.strides, score_steps, bbox_steps, strict=True):
        y, x = np.indices((layout.height // stride, layout.width // stride)).reshape(2, -1) + 0.5
        block = np.empty((len(x), 8), np.float32)
        block[:] = (score.zero_point, score.scale, bbox.zero_point, bbox.scale, 0, 0, stride, stride / 2)
        block[:, 4], block[:, 5] = x, y
        blocks.append(block)
    return np.concatenate(blocks)


def _decode_cells(scores: NDArray[Any], offsets: NDArray[Any], cells: NDArray[np.float32]) -> Decoded:
    """Boxes of some cells: (N,) scores and (N, 4) offsets as stored, (N, 8) as ``_cells`` gives them."""
    real = (offsets - cells[:, 2:3]) * cells[:, 3:4]
    centres = (cells[:, 4:6] + real[:, :2]) * cells[:, 6:7]
    halves = np.exp(np.minimum(real[:, 2:], MAX_LOG_SIDE)) * cells[:, 7:]
    boxes = np.concatenate([centres - halves, centres + halves], axis=1)
    return Decoded(boxes, (scores - cells[:, 0]) * cells[:, 1])


def _suppress(found: Decoded, nms_iou: float) -> NDArray[np.intp]:
    """Indices of the boxes that stay after greedy NMS, best first."""
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    left_top_size = np.concatenate([found.boxes[:, :2], sides], axis=1)
    kept = cv2.dnn.NMSBoxes(left_top_size.tolist(), found.scores.tolist(), 0.0, nms_iou)
    return np.asarray(kept, np.intp).reshape(-1)

"""BlazeFace short range (https://arxiv.org/abs/1907.05047), MediaPipe's detector of near faces.

Thresholds and the blending of overlapping boxes as MediaPipe's graph has them
(face_detection_short_range_common.pbtxt, non_max_suppression_calculator.cc); decoded by the device's own head for it:
https://github.com/google-ai-edge/mediapipe
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.errors import ModelError
from edge.values import BBox, Face, Frame
from edge.vision.detectors.anchors import Boxes
from edge.vision.detectors.blazeface import SIDE, anchors, decode, probability
from edge.vision.face_detector import Detector
from train.evaluate.peers import boxes, open_peer

THRESHOLD = 0.5
BLEND_IOU = 0.3
SETTINGS = f"photo letterboxed to {SIDE}x{SIDE}, score {THRESHOLD}, boxes blended from IoU {BLEND_IOU}"


def blend(found: Boxes, scores: boxes.Scores, iou: float) -> tuple[Boxes, boxes.Scores]:
    """MediaPipe's weighted suppression: the best box becomes the mean of those it overlaps, weighted by score.

    Args:
        found: (N, 4).
        scores: (N,).
        iou: Boxes that overlap the best remaining one by more are blended into it.

    Returns:
        Blended boxes with their best scores, the best first.
    """
    remaining = np.argsort(-scores)
    blended, kept = [], []
    while len(remaining):
        overlaps = np.array([BBox(*found[remaining[0]]).iou(BBox(*found[index])) for index in remaining])
        together = overlaps > iou
        together[0] = True
        members = remaining[together]
        blended.append(np.average(found[members], axis=0, weights=scores[members]))
        kept.append(scores[members[0]])
        remaining = remaining[~together]
    return np.array(blended, np.float32).reshape(-1, 4), np.array(kept, np.float32)


class FaceDetector(Detector):
    """A ``Detector`` on ``blaze_short.tflite``.

    Args:
        folder: Of the peers.

    Raises:
        ConfigError: The file is not there.
        ModelError: No runtime can run it, or its outputs are not those of the published model.
    """

    def __init__(self, folder: Path) -> None:
        self._model = open_peer(folder, "blaze_short.tflite")
        self._centres = anchors()
        by_columns = {output.shape[-1]: index for index, output in enumerate(self._model.outputs)}
        if set(by_columns) != {16, 1}:
            raise ModelError(f"{folder / 'blaze_short.tflite'} is not BlazeFace's short-range model; restore it.")
        self._regressors, self._scores = by_columns[16], by_columns[1]

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        """The faces in a frame; see ``Detector``."""
        image = frame.image
        height, width = image.shape[:2]
        longest = max(height, width)
        left, top = (longest - width) // 2, (longest - height) // 2
        square = cv2.copyMakeBorder(
            image, top, longest - height - top, left, longest - width - left, cv2.BORDER_CONSTANT
        )
        fitted = cv2.cvtColor(cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
        outputs = self._model.invoke((fitted.astype(np.float32) / np.float32(127.5) - 1)[None])
        scores = probability(outputs[self._scores].real(0)[:, 0])
        sure = np.flatnonzero(scores >= threshold)
        found, best = blend(decode(outputs[self._regressors].real(0), self._centres)[sure], scores[sure], BLEND_IOU)
        in_photo = (found * longest - np.array([left, top, left, top])) / np.array([width, height, width, height])
        return boxes.not_empty(boxes.faces(image, in_photo.astype(np.float32), best))

"""AIZOO's one-stage SSD, which finds faces and tells masked from bare in one pass.

Thresholds as its code has them (tflite_infer.py); decoded by the device's own head for it.
https://github.com/AIZOOTech/FaceMaskDetection
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.errors import ModelError
from edge.values import Face, Frame, Image, Reading
from edge.vision.detectors.ssd import SIDE, anchors, decode
from edge.vision.face_detector import Detector
from train.evaluate.peers import boxes, open_peer

THRESHOLD = 0.5
NMS_IOU = 0.4
SETTINGS = f"photo stretched to {SIDE}x{SIDE}, score {THRESHOLD}, NMS IoU {NMS_IOU}, the surer of its two classes"

MASKED, BARE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


class OneStage(Detector):
    """Both a ``Detector`` and a ``Classifier``: it judges the faces that it found last.

    Args:
        folder: Of the peers.

    Raises:
        ConfigError: ``aizoo.tflite`` is not there.
        ModelError: No runtime can run it, or its outputs are not those of the published model.
    """

    def __init__(self, folder: Path) -> None:
        self._model = open_peer(folder, "aizoo.tflite")
        self._anchors = anchors()
        by_columns = {output.shape[-1]: index for index, output in enumerate(self._model.outputs)}
        if set(by_columns) != {4, 2}:
            raise ModelError(f"{folder / 'aizoo.tflite'} is not AIZOO's model of 260x260 pixels; restore it.")
        self._location, self._classes = by_columns[4], by_columns[2]
        self._found: list[tuple[Face, bool]] = []

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        """The faces in a frame; see ``Detector``."""
        image = frame.image
        fitted = cv2.cvtColor(cv2.resize(image, (SIDE, SIDE)), cv2.COLOR_BGR2RGB)
        outputs = self._model.invoke((fitted.astype(np.float32) / 255)[None])
        classes = outputs[self._classes].real(0)
        scores = classes.max(axis=1)
        sure = np.flatnonzero(scores >= threshold)
        located = decode(outputs[self._location].real(0), self._anchors)[sure]
        kept = boxes.best(located, scores[sure], NMS_IOU)
        masked = (classes[sure][kept, 0] >= classes[sure][kept, 1]).tolist()
        whole = zip(boxes.faces(image, located[kept], scores[sure][kept]), masked, strict=True)
        self._found = [(face, mask) for face, mask in whole if face.bbox.area > 0]
        return [face for face, _ in self._found]

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        """One reading for each face of the picture that was looked at last; see ``Classifier``."""
        del image
        return [Reading(face, MASKED if masked else BARE) for face, masked in self._found if face in faces]

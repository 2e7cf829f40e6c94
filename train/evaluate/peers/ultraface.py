"""RFB-320 (Ultra-Light-Fast-Generic-Face-Detector-1MB), by OpenCV's dnn. Its ONNX file decodes its own priors.

Preprocessing and thresholds as its code has them (detect_imgs_onnx.py):
https://github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.errors import ConfigError
from edge.values import Face, Frame
from edge.vision.face_detector import Detector
from train.evaluate.peers import boxes, peer_file

SIZE = (320, 240)
THRESHOLD = 0.7
NMS_IOU = 0.5
SETTINGS = f"photo stretched to {SIZE[0]}x{SIZE[1]}, score {THRESHOLD}, NMS IoU {NMS_IOU}"


class FaceDetector(Detector):
    """A ``Detector`` on ``rfb320.onnx``.

    Args:
        folder: Of the peers.

    Raises:
        ConfigError: The file is not there, or OpenCV cannot read it.
    """

    def __init__(self, folder: Path) -> None:
        path = peer_file(folder, "rfb320.onnx")
        try:
            self._net = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise ConfigError(f"{path} is not a model that OpenCV can read ({error.err}); restore it.") from error

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        """The faces in a frame; see ``Detector``."""
        image = frame.image
        self._net.setInput(cv2.dnn.blobFromImage(image, 1 / 128, SIZE, (127, 127, 127), swapRB=True))
        located, classes = self._net.forward(["boxes", "scores"])
        scores = np.asarray(classes[0, :, 1], np.float32)
        sure = np.flatnonzero(scores >= threshold)
        found = np.asarray(located[0], np.float32)[sure]
        kept = boxes.best(found, scores[sure], NMS_IOU)
        return boxes.not_empty(boxes.faces(image, found[kept], scores[sure][kept]))

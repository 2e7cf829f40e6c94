"""YuNet, by OpenCV's FaceDetectorYN, which decodes it.

https://github.com/ShiqiYu/libfacedetection.train, https://doi.org/10.1007/s11633-023-1423-y
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.errors import ConfigError
from edge.values import BBox, Face, Frame
from edge.vision.face_detector import Detector
from train.evaluate.peers import peer_file

THRESHOLD = 0.5
"""OpenCV's default is 0.9, which leaves out a quarter of the near faces; from 0.5 on it does itself justice."""

NMS_IOU = 0.3
SETTINGS = f"YuNet: longest side scaled to its input, score {THRESHOLD}, NMS IoU {NMS_IOU}"


class FaceDetector(Detector):
    """A ``Detector`` on ``yunet_n_320.onnx``.

    Args:
        folder: Of the peers.
        side: Photos are scaled, also up, to this longest side, in pixels.

    Raises:
        ConfigError: The file is not there, or OpenCV cannot read it.
    """

    def __init__(self, folder: Path, side: int) -> None:
        path = peer_file(folder, "yunet_n_320.onnx")
        try:
            self._net = cv2.FaceDetectorYN.create(str(path), "", (side, side), THRESHOLD, NMS_IOU)
        except cv2.error as error:
            raise ConfigError(f"{path} is not a YuNet model that OpenCV can read ({error.err}); restore it.") from error
        self._side = side

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        """The faces in a frame; see ``Detector``."""
        image = frame.image
        height, width = image.shape[:2]
        scale = self._side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        self._net.setInputSize(size)
        self._net.setScoreThreshold(threshold)
        _, rows = self._net.detect(cv2.resize(image, size, interpolation=interpolation))
        if rows is None:
            return []
        found = np.asarray(rows, np.float32)
        corners = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], axis=1) / np.float32(scale)
        inside = np.clip(corners, 0, (width, height, width, height))
        pairs = zip(inside.tolist(), found[:, -1].tolist(), strict=True)
        return [face for face in (Face(BBox(*box), score) for box, score in pairs) if face.bbox.area > 0]

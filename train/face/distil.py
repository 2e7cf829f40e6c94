"""What a published detector scores in each cell of a training picture, for the detector to learn in addition to boxes.

Annotations say where faces are. They do not say how much like a face everything else looks, which a detector knows that
learned from many more photos. YuNet's maps have the cells of this detector's.
"""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.values import Image
from train.face.model import STRIDES


class DenseScores:
    """YuNet's score in each cell.

    Args:
        path: ``yunet_n_320.onnx``.

    Raises:
        ConfigError: It cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._net = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise ConfigError(f"--distil {path} cannot be read ({error.err}): name yunet_n_320.onnx.") from error
        self._names = [f"{kind}_{stride}" for kind in ("cls", "obj") for stride in STRIDES]
        if not set(self._names) <= set(self._net.getUnconnectedOutLayersNames()):
            raise ConfigError(f"--distil {path} is not YuNet: name yunet_n_320.onnx.")
        self._lock = threading.Lock()

    def __call__(self, image: Image) -> NDArray[np.float32]:
        """(A,) in [0, 1], in the order of ``train.face.loss.cells``, of a picture (320, 320, 3) uint8 BGR."""
        with self._lock:
            self._net.setInput(cv2.dnn.blobFromImage(image))
            maps = [np.asarray(each, np.float32).reshape(-1) for each in self._net.forward(self._names)]
        face, thing = (np.concatenate(part) for part in (maps[: len(STRIDES)], maps[len(STRIDES) :]))
        return np.sqrt(np.clip(face * thing, 0, 1))

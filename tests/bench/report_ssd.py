"""The face detector of the report's program, OpenCV's SSD (res10, 300x300, Caffe): what a look takes."""

from __future__ import annotations

from pathlib import Path

import cv2

from edge.errors import ConfigError
from edge.values import Image
from train.evaluate.peers import peer_file

LAYERS, WEIGHTS = "deploy.prototxt", "res10_300x300_ssd_iter_140000.caffemodel"
"""As OpenCV publishes them: samples/dnn/face_detector, and opencv_3rdparty, dnn_samples_face_detector_20170830."""

SIDE = 300
MEANS = (104.0, 177.0, 123.0)


class Ssd:
    """A look at a picture, as the report's program takes it.

    Args:
        folder: Of the peers.

    Raises:
        ConfigError: A file is not there, or OpenCV cannot read it.
    """

    def __init__(self, folder: Path) -> None:
        layers, weights = peer_file(folder, LAYERS), peer_file(folder, WEIGHTS)
        try:
            self._net = cv2.dnn.readNetFromCaffe(str(layers), str(weights))
        except cv2.error as error:
            raise ConfigError(f"{weights} is not a model that OpenCV can read ({error.err}); restore it.") from error

    def look(self, image: Image) -> None:
        """Find faces in a BGR picture, and forget them."""
        self._net.setInput(cv2.dnn.blobFromImage(image, 1.0, (SIDE, SIDE), MEANS))
        self._net.forward()

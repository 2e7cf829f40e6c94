"""EscVM's MobileNetV2 for the Coral Edge TPU: masked or not, from a face's box.

Cropping, preprocessing and threshold as its code has them (utils/detect_mask.py, config.json):
https://github.com/EscVM/Edge_TPU_Face_Mask_Detection
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from edge.errors import ModelError
from edge.values import BBox, Face, Image, Reading
from edge.vision.model_input import ModelInput
from edge.vision.preprocess import crop_face
from train.evaluate.peers import open_peer

SIDE = 224
WIDE = 0.4
"""Not in its code, but its false alarms fall to a third with it: faces in its training photos were cut wider."""

LEAST_SHOWN = 0.8
SHOWN_BY_MASKED = 1.25
"""Its code calls a face masked from this value of 1.25 * (1 - output) on."""

BARE_FROM = 1 - LEAST_SHOWN / SHOWN_BY_MASKED
SETTINGS = f"EscVM: masked where its output is below {BARE_FROM:.2f}"

MASKED, BARE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


class MaskClassifier:
    """A ``Classifier`` on ``escvm.tflite``; its readings are its decisions, 0 or 1, at the published threshold.

    Args:
        folder: Of the peers.
        margin: Around a square crop on each side, as a fraction of the box's longer side; 0 for the box as it is.

    Raises:
        ConfigError: The file is not there.
        ModelError: No runtime can run it, or it is another model.
    """

    def __init__(self, folder: Path, margin: float) -> None:
        self._model = open_peer(folder, "escvm.tflite")
        if [output.shape for output in self._model.outputs] != [(1, 1)]:
            raise ModelError(f"{folder / 'escvm.tflite'} is not EscVM's mask classifier; restore it.")
        self._prepare = ModelInput(self._model.input, SIDE, SIDE)
        self._margin = margin

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        """One reading for each face; see ``Classifier``."""
        return [Reading(face, BARE if self._bare(image, face.bbox) >= BARE_FROM else MASKED) for face in faces]

    def _bare(self, image: Image, bbox: BBox) -> float:
        """The model's output, from 0 for a mask to 1 for none."""
        crop = crop_face(image, bbox, SIDE, self._margin) if self._margin else _as_it_is(image, bbox)
        (output,) = self._model.invoke(self._prepare(crop))
        return float(output.real((0, 0)))


def _as_it_is(image: Image, bbox: BBox) -> Image:
    """What of a picture lies in a box, stretched to the model's input: (SIDE, SIDE, 3) uint8 RGB."""
    height, width = image.shape[:2]
    x0, y0 = min(int(bbox.x0), width - 1), min(int(bbox.y0), height - 1)
    inside = image[y0 : max(y0 + 1, int(bbox.y1)), x0 : max(x0 + 1, int(bbox.x1))]
    return cv2.cvtColor(cv2.resize(inside, (SIDE, SIDE)), cv2.COLOR_BGR2RGB)  # type: ignore[return-value]

"""AIZOO's one-stage SSD, which finds faces and tells masked from bare in one pass.

Anchors, variances and thresholds as its code has them (utils/anchor_generator.py, anchor_decode.py, tflite_infer.py):
https://github.com/AIZOOTech/FaceMaskDetection
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.values import Face, Image, Reading
from train.evaluate.peers import boxes, open_peer

SIDE = 260
THRESHOLD = 0.5
NMS_IOU = 0.4
SETTINGS = f"photo stretched to {SIDE}x{SIDE}, score {THRESHOLD}, NMS IoU {NMS_IOU}, the surer of its two classes"

CELLS = (33, 17, 9, 5, 3)
SCALES = ((0.04, 0.056), (0.08, 0.11), (0.16, 0.22), (0.32, 0.45), (0.64, 0.72))
RATIOS = (0.62, 0.42)
"""Width by height of the anchors that are not square."""

VARIANCES = (0.1, 0.1, 0.2, 0.2)

MASKED, BARE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)

Anchors = tuple[NDArray[np.float32], NDArray[np.float32]]


def anchors() -> Anchors:
    """Centres and sides, (5972, 2) each: in each cell two squares, and the first scale at two narrower ratios."""
    all_centres, all_sides = [], []
    for cells, (first, second) in zip(CELLS, SCALES, strict=True):
        narrow = [(first * np.sqrt(ratio), first / np.sqrt(ratio)) for ratio in RATIOS]
        sides = np.array([(first, first), (second, second), *narrow], np.float32)
        centres = boxes.grid(cells, cells)
        all_centres.append(np.repeat(centres, len(sides), axis=0))
        all_sides.append(np.tile(sides, (len(centres), 1)))
    return np.concatenate(all_centres), np.concatenate(all_sides)


def decode(location: NDArray[np.float32], anchored: Anchors) -> boxes.Boxes:
    """Boxes from (N, 4) offsets: centre by the anchor's side, side by its logarithm, both scaled by ``VARIANCES``."""
    centres, sides = anchored
    offsets = location * np.array(VARIANCES, np.float32)
    return boxes.from_centres(centres + offsets[:, :2] * sides, sides * np.exp(offsets[:, 2:]))


class OneStage:
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

    def detect(self, image: Image, threshold: float) -> list[Face]:
        """The faces in a picture; see ``Detector``."""
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

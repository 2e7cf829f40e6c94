"""The head of AIZOO's SSD of 260x260 pixels, which finds masked and bare faces as two classes.

Anchors and variances as its code has them (utils/anchor_generator.py, anchor_decode.py):
https://github.com/AIZOOTech/FaceMaskDetection
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.runtime import Tensor, TensorSpec
from edge.vision.detectors import Decoded, output_with
from edge.vision.detectors.anchors import Boxes, from_centres, grid
from edge.vision.models import FaceEntry
from edge.vision.preprocess import Levels

SIDE = 260
CELLS = (33, 17, 9, 5, 3)
SCALES = ((0.04, 0.056), (0.08, 0.11), (0.16, 0.22), (0.32, 0.45), (0.64, 0.72))
RATIOS = (0.62, 0.42)
"""Aspect ratios (width by height) of the anchors that are not square."""
VARIANCES = (0.1, 0.1, 0.2, 0.2)

Anchors = tuple[NDArray[np.float32], NDArray[np.float32]]


def anchors() -> Anchors:
    """Centres and sides, (5972, 2) each: in each cell two squares, and the first scale at two narrower ratios."""
    all_centres, all_sides = [], []
    for cells, (first, second) in zip(CELLS, SCALES, strict=True):
        narrow = [(first * np.sqrt(ratio), first / np.sqrt(ratio)) for ratio in RATIOS]
        sides = np.array([(first, first), (second, second), *narrow], np.float32)
        centres = grid(cells, cells)
        all_centres.append(np.repeat(centres, len(sides), axis=0))
        all_sides.append(np.tile(sides, (len(centres), 1)))
    return np.concatenate(all_centres), np.concatenate(all_sides)


def decode(location: NDArray[np.float32], anchored: Anchors) -> Boxes:
    """Boxes from (N, 4) offsets: centre by the anchor's side, side by its logarithm, both scaled by ``VARIANCES``."""
    centres, sides = anchored
    offsets = location * np.array(VARIANCES, np.float32)
    return from_centres(centres + offsets[:, :2] * sides, sides * np.exp(offsets[:, 2:]))


class SsdHead:
    """A face's score is that of the surer of its two classes; see ``edge.vision.detectors.Head``."""

    levels = Levels(1 / 255, 0.0)

    def __init__(self, location: int, classes: int) -> None:
        self._location, self._classes = location, classes
        self._centres, self._sides = anchors()

    def decode(self, outputs: Sequence[Tensor], threshold: float) -> Decoded:
        """All boxes whose score reaches the threshold."""
        scores = outputs[self._classes].real(0).max(axis=1)
        sure = np.flatnonzero(scores >= threshold)
        located = outputs[self._location].real((0, sure))
        return Decoded(decode(located, (self._centres[sure], self._sides[sure])) * np.float32(SIDE), scores[sure])


def open_head(entry: FaceEntry, outputs: Sequence[TensorSpec]) -> SsdHead:
    """See ``edge.vision.detectors.open_head``."""
    count = sum(cells * cells for cells in CELLS) * (2 + len(RATIOS))
    return SsdHead(output_with(outputs, (1, count, 4), entry), output_with(outputs, (1, count, 2), entry))

"""The head of BlazeFace short range (https://arxiv.org/abs/1907.05047), MediaPipe's detector of near faces.

Anchors and decoding as MediaPipe's graph has them (face_detection_short_range_common.pbtxt, ssd_anchors_calculator.cc):
https://github.com/google-ai-edge/mediapipe
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.runtime import Tensor, TensorSpec
from edge.vision.detectors import Decoded, output_with
from edge.vision.detectors.anchors import Boxes, from_centres, grid
from edge.vision.models import FaceEntry
from edge.vision.preprocess import SYMMETRIC

SIDE = 128
CELLS = ((16, 2), (8, 6))
"""Cells per side and anchors per cell: stride 8, then stride 16 three times, two anchors each."""

LARGEST_LOGIT = 80.0


def anchors() -> NDArray[np.float32]:
    """Centres as fractions, (896, 2); every anchor's side is the whole input."""
    return np.concatenate([np.repeat(grid(cells, cells), each, axis=0) for cells, each in CELLS])


def decode(regressors: NDArray[np.float32], centres: NDArray[np.float32]) -> Boxes:
    """Boxes from (N, 16) offsets in input pixels: centre, side, and six points that are left alone."""
    offsets = regressors[:, :4] / np.float32(SIDE)
    return from_centres(centres + offsets[:, :2], offsets[:, 2:])


def probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """From (N,) logits; extreme ones do not overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT))), np.float32)


class BlazeFaceHead:
    """See ``edge.vision.detectors.Head``."""

    levels = SYMMETRIC

    def __init__(self, regressors: int, scores: int) -> None:
        self._regressors, self._scores = regressors, scores
        self._centres = anchors()

    def decode(self, outputs: Sequence[Tensor], threshold: float) -> Decoded:
        """All boxes whose score reaches the threshold."""
        scores = probability(outputs[self._scores].real(0)[:, 0])
        sure = np.flatnonzero(scores >= threshold)
        located = outputs[self._regressors].real((0, sure))
        return Decoded(decode(located, self._centres[sure]) * np.float32(SIDE), scores[sure])


def open_head(entry: FaceEntry, outputs: Sequence[TensorSpec]) -> BlazeFaceHead:
    """See ``edge.vision.detectors.open_head``."""
    count = sum(cells * cells * each for cells, each in CELLS)
    return BlazeFaceHead(output_with(outputs, (1, count, 16), entry), output_with(outputs, (1, count, 1), entry))

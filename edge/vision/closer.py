"""Looking at a still as a whole, then closer: in overlapping tiles, so that faces far too small for one look are found.

A face 100 pixels high in a photo of 12 megapixels comes out 8 pixels high when the whole photo is fitted into the
model's input. Each level of tiles shows the photo twice as large as the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from edge.values import BBox, Face, Frame, Image
from edge.vision.detectors import NMS_IOU, Decoded, best
from edge.vision.face_detector import Detector

MOST_LEVELS = 3
"""Levels of tiles after the whole image: the last enlarges it eight times."""

SMALLEST_TILE = 200
"""Minimum side of a tile, in pixels; smaller ones would only show blur."""

OVERLAP = 0.25
"""Overlap of neighbouring tiles, relative to their side: a face up to this size lies whole in one of them."""

LARGEST_FACE = 0.4
"""Maximum side of a face taken from a tile, relative to the tile's; larger ones were whole in the previous level."""

BORDER = 0.02
"""A box closer than this to a tile border inside the image, relative to the tile's side, may be part of a face."""

SURER = 0.05
"""Added to the minimum score in tiles: there are many of them, and each can be mistaken."""

MOST_SCORE = 0.99


class Tile(NamedTuple):
    """A part of a still: its corners, x0, y0, x1, y1, in pixels."""

    x0: int
    y0: int
    x1: int
    y1: int

    def cut(self, image: Image) -> Image:
        """The part of (H, W, 3) that it covers, as a view."""
        return image[self.y0 : self.y1, self.x0 : self.x1]


class CloserDetector(Detector):
    """A slower, more thorough ``Detector`` for stills.

    Args:
        detector: Searches the whole image and each tile.
        max_faces: Maximum number of faces per still, the best first.
    """

    def __init__(self, detector: Detector, max_faces: int) -> None:
        self._detector = detector
        self._max_faces = max_faces

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """The input size for the whole image."""
        return self._detector.input_size(width, height)

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        """The faces in a still; see ``Detector``."""
        found = self._detector.detect(frame, threshold)
        height, width = frame.image.shape[:2]
        for side in tile_sides(width, height):
            for tile in tiles(width, height, side):
                faces = self._detector.detect(Frame.still(tile.cut(frame.image)), min(threshold + SURER, MOST_SCORE))
                found += [_moved(face, tile) for face in faces if _whole(face.bbox, tile, width, height, side)]
        return _merged(found, self._max_faces)


def tile_sides(width: int, height: int) -> list[int]:
    """The tiles' side at each level, in pixels of a still of ``width`` x ``height``, the largest first."""
    longest = max(width, height)
    sides = [longest // 2**level for level in range(1, MOST_LEVELS + 1)]
    return [side for side in sides if side >= SMALLEST_TILE]


def tiles(width: int, height: int, side: int) -> Iterator[Tile]:
    """Overlapping tiles that cover a still, row by row; at its edges none is smaller than the still allows."""
    for y in _starts(height, side):
        for x in _starts(width, side):
            yield Tile(x, y, min(x + side, width), min(y + side, height))


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin along a side of the still: evenly spaced, with at least ``OVERLAP`` in common."""
    if length <= side:
        return [0]
    steps = -(-(length - side) // max(1, int(side * (1 - OVERLAP))))
    return [round(step * (length - side) / steps) for step in range(steps + 1)]


def _whole(bbox: BBox, tile: Tile, width: int, height: int, side: int) -> bool:
    """Whether a box in pixels of the tile is a whole face: small, and at no border beyond which the still goes on."""
    if max(bbox.width, bbox.height) > LARGEST_FACE * side:
        return False
    margin = BORDER * side
    return (
        (tile.x0 == 0 or bbox.x0 > margin)
        and (tile.y0 == 0 or bbox.y0 > margin)
        and (tile.x1 == width or bbox.x1 < tile.x1 - tile.x0 - margin)
        and (tile.y1 == height or bbox.y1 < tile.y1 - tile.y0 - margin)
    )


def _moved(face: Face, tile: Tile) -> Face:
    x0, y0, x1, y1 = face.bbox
    return Face(BBox(x0 + tile.x0, y0 + tile.y0, x1 + tile.x0, y1 + tile.y0), face.score)


def _merged(faces: Sequence[Face], max_faces: int) -> list[Face]:
    """Each face once, best first."""
    boxes = np.array([face.bbox for face in faces], np.float32).reshape(-1, 4)
    found = best(Decoded(boxes, np.array([face.score for face in faces], np.float32)), NMS_IOU, max_faces)
    return [Face(BBox(*box), score) for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True)]

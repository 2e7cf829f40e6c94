"""One way to draw boxes: sources differ in how much forehead, hair and chin theirs hold.

A detector that learns from several ways at once is unsure of every box, and of its score, which tells how well the box
fits. The teacher's way is that of WIDER FACE (http://shuoyang1213.me/WIDERFACE), which published detectors follow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from train.common.matching import SAME_FACE, Boxes, ious
from train.face.data import Photo

LEAST_PAIRS = 30
"""Faces of a source that both annotators and the teacher must have drawn, for its other boxes to be redrawn."""


def redraw(photos: Sequence[Photo], found: Sequence[Boxes]) -> list[Photo]:
    """Redraw annotated boxes as the teacher draws them.

    A face that the teacher found gets the teacher's box. The others are moved and scaled by what tells the two ways of
    drawing apart on the faces of their source: the median of shifts, in units of the box, and of logarithms of ratios.

    Args:
        photos: Left as they are.
        found: The boxes of faces that the teacher is sure of, for each photo.
    """
    drawn = [_pair(photo.boxes, boxes) for photo, boxes in zip(photos, found, strict=True)]
    changes: defaultdict[str, list[NDArray[np.float32]]] = defaultdict(list)
    for photo, pairs in zip(photos, drawn, strict=True):
        changes[photo.source] += [_change(photo.boxes[index], box) for index, box in pairs.items()]
    usual = {name: np.median(np.array(rows), axis=0) for name, rows in changes.items() if len(rows) >= LEAST_PAIRS}
    redrawn = []
    for photo, pairs in zip(photos, drawn, strict=True):
        boxes = _changed(photo.boxes, usual.get(photo.source, np.zeros(4)))
        for index, box in pairs.items():
            boxes[index] = box
        redrawn.append(replace(photo, boxes=boxes))
    return redrawn


def _pair(boxes: Boxes, found: Boxes) -> dict[int, Boxes]:
    """The found box of each annotated one that has any, by the annotated one's row; the best pairs go first."""
    overlap = ious(boxes, found)
    pairs: dict[int, Boxes] = {}
    while overlap.size and overlap.max() >= SAME_FACE:
        row, column = np.unravel_index(overlap.argmax(), overlap.shape)
        pairs[int(row)] = found[column]
        overlap[row], overlap[:, column] = 0, 0
    return pairs


def _change(box: Boxes, other: Boxes) -> NDArray[np.float32]:
    """What makes the second box of the first: shifts of the centre and logarithms of ratios of the sides, (4,)."""
    sides, other_sides = box[2:] - box[:2], other[2:] - other[:2]
    shift = (other[:2] + other[2:] - box[:2] - box[2:]) / 2 / sides
    return np.concatenate([shift, np.log(other_sides / sides)])


def _changed(boxes: Boxes, change: NDArray[np.floating]) -> Boxes:
    """(N, 4) boxes, each moved and scaled by a change as `_change` gives it."""
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + sides * change[:2]
    half = sides * np.exp(change[2:]) / 2
    return np.asarray(np.concatenate([centres - half, centres + half], axis=1), np.float32)

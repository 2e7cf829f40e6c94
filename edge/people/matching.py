"""Which face in this frame belongs to which track: one assignment over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lap
import numpy as np
from numpy.typing import NDArray

from edge.values import BBox

SIZE_RATIO = 1.8
"""Boxes whose longer sides differ by more than this factor are not the same face."""

COST_LIMIT = 1.4
"""Pairs that cost more stay apart. A pair in place costs 0; one at the end of its reach, without overlap, 1."""

FORBIDDEN = 1e3


@dataclass(frozen=True, slots=True)
class Candidate:
    """What matching needs to know of a track.

    Attributes:
        bbox: Where its face is expected, in pixels of the frame.
        reach: How far from there it may be found, in face sizes (longer sides).
        penalty: Added to the cost of every pair, so that a track in full view wins over a doubtful one.
    """

    bbox: BBox
    reach: float
    penalty: float


def assign(candidates: Sequence[Candidate], boxes: Sequence[BBox]) -> dict[int, int]:
    """The cheapest one-to-one assignment of boxes to tracks.

    A pair costs the mean of 1 - IoU and of the distance between centres as a share of the track's reach, plus the
    track's penalty. The distance keeps small, fast and jittery faces, whose boxes do not overlap from frame to
    frame; the IoU keeps people apart who stand close. Solved by the Jonker-Volgenant algorithm of lapx
    (R. Jonker and A. Volgenant, Computing 38, 1987).

    Returns:
        Index into ``candidates`` by index into ``boxes``; boxes of nobody known are absent.
    """
    if not candidates or not boxes:
        return {}
    _, _, candidate_of_box = lap.lapjv(_costs(candidates, boxes), extend_cost=True, cost_limit=COST_LIMIT)
    return {box: int(candidate) for box, candidate in enumerate(candidate_of_box) if candidate >= 0}


def _costs(candidates: Sequence[Candidate], boxes: Sequence[BBox]) -> NDArray[np.float64]:
    """(tracks, boxes) costs; pairs out of reach or of unlike size are forbidden."""
    a = np.array([candidate.bbox for candidate in candidates], np.float64)[:, None, :]
    b = np.array(boxes, np.float64)[None, :, :]
    reach = np.array([candidate.reach for candidate in candidates])[:, None]
    penalty = np.array([candidate.penalty for candidate in candidates])[:, None]

    size_a, size_b = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2]
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    iou = overlap / np.maximum(size_a.prod(-1) + size_b.prod(-1) - overlap, 1e-9)
    long_a, long_b = np.maximum(size_a.max(-1), 1e-3), np.maximum(size_b.max(-1), 1e-3)
    apart = np.linalg.norm(a[..., :2] + size_a / 2 - b[..., :2] - size_b / 2, axis=-1)
    distance = apart / ((long_a + long_b) / 2 * reach)

    costs: NDArray[np.float64] = (1 - iou + np.minimum(distance, 1)) / 2 + penalty
    unlike = np.maximum(long_a / long_b, long_b / long_a) > SIZE_RATIO
    costs[unlike | (distance > 1)] = FORBIDDEN
    return costs

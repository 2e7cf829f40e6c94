"""Which face in this frame belongs to which track: one assignment over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lap
import numpy as np
from numpy.typing import NDArray

from edge.values import LABELS, BBox, Face, Reading

LIKENESS = 0.7
"""Cost of a reading that is nothing like what is held of the person: masks tell people apart who cross."""

COST_LIMIT = 1.5
"""Pairs that cost more stay apart. A pair in place costs 0; one at the end of its reach, without overlap, 1."""

FORBIDDEN = 1e3


@dataclass(frozen=True, slots=True)
class Candidate:
    """What matching needs to know of a track.

    Attributes:
        bbox: Where its face is expected, in pixels of the frame.
        origin: (x, y) of its centre when it was last seen; it may have stopped anywhere on the way from there.
        reach: How far from that way it may be found, in face sizes (longer sides).
        ratio: How much larger or smaller it may have become, as a factor of the longer side.
        shares: Of each label in the votes, in the order of ``LABELS``, summing to 1.
        penalty: Added to the cost of every pair, so that a track in full view wins over a doubtful one.
        limit: Pairs that cost more stay apart, at most ``COST_LIMIT``.
    """

    bbox: BBox
    origin: tuple[float, float]
    reach: float
    ratio: float
    shares: tuple[float, ...]
    penalty: float
    limit: float


def assign(candidates: Sequence[Candidate], sighted: Sequence[Face | Reading]) -> dict[int, int]:
    """The cheapest one-to-one assignment of faces to tracks.

    A pair costs the mean of 1 - IoU and of the distance from the expected way as a share of the track's reach, plus the
    unlikeness of the reading (total variation distance, where the face was judged) and the track's penalty. The
    distance keeps small, fast and jittery faces, whose boxes do not overlap from frame to frame; the IoU keeps
    people apart who stand close. Solved by the Jonker-Volgenant algorithm of lapx (R. Jonker and A. Volgenant,
    Computing 38, 1987).

    Returns:
        Index into ``candidates`` by index into ``sighted``; faces of nobody known are absent.
    """
    if not candidates or not sighted:
        return {}
    _, _, candidate_of_face = lap.lapjv(_costs(candidates, sighted), extend_cost=True, cost_limit=COST_LIMIT)
    return {face: int(candidate) for face, candidate in enumerate(candidate_of_face) if candidate >= 0}


def _costs(candidates: Sequence[Candidate], sighted: Sequence[Face | Reading]) -> NDArray[np.float64]:
    """(tracks, faces) costs; pairs out of reach or of unlike size are forbidden."""
    faces = [item.face if isinstance(item, Reading) else item for item in sighted]
    a = np.array([candidate.bbox for candidate in candidates], np.float64)[:, None, :]
    b = np.array([face.bbox for face in faces], np.float64)[None, :, :]
    reach, ratio, penalty, limit = np.array([(c.reach, c.ratio, c.penalty, c.limit) for c in candidates]).T[:, :, None]

    size_a, size_b = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2]
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    iou = overlap / np.maximum(size_a.prod(-1) + size_b.prod(-1) - overlap, 1e-9)
    long_a, long_b = np.maximum(size_a.max(-1), 1e-3), np.maximum(size_b.max(-1), 1e-3)
    origins = np.array([candidate.origin for candidate in candidates], np.float64)[:, None, :]
    apart = _distance_to_way(b[..., :2] + size_b / 2, origins, a[..., :2] + size_a / 2)
    distance = apart / ((long_a + long_b) / 2 * reach)

    costs: NDArray[np.float64] = (1 - iou + np.minimum(distance, 1)) / 2 + penalty
    costs += LIKENESS * _unlikeness(candidates, sighted)
    unlike_size = np.maximum(long_a / long_b, long_b / long_a) > ratio
    costs[unlike_size | (distance > 1) | (costs > limit)] = FORBIDDEN
    return costs


def _distance_to_way(
    points: NDArray[np.float64], begin: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pixels from (1, faces, 2) points to the straight ways between (tracks, 1, 2) begins and ends."""
    way = end - begin
    along = ((points - begin) * way).sum(-1) / np.maximum((way * way).sum(-1), 1e-9)
    nearest = begin + np.clip(along, 0, 1)[..., None] * way
    distance: NDArray[np.float64] = np.linalg.norm(points - nearest, axis=-1)
    return distance


def _unlikeness(candidates: Sequence[Candidate], sighted: Sequence[Face | Reading]) -> NDArray[np.float64]:
    """(tracks, faces) from 0, a reading just like the votes, to 1; 0 for faces that were not judged."""
    unknown = (np.nan,) * len(LABELS)
    votes = np.array([candidate.shares for candidate in candidates])[:, None, :]
    readings = np.array([item.probabilities if isinstance(item, Reading) else unknown for item in sighted])[None, :, :]
    unlikeness: NDArray[np.float64] = np.nan_to_num(np.abs(votes - readings).sum(-1) / 2)
    return unlikeness

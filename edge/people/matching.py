"""Which face in this frame belongs to which track: one assignment over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lap
import numpy as np
from numpy.typing import NDArray

from edge.people.tuning import Tuning
from edge.values import BBox, Face, Reading

FORBIDDEN = 1e3
"""Cost of an impossible pair: far above any limit."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What matching needs to know of a track.

    Attributes:
        bbox: Where its face is expected, in pixels of the frame.
        origin: (x, y) of its centre when it was last seen; it may have stopped anywhere between there and ``bbox``.
        reach: Maximum distance from that path, in face sizes (longer sides).
        ratio: How much larger or smaller it may have become, as a factor of the longer side.
        shares: Of each label in the votes, in the order of ``LABELS``, summing to 1.
        penalty: Added to the cost of every pair, so that a track in full view wins over a doubtful one.
        limit: Pairs that cost more are not matched, at most ``Tuning.cost_limit``.
    """

    bbox: BBox
    origin: tuple[float, float]
    reach: float
    ratio: float
    shares: tuple[float, ...]
    penalty: float
    limit: float


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """What each pair of a track and a face would cost.

    A pair costs the mean of 1 - IoU and of the distance from the expected path as a share of the track's reach, plus
    the track's penalty and, once the face is judged, the unlikeness of its reading. The distance keeps small, fast and
    jittery faces, whose boxes do not overlap from frame to frame; the IoU keeps people apart who stand close.

    Attributes:
        values: (tracks, faces) float64; ``FORBIDDEN`` out of reach, of unlike size, or above the track's limit.
        limits: (tracks, 1) float64.
        shares: (tracks, labels) float64: the votes on each track.
        tuning: The constants.
    """

    values: NDArray[np.float64]
    limits: NDArray[np.float64]
    shares: NDArray[np.float64]
    tuning: Tuning

    @staticmethod
    def of(candidates: Sequence[Candidate], faces: Sequence[Face], tuning: Tuning) -> Costs:
        """By place and size alone."""
        if not candidates or not faces:
            empty = np.empty((len(candidates), len(faces)))
            return Costs(empty, empty, empty, tuning)
        limits = np.array([[candidate.limit] for candidate in candidates])
        shares = np.array([candidate.shares for candidate in candidates])
        return Costs(_by_place(candidates, faces, limits), limits, shares, tuning)

    def with_readings(self, readings: Sequence[Reading | None]) -> Costs:
        """The same with what the readings say: one for each face, None if it was not judged."""
        judged = [index for index, reading in enumerate(readings) if reading is not None]
        if not judged or not self.values.size:
            return self
        read = np.array([reading.probabilities for reading in readings if reading is not None])
        values = self.values.copy()
        unlikeness = np.abs(self.shares[:, None, :] - read[None, :, :]).sum(-1) / 2  # total variation distance
        values[:, judged] += self.tuning.likeness * unlikeness
        values[values > self.limits] = FORBIDDEN
        return Costs(values, self.limits, self.shares, self.tuning)

    def assign(self) -> dict[int, int]:
        """The cheapest one-to-one assignment.

        Pairs that no other pair competes with are taken as they are. Where people compete, it is solved by the
        Jonker-Volgenant algorithm of lapx (R. Jonker and A. Volgenant, Computing 38, 1987).

        Returns:
            Index of the track by index of the face; faces of nobody known are absent.
        """
        if not self.values.size:
            return {}
        possible = self.values < self.tuning.cost_limit
        tracks, faces = possible.nonzero()
        pairs = dict(zip(faces.tolist(), tracks.tolist(), strict=True))
        if len(pairs) == len(tracks) == len(set(pairs.values())):
            return pairs
        _, _, track_of_face = lap.lapjv(self.values, extend_cost=True, cost_limit=self.tuning.cost_limit)
        return {face: int(track) for face, track in enumerate(track_of_face) if track >= 0}


def _by_place(
    candidates: Sequence[Candidate], faces: Sequence[Face], limits: NDArray[np.float64]
) -> NDArray[np.float64]:
    a = np.array([candidate.bbox for candidate in candidates], np.float64)[:, None, :]
    b = np.array([face.bbox for face in faces], np.float64)[None, :, :]
    reach, ratio, penalty = np.array([(c.reach, c.ratio, c.penalty) for c in candidates]).T[:, :, None]

    size_a, size_b = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2]
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    iou = overlap / np.maximum(size_a.prod(-1) + size_b.prod(-1) - overlap, 1e-9)
    long_a, long_b = np.maximum(size_a.max(-1), 1e-3), np.maximum(size_b.max(-1), 1e-3)
    origins = np.array([candidate.origin for candidate in candidates], np.float64)[:, None, :]
    apart = _distance_to_path(b[..., :2] + size_b / 2, origins, a[..., :2] + size_a / 2)
    distance = apart / ((long_a + long_b) / 2 * reach)

    costs: NDArray[np.float64] = (1 - iou + np.minimum(distance, 1)) / 2 + penalty
    unlike_size = np.maximum(long_a / long_b, long_b / long_a) > ratio
    costs[unlike_size | (distance > 1) | (costs > limits)] = FORBIDDEN
    return costs


def _distance_to_path(
    points: NDArray[np.float64], begin: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pixels from (1, faces, 2) points to the straight lines between (tracks, 1, 2) begins and ends."""
    path = end - begin
    along = ((points - begin) * path).sum(-1) / np.maximum((path * path).sum(-1), 1e-9)
    nearest = begin + np.clip(along, 0, 1)[..., None] * path
    distance: NDArray[np.float64] = np.linalg.norm(points - nearest, axis=-1)
    return distance

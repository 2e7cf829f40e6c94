"""Decides whether a newcomer is somebody who was lost a moment ago.

A face that turns up if nobody is followed is not taken for a lost person at first sight, since a false box or a
passer-by may lie where that person was last. It is followed as a newcomer until it was seen and read a few times; then
place, size and mask together tell whether it is one of the lost, or a visit of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from edge.people.track import Track
from edge.values import BBox


def find(
    lost: Iterable[Track], newcomer: Track, frame_size: tuple[int, int], lost_after: float, read: bool
) -> Track | None:
    """The lost person that the newcomer most probably is.

    Args:
        lost: Everybody who might have been lost; those who were seen since are passed over.
        newcomer: Who came into view.
        frame_size: (width, height) in pixels.
        lost_after: Longest absence, in seconds.
        read: Whether the newcomer's readings tell enough to count unlikeness.

    Returns:
        None for nobody known.
    """
    costs = [(_cost(track, newcomer, frame_size, lost_after, read), track) for track in lost]
    least, track = min(costs, key=lambda pair: pair[0], default=(math.inf, None))
    return track if least <= newcomer.tuning.rejoin_limit else None


def _cost(lost: Track, newcomer: Track, frame_size: tuple[int, int], lost_after: float, read: bool) -> float:
    """From 0, in place and alike, upwards; infinite where they cannot be the same."""
    if lost.absence(newcomer.first_seen) >= lost_after:
        return math.inf
    unlike = _unlikeness(lost, newcomer) if read else 0.0
    return min(_cost_of_arrival(lost, newcomer, arrival, frame_size, unlike) for arrival in newcomer.arrivals)


def _cost_of_arrival(
    lost: Track, newcomer: Track, arrival: tuple[float, BBox], frame_size: tuple[int, int], unlike: float
) -> float:
    at, bbox = arrival
    away = at - lost.last_seen
    if away <= 0:
        return math.inf
    across_edge = lost.has_left(at, frame_size, frame_interval=0.0) or newcomer.has_entered(bbox, frame_size)
    tuning = newcomer.tuning
    allowed = tuning.at_the_edge if across_edge else tuning.inside
    before, now = max(lost.whole.longer_side, 1e-3), max(newcomer.whole.longer_side, 1e-3)
    reach = min(allowed.reach + allowed.reach_growth * away, allowed.reach_limit) * (before + now) / 2
    apart = _distance_to_way(bbox, lost.bbox, lost.predicted(at))
    if across_edge and _change_of_pace(lost, newcomer) > tuning.turning * away * (before + now) / 2:
        return math.inf
    if apart > reach or not 1 / allowed.shrinkage < now / before < allowed.growth + allowed.growth_growth * away:
        return math.inf
    change = math.log(now / before)
    size = allowed.growing * change if change > 0 else -allowed.shrinking * change
    return allowed.place * apart / reach + size + allowed.unlikeness * unlike


def _change_of_pace(lost: Track, newcomer: Track) -> float:
    """Pixels per second."""
    (x0, y0), (x1, y1) = lost.velocity, newcomer.velocity
    return math.hypot(x1 - x0, y1 - y0)


def _distance_to_way(bbox: BBox, begin: BBox, end: BBox) -> float:
    """Pixels from the centre of a box to the straight way between the centres of two."""
    (x, y), (x0, y0), (x1, y1) = bbox.centre, begin.centre, end.centre
    dx, dy = x1 - x0, y1 - y0
    along = ((x - x0) * dx + (y - y0) * dy) / max(dx * dx + dy * dy, 1e-9)
    share = min(1.0, max(0.0, along))
    return math.hypot(x - x0 - share * dx, y - y0 - share * dy)


def _unlikeness(lost: Track, newcomer: Track) -> float:
    """From 0, read alike, to 1 (total variation distance)."""
    before, now = lost.ballot.leaning, newcomer.ballot.leaning
    if before is None or now is None:
        return newcomer.tuning.unread
    return sum(abs(a - b) for a, b in zip(before, now, strict=True)) / 2

"""One face followed over frames: its motion, its votes, its visit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from edge.people.matching import Candidate
from edge.people.tuning import TIME_EPSILON, Tuning
from edge.people.votes import Ballot
from edge.values import BBox, Person


def is_cut(bbox: BBox, frame_size: tuple[int, int], edge: float = Tuning.edge) -> bool:
    """Whether a face lies within ``edge`` pixels of the edge of a (width, height) picture, which cuts it."""
    return any(_cut_sides(bbox, frame_size, edge))


def _inside(bbox: BBox, frame_size: tuple[int, int]) -> BBox:
    width, height = frame_size
    return BBox(max(0.0, bbox.x0), max(0.0, bbox.y0), min(width, bbox.x1), min(height, bbox.y1))


def _cut_sides(bbox: BBox, frame_size: tuple[int, int], edge: float) -> tuple[bool, bool, bool, bool]:
    """Left, top, right, bottom."""
    width, height = frame_size
    return bbox.x0 <= edge, bbox.y0 <= edge, bbox.x1 >= width - edge, bbox.y1 >= height - edge


@dataclass(slots=True, eq=False)
class Track:
    """A face followed over frames.

    Attributes:
        tuning: The constants.
        ballot: The votes on this person.
        bbox: Where the face was last found, in pixels of the frame.
        whole: ``bbox`` with what the picture's edge cuts off put back, by the last size seen uncut.
        first_seen: Scene seconds of the first sighting.
        last_seen: Scene seconds of the latest sighting.
        arrivals: Scene seconds and box of the first sighting and, if it was missed since and is not a visit yet, of
            the first one after that.
        hits: Sightings so far.
        id: The person's number once the visit has begun, else None.
        velocity: (x, y) of the centre, in pixels a second.
        in_sight: Seconds the sightings show: the time between frames for each but the first.
        unvoted: Those of them that could have voted since the last vote.
        unwatched: Seconds since the latest sighting in which nobody could be seen.
    """

    tuning: Tuning
    ballot: Ballot
    bbox: BBox
    whole: BBox
    first_seen: float
    last_seen: float
    arrivals: tuple[tuple[float, BBox], ...]
    hits: int = 1
    id: int | None = None
    velocity: tuple[float, float] = field(default=(0.0, 0.0))
    in_sight: float = 0.0
    unvoted: float = 0.0
    unwatched: float = 0.0

    def predicted(self, at: float) -> BBox:
        """Where the whole face should be at ``at``: constant velocity that fades while it is unseen."""
        coasting = self.tuning.coasting
        glide = coasting * (1 - math.exp(-(at - self.last_seen) / coasting))
        dx, dy = self.velocity[0] * glide, self.velocity[1] * glide
        return BBox(self.whole.x0 + dx, self.whole.y0 + dy, self.whole.x1 + dx, self.whole.y1 + dy)

    def candidate(
        self, at: float, frame_size: tuple[int, int], lost_after: float, frame_interval: float
    ) -> Candidate | None:
        """What matching needs: where, how far from there, how doubtful. None for a face that has left the picture."""
        if self.has_left(at, frame_size, frame_interval):
            return None
        tuning = self.tuning
        unseen = at - self.last_seen
        missed = unseen - frame_interval
        leaving = missed > TIME_EPSILON and self._is_leaving(frame_size)
        lost = self.id is not None and (leaving or missed > tuning.lost)
        limit = tuning.leaving_limit if leaving else tuning.lost_limit
        growth = tuning.reach_growth if self.hits >= tuning.confirm_hits else tuning.reach_growth_unknown
        penalty = tuning.doubt * min(1.0, unseen / lost_after) + (tuning.doubt if self.id is None else 0.0)
        return Candidate(
            _inside(self.predicted(at), frame_size),
            origin=self.bbox.centre,
            reach=tuning.reach if lost else min(tuning.reach + growth * unseen, tuning.reach_limit),
            ratio=tuning.size_ratio + tuning.size_ratio_growth * unseen,
            shares=self.ballot.shares,
            penalty=penalty,
            limit=limit if lost else tuning.cost_limit,
        )

    def has_left(self, at: float, frame_size: tuple[int, int], frame_interval: float) -> bool:
        """Whether the face should be out of the picture by now."""
        whole = self.predicted(at)
        missed = at - self.last_seen - frame_interval
        tuning = self.tuning
        least = tuning.in_view_missed if missed > tuning.missed - TIME_EPSILON else tuning.in_view
        return _inside(whole, frame_size).area < least * whole.area

    def has_entered(self, bbox: BBox, frame_size: tuple[int, int]) -> bool:
        """Whether it came into view across an edge of the picture, as ``bbox``."""
        return self._crosses_edge(bbox, frame_size, self.velocity)

    def _is_leaving(self, frame_size: tuple[int, int]) -> bool:
        """Whether it was on the way out across an edge of the picture when it was last seen."""
        vx, vy = self.velocity
        return self._crosses_edge(self.bbox, frame_size, (-vx, -vy))

    def _crosses_edge(self, bbox: BBox, frame_size: tuple[int, int], inwards: tuple[float, float]) -> bool:
        left, top, right, bottom = _cut_sides(bbox, frame_size, self.tuning.edge)
        x, y = inwards
        return (left and x > 0) or (right and x < 0) or (top and y > 0) or (bottom and y < 0)

    def found(self, bbox: BBox, at: float, frame_size: tuple[int, int], frame_interval: float) -> None:
        """Take in a sighting, ``frame_interval`` seconds after the frame before it."""
        self.in_sight += frame_interval
        whole = self._restored(bbox, frame_size)
        elapsed = at - self.last_seen
        if self.id is None and elapsed - frame_interval > self.tuning.lost:
            self.arrivals = (self.arrivals[0], (at, bbox))
        if elapsed > 0:
            gain = max(1 - math.exp(-elapsed / self.tuning.smoothing), 1 / self.hits)
            (x, y), (old_x, old_y) = whole.centre, self.whole.centre
            vx, vy = self.velocity
            self.velocity = (
                vx + gain * ((x - old_x) / elapsed - vx),
                vy + gain * ((y - old_y) / elapsed - vy),
            )
        self.bbox, self.whole = bbox, whole
        self.last_seen, self.unwatched = at, 0.0
        self.hits += 1

    def _restored(self, bbox: BBox, frame_size: tuple[int, int]) -> BBox:
        """``bbox`` as large as the face was when it was last seen whole, grown beyond the edges that cut it."""
        left, top, right, bottom = _cut_sides(bbox, frame_size, self.tuning.edge)
        x0, y0, x1, y1 = bbox
        if left != right:
            width = max(self.whole.width, bbox.width)
            x0, x1 = (x1 - width, x1) if left else (x0, x0 + width)
        if top != bottom:
            height = max(self.whole.height, bbox.height)
            y0, y1 = (y1 - height, y1) if top else (y0, y0 + height)
        return BBox(x0, y0, x1, y1)

    @property
    def confirmed(self) -> bool:
        """Whether it was seen often and long enough to be a person."""
        tuning = self.tuning
        return self.hits >= tuning.confirm_hits and self.in_sight >= tuning.confirm_seen - TIME_EPSILON

    def expired(self, at: float, lost_after: float, frame_interval: float) -> bool:
        """Whether it has been out of sight for too long. All in seconds."""
        patience = lost_after
        if self.id is None and not self.confirmed:
            tuning = self.tuning
            patience = min(lost_after, max(tuning.confirm_within, tuning.confirm_within_frames * frame_interval))
        return self.absence(at) >= patience

    def absence(self, at: float) -> float:
        """Seconds for which it could have been seen and was not."""
        return at - self.last_seen - self.unwatched

    def rejoined(self, newcomer: Track) -> None:
        """Go on as the newcomer, who turned out to be this person."""
        self.bbox, self.whole, self.velocity = newcomer.bbox, newcomer.whole, newcomer.velocity
        self.last_seen, self.unwatched = newcomer.last_seen, newcomer.unwatched
        self.hits += newcomer.hits
        self.unvoted = newcomer.unvoted

    def person(self) -> Person:
        """What the rest of the program knows of this person."""
        assert self.id is not None
        ballot = self.ballot
        return Person(self.id, self.bbox, ballot.verdict, self.first_seen, self.last_seen, ballot.confidence)

"""One face followed over frames: its motion, its votes, its visit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from edge.people.matching import Candidate
from edge.people.votes import Ballot
from edge.values import BBox, Person

SMOOTHING = 0.25
"""Time constant of the velocity estimate, in seconds."""

COASTING = 0.8
"""An unseen face slows down with this time constant, in seconds: people stop and turn behind what hides them."""

CONFIRM_HITS = 3
"""Sightings before a face is a visit; fewer may be a false box."""

CONFIRM_SPAN = 0.2
"""Seconds those sightings span at least."""

CONFIRM_WITHIN = 0.6
"""Seconds that a face which is not yet a visit may go unseen before it is forgotten."""

DOUBT = 0.2
"""Matching penalty of a track that is not yet a visit, and of one that is about to be given up."""


@dataclass(slots=True, eq=False)
class Track:
    """A face followed over frames.

    Attributes:
        ballot: The votes on this person.
        bbox: Where the face was last found, in pixels of the frame.
        first_seen: Scene seconds of the first sighting.
        last_seen: Scene seconds of the latest sighting.
        hits: Sightings so far.
        id: The person's number once the visit has begun, else None.
        velocity: (x, y) of the centre, in pixels a second.
    """

    ballot: Ballot
    bbox: BBox
    first_seen: float
    last_seen: float
    hits: int = 1
    id: int | None = None
    velocity: tuple[float, float] = field(default=(0.0, 0.0))

    def predicted(self, at: float) -> BBox:
        """Where the face should be at ``at``: constant velocity that fades while it is unseen."""
        glide = COASTING * (1 - math.exp(-(at - self.last_seen) / COASTING))
        dx, dy = self.velocity[0] * glide, self.velocity[1] * glide
        return BBox(self.bbox.x0 + dx, self.bbox.y0 + dy, self.bbox.x1 + dx, self.bbox.y1 + dy)

    def candidate(self, at: float, lost_after: float) -> Candidate:
        """What matching needs: where, how far from there, how doubtful."""
        unseen = at - self.last_seen
        speed = 1.0 if self.hits >= CONFIRM_HITS else 4.0
        doubtful = self.id is None
        return Candidate(
            self.predicted(at),
            reach=min(0.7 + speed * unseen, 1.5),
            penalty=DOUBT * min(1.0, unseen / lost_after) + DOUBT * doubtful,
        )

    def found(self, bbox: BBox, at: float) -> None:
        """Take in a sighting."""
        elapsed = at - self.last_seen
        if elapsed > 0:
            gain = 1 - math.exp(-elapsed / SMOOTHING)
            moved = [new - old for new, old in zip(bbox.centre, self.bbox.centre, strict=True)]
            self.velocity = (
                self.velocity[0] + gain * (moved[0] / elapsed - self.velocity[0]),
                self.velocity[1] + gain * (moved[1] / elapsed - self.velocity[1]),
            )
        self.bbox = bbox
        self.last_seen = at
        self.hits += 1

    @property
    def confirmed(self) -> bool:
        """Whether it was seen often and long enough to be a person."""
        return self.hits >= CONFIRM_HITS and self.last_seen - self.first_seen >= CONFIRM_SPAN

    def expired(self, at: float, lost_after: float) -> bool:
        """Whether it has been out of sight for too long."""
        patience = lost_after if self.id is not None else min(lost_after, CONFIRM_WITHIN)
        return at - self.last_seen >= patience

    def person(self) -> Person:
        """What the rest of the program knows of this person."""
        assert self.id is not None
        return Person(self.id, self.bbox, self.ballot.verdict, self.first_seen, self.last_seen)

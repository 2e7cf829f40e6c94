"""Every constant of following people, in one place.

    PeopleTracker(settings)                                  as shipped
    PeopleTracker(settings, replace(Tuning(), likeness=0))   with one of them changed

What an operator may want to change is a setting (``edge.config.PeopleSettings``). These values describe how faces move
and how detectors fail; ``make bench ARGS=people`` prints what the important ones gain on simulated crowds. Distances
in face sizes are multiples of the box's longer side.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """How far from the expected a newcomer may be who is taken for a lost person, and what each deviation costs.

    Attributes:
        reach: Maximum distance from the lost person's path, in face sizes.
        reach_growth: Added to ``reach`` per second of absence.
        reach_limit: Upper bound of ``reach``, in face sizes.
        growth: Maximum factor by which the longer side may have grown.
        growth_growth: Added to ``growth`` per second of absence.
        shrinkage: Maximum factor by which it may have shrunk; people who walk away do not show their face.
        place: Cost at the end of the reach.
        growing: Cost of a size e times as large.
        shrinking: Cost of a size e times as small.
        unlikeness: Cost of a mask that is nothing like the one before.
    """

    reach: float
    reach_growth: float
    reach_limit: float
    growth: float
    growth_growth: float
    shrinkage: float
    place: float
    growing: float
    shrinking: float
    unlikeness: float


INSIDE = Tolerance(
    reach=0.5,
    reach_growth=3.0,
    reach_limit=4.0,
    growth=1.4,
    growth_growth=1.2,
    shrinkage=1.3,
    place=0.75,
    growing=0.45,
    shrinking=2.5,
    unlikeness=0.95,  # alone no bar: a mask is put on with the face turned away
)

AT_THE_EDGE = Tolerance(
    reach=0.5,
    reach_growth=0.0,
    reach_limit=0.5,
    growth=1.25,
    growth_growth=0.0,
    shrinkage=1.25,
    place=0.5,
    growing=1.4,
    shrinking=1.4,
    unlikeness=1.4,
)


@dataclass(frozen=True)
class Tuning:
    """How faces are matched, followed, voted on and recognised.

    Matching faces to tracks. A pair in place costs 0; one at the end of its reach, without overlap, 1.

    Attributes:
        likeness: Cost of a reading that is nothing like the person's votes: masks tell people apart who cross.
        cost_limit: Pairs that cost more are not matched.
        doubt: Cost added for a track that is not yet a visit, and for one that is about to be given up, so that a
            track in full view wins.
        reach: A face may be found this far from where it is expected, in face sizes.
        reach_growth: Added to ``reach`` per second the face was not seen: people change their pace.
        reach_growth_unknown: The same while the face's velocity is not known yet.
        reach_limit: Upper bound of ``reach``, in face sizes.
        size_ratio: Boxes whose longer sides differ by more than this factor are different faces.
        size_ratio_growth: Added to that factor per second unseen: people come nearer.
        same_face_iou: A box that overlaps a person's own box by more (IoU) is that face found twice.

        edge: A box this near the picture's edge is cut by it, in pixels.
        smoothing: Time constant of the velocity estimate, in seconds: jitter is not motion.
        coasting: Time constant with which an unseen face slows down, in seconds: people stop and turn behind what
            hides them.
        in_view: A face with less than this share expected inside the picture has left it.
        in_view_missed: The same for a face that was missed for ``missed``: detectors rarely find half a face.
        missed: Seconds a face goes undetected before ``in_view_missed`` applies.

        confirm_hits: Sightings before a face is a visit; fewer may be a false box.
        confirm_seen: Seconds in sight before a face is a visit: false boxes flicker.
        confirm_within: Seconds that a face which is not yet a visit may go unseen before it is forgotten.
        confirm_within_frames: But not before this many frames have passed, for slow frame rates.

        lost: Seconds a person may be missed before a face elsewhere is a newcomer (``edge.people.rejoin``).
        lost_limit: Maximum matching cost of a face that is taken for a lost person at first sight.
        leaving_limit: The same for a person missed on the way out of the picture: a face there may be somebody
            who enters.

        memory: Time constant with which votes fade, in seconds of sight: a mask put on is believed within about
            this time.
        prior: Seconds of evenly split votes added to every count, so that one reading decides nothing.
        first_vote: Seconds that a person's first reading stands for.
        longest_vote: Maximum seconds a reading stands for, however long ago the one before was.

        recognised_by: Readings of a newcomer before it is compared with the lost, mask included.
        recognised_within: Seconds after which a newcomer is compared without them: it cannot be read.
        rejoin_limit: A newcomer with a higher cost is a different person.
        unread: Unlikeness assumed where one of the two was never judged.
        turning: Maximum acceleration of people who leave and come back across the edge, in face sizes per second
            squared.
        inside: For people lost inside the picture.
        at_the_edge: For people who leave or enter across its edge: mostly different people, so much stricter.
    """

    likeness: float = 0.7
    cost_limit: float = 1.5
    doubt: float = 0.2
    reach: float = 0.5
    reach_growth: float = 1.5
    reach_growth_unknown: float = 3.0
    reach_limit: float = 2.0
    size_ratio: float = 1.4
    size_ratio_growth: float = 0.5
    same_face_iou: float = 0.4

    edge: float = 2.0
    smoothing: float = 0.25
    coasting: float = 1.5
    in_view: float = 0.2
    in_view_missed: float = 0.45
    missed: float = 0.06

    confirm_hits: int = 3
    confirm_seen: float = 0.25
    confirm_within: float = 0.7
    confirm_within_frames: int = 3

    lost: float = 0.15
    lost_limit: float = 0.7
    leaving_limit: float = 0.4

    memory: float = 1.5
    prior: float = 0.15
    first_vote: float = 0.05
    longest_vote: float = 0.3

    recognised_by: int = 3
    recognised_within: float = 1.0
    rejoin_limit: float = 1.0
    unread: float = 0.35
    turning: float = 10.0
    inside: Tolerance = INSIDE
    at_the_edge: Tolerance = AT_THE_EDGE


TIME_EPSILON = 1e-6
"""Seconds by which sums of frame times may fall short: rounding, not tuning."""

"""Faces become people, people's visits become events.

The rules:

- A face that was found a few times over a moment is a person, and its visit begins (``visit_started``, at the first
  sighting). Out of sight for less than ``lost_after`` it is the same person, also one who stepped out of the picture;
  after that the visit has ended (``visit_ended``, at the last sighting), so that the two events lie ``seconds`` apart.
- Who comes back after a moment out of sight elsewhere than where they were expected is a newcomer first, and the same
  person once place, size and mask say so (edge.people.rejoin).
- Readings vote (edge.people.votes). Faces that are too small or cut by the picture's edge are followed but do not
  vote; faces centred outside the zone do not exist.
- The verdict comes when votes span ``dwell`` and one label has the share it needs; until then it is ``unsure``. Once
  reached it changes only to another label that leads by the hysteresis (``verdict`` each time).
- A visit counts once, with the verdict that stands when it ends. Who puts a mask on at the door counts as masked; the
  alert has sounded all the same. Who was never seen well enough counts as ``unsure``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import itemgetter

import cv2
import numpy as np

from edge.config import PeopleSettings
from edge.people import rejoin
from edge.people.matching import assign
from edge.people.track import TOLERANCE, Track, is_cut
from edge.people.votes import Ballot
from edge.values import BBox, Event, EventKind, Face, Person, Reading, Verdict

SAME_FACE_IOU = 0.4
"""A box that overlaps a person's own box by more is that face found twice, not somebody new."""

RECOGNISED_BY = 3
"""Readings of a newcomer before it is taken for somebody who was lost."""

RECOGNISED_WITHIN = 1.0
"""Seconds after which a newcomer is taken for somebody who was lost without these readings: it cannot be read."""


class PeopleTracker:
    """Follows people and their visits. Time comes only from ``at``.

    Example:
        >>> tracker = PeopleTracker(PeopleSettings())
        >>> tracker.update([], at=0.0, frame_size=(640, 480))
        []
    """

    def __init__(self, settings: PeopleSettings) -> None:
        self._settings = settings
        self._tracks: list[Track] = []
        self._now = -math.inf
        self._rejudged_at = -math.inf
        self._frame_interval = 0.0
        self._frame_size = (0, 0)
        self._next_id = 1
        self._totals = dict.fromkeys(Verdict, 0)

    @property
    def people(self) -> tuple[Person, ...]:
        """Everybody whose visit is open, also while out of sight for a moment, in the order they came."""
        return tuple(track.person() for track in self._visitors())

    @property
    def occupied(self) -> bool:
        """Whether a face is in view or was a moment ago, also one that is not a person yet."""
        return bool(self._tracks)

    @property
    def totals(self) -> dict[Verdict, int]:
        """Visits that have ended, by verdict."""
        return dict(self._totals)

    def faces_to_judge(self, faces: Sequence[Face], at: float, frame_size: tuple[int, int]) -> list[Face]:
        """Which of a frame's faces the mask model should look at: the others would teach nothing.

        New, undecided and contested people, and people who cross each other, are judged every frame, settled ones
        every ``rejudge_every`` seconds, the longest waiting first and no more than ``rejudge_rate`` a second in all,
        and faces that cannot vote never. Changes nothing: whether the advice is taken is the caller's affair.

        Args:
            faces: All faces of the frame.
            at: Scene seconds of the frame.
            frame_size: (width, height) in pixels.

        Returns:
            Those to judge, in the order given.
        """
        at = max(at, self._now)
        inside = [face for face in faces if self._in_zone(face.bbox, frame_size)]
        track_of = self._match(inside, at, frame_size)
        expected = [(track, track.predicted(at)) for track in self._tracks]
        urgent: list[Face] = []
        due: list[tuple[float, Face]] = []
        for index, face in enumerate(inside):
            track = track_of.get(index)
            if not self._may_vote(face.bbox, frame_size):
                continue
            crossed = any(other is not track and _overlap(face.bbox, bbox) for other, bbox in expected)
            if crossed or track is None or track.ballot.last_at is None or track.ballot.contested:
                urgent.append(face)
            elif self._is_due(track, at):
                due.append((track.ballot.last_at, face))
        due.sort(key=itemgetter(0))
        asked = {id(face) for face in urgent} | {id(face) for _, face in due[: self._affordable(at)]}
        return [face for face in faces if id(face) in asked]

    def update(self, readings: Sequence[Face | Reading], at: float, frame_size: tuple[int, int]) -> list[Event]:
        """Take in one frame.

        Args:
            readings: Every face found, judged or not; unjudged ones are followed and do not vote.
            at: Scene seconds of the frame. A time that is not later than the last one counts as no time passed.
            frame_size: (width, height) in pixels.

        Returns:
            What happened, in order: visits ended, started, verdicts.
        """
        at = max(at, self._now)
        if self._tracks:
            self._frame_interval = at - self._now
        self._now = at
        self._frame_size = frame_size
        sighted = [item for item in readings if self._in_zone(_bbox(item), frame_size)]
        events = self._end_visits(at, frame_size)
        track_of = self._match(sighted, at, frame_size)
        for index, item in enumerate(sighted):
            bbox = _bbox(item)
            track = track_of.get(index)
            if track is not None:
                track.found(bbox, at, frame_size, self._frame_interval)
            elif not any(bbox.iou(known.bbox) > SAME_FACE_IOU for known in track_of.values()):
                track = self._new_track(bbox, at)
            if track is not None and self._may_vote(bbox, frame_size):
                events += self._vote(track, item, at)
        events += self._welcome(at, frame_size)
        return events

    def finish(self, at: float) -> list[Event]:
        """End every open visit: the camera is gone or the program stops. A new scene may begin at any time after."""
        self._now = max(at, self._now)
        events = self._welcome(self._now, self._frame_size, last_chance=True)
        events += [self._end(track) for track in self._visitors()]
        self._tracks.clear()
        self._now = self._rejudged_at = -math.inf
        return events

    def _visitors(self) -> list[Track]:
        return sorted((track for track in self._tracks if track.id is not None), key=lambda track: track.id or 0)

    def _match(self, sighted: Sequence[Face | Reading], at: float, frame_size: tuple[int, int]) -> dict[int, Track]:
        """Tracks by index into ``sighted``."""
        lost_after, interval = self._settings.lost_after, self._frame_interval
        known = [
            (track, candidate)
            for track in self._tracks
            if not self._has_expired(track, at) and (candidate := track.candidate(at, frame_size, lost_after, interval))
        ]
        pairs = assign([candidate for _, candidate in known], sighted)
        return {face: known[index][0] for face, index in pairs.items()}

    def _new_track(self, bbox: BBox, at: float) -> Track:
        track = Track(Ballot(self._settings), bbox, bbox, first_seen=at, last_seen=at, arrivals=((at, bbox),))
        self._tracks.append(track)
        return track

    def _vote(self, track: Track, item: Face | Reading, at: float) -> list[Event]:
        track.unvoted += self._frame_interval
        if not isinstance(item, Reading):
            return []
        if not track.ballot.contested and self._is_due(track, at):
            self._rejudged_at = at
        changed = track.ballot.cast(item, at, track.unvoted)
        track.unvoted = 0.0
        return [_verdict(track, at)] if changed and track.id is not None else []

    def _newcomers(self) -> list[Track]:
        return [track for track in self._tracks if track.id is None and track.confirmed]

    def _welcome(self, at: float, frame_size: tuple[int, int], *, last_chance: bool = False) -> list[Event]:
        """Newcomers who have been seen enough are somebody who was lost, or a visit of their own."""
        events: list[Event] = []
        for newcomer in self._newcomers():
            recognisable = last_chance or self._is_recognisable(newcomer, at)
            lost = self._find_lost(newcomer, frame_size, recognisable)
            if lost is None:
                events += self._start(newcomer, at)
            elif recognisable:
                self._tracks.remove(newcomer)
                lost.rejoined(newcomer)
                if lost.ballot.take_over(newcomer.ballot):
                    events.append(_verdict(lost, at))
        return events

    def _is_recognisable(self, newcomer: Track, at: float) -> bool:
        return newcomer.ballot.readings >= RECOGNISED_BY or at - newcomer.arrivals[-1][0] >= RECOGNISED_WITHIN

    def _find_lost(self, newcomer: Track, frame_size: tuple[int, int], recognisable: bool) -> Track | None:
        """Whom the newcomer is; as long as it is not recognisable, whom it may turn out to be."""
        return rejoin.find(self._visitors(), newcomer, frame_size, self._settings.lost_after, recognisable)

    def _start(self, track: Track, at: float) -> list[Event]:
        track.id = self._next_id
        self._next_id += 1
        started = Event(EventKind.VISIT_STARTED, track.first_seen, track.id)
        return [started] if track.ballot.verdict is Verdict.UNSURE else [started, _verdict(track, at)]

    def _has_expired(self, track: Track, at: float) -> bool:
        return track.expired(at, self._settings.lost_after, self._frame_interval)

    def _end_visits(self, at: float, frame_size: tuple[int, int]) -> list[Event]:
        """Visits of those who have been away for too long, unless a newcomer may still turn out to be them."""
        awaited = [
            self._find_lost(newcomer, frame_size, self._is_recognisable(newcomer, at))
            for newcomer in self._tracks
            if newcomer.id is None and not self._has_expired(newcomer, at)
        ]
        expired = [track for track in self._tracks if self._has_expired(track, at) and track not in awaited]
        if not expired:
            return []
        self._tracks = [track for track in self._tracks if track not in expired]
        return [self._end(track) for track in expired if track.id is not None]

    def _end(self, track: Track) -> Event:
        ballot = track.ballot
        self._totals[ballot.verdict] += 1
        return Event(
            EventKind.VISIT_ENDED,
            track.last_seen,
            track.id,
            ballot.verdict,
            seconds=track.last_seen - track.first_seen,
            confidence=ballot.confidence,
        )

    def _is_due(self, track: Track, at: float) -> bool:
        last_at = track.ballot.last_at
        return last_at is not None and at - last_at >= self._settings.rejudge_every - TOLERANCE

    def _affordable(self, at: float) -> int:
        """How many settled people may be judged in this frame: they take turns."""
        rate = self._settings.rejudge_rate
        if (at - self._rejudged_at) * rate < 1 - TOLERANCE:
            return 0
        return max(1, int(self._frame_interval * rate + TOLERANCE))

    def _may_vote(self, bbox: BBox, frame_size: tuple[int, int]) -> bool:
        return not is_cut(bbox, frame_size) and bbox.short_side >= self._settings.min_face

    def _in_zone(self, bbox: BBox, frame_size: tuple[int, int]) -> bool:
        if not self._settings.zone:
            return True
        (x, y), (width, height) = bbox.centre, frame_size
        polygon = np.array(self._settings.zone, np.float32)
        return cv2.pointPolygonTest(polygon, (x / width, y / height), measureDist=False) >= 0


def _verdict(track: Track, at: float) -> Event:
    ballot = track.ballot
    return Event(EventKind.VERDICT, at, track.id, ballot.verdict, confidence=ballot.confidence)


def _overlap(one: BBox, other: BBox) -> bool:
    return one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1


def _bbox(item: Face | Reading) -> BBox:
    return item.face.bbox if isinstance(item, Reading) else item.bbox

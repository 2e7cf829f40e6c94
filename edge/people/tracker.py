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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from edge.config import PeopleSettings
from edge.people import rejoin
from edge.people.matching import Costs
from edge.people.track import Track, is_cut
from edge.people.tuning import TIME_EPSILON, Tuning
from edge.people.votes import Ballot
from edge.people.zone import in_zone
from edge.values import BBox, Event, EventKind, Face, Person, Reading, Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is known of a frame before its faces are judged: whose they are, and which of them to judge.

    Attributes:
        at: Scene seconds of the frame.
        frame_interval: Seconds since the frame before it.
        unwatched: Further seconds in which nobody could be seen.
        frame_size: (width, height) in pixels.
        faces: Those in the zone.
        to_judge: Those of them that the mask model should look at; the others would teach nothing.
        tracks: Everybody who may be in view.
        costs: Of matching each of ``tracks`` with each of ``faces``.
        track_of: Index into ``tracks`` by index into ``faces``, by place alone.
    """

    at: float
    frame_interval: float
    unwatched: float
    frame_size: tuple[int, int]
    faces: tuple[Face, ...]
    to_judge: tuple[Face, ...]
    tracks: tuple[Track, ...]
    costs: Costs
    track_of: Mapping[int, int]


class PeopleTracker:
    """Follows people and their visits. Time comes only from ``at``.

    Args:
        settings: What the operator chose.
        tuning: The constants of following people.

    Attributes:
        people: Everybody whose visit is open, also while out of sight for a moment, in the order they came.

    Example:
        >>> tracker = PeopleTracker(PeopleSettings())
        >>> plan = tracker.match([], at=0.0, frame_size=(640, 480))
        >>> tracker.update(plan, [])
        []
    """

    def __init__(self, settings: PeopleSettings, tuning: Tuning | None = None) -> None:
        self.people: tuple[Person, ...] = ()
        self._settings = settings
        self._tuning = tuning or Tuning()
        self._tracks: list[Track] = []
        self._now = -math.inf
        self._rejudged_at = -math.inf
        self._frame_interval = 0.0
        self._looking_away = False
        self._frame_size = (0, 0)
        self._next_id = 1
        self._totals = dict.fromkeys(Verdict, 0)

    def configure(self, settings: PeopleSettings) -> None:
        """Follow people by other settings from the next frame on; votes that were cast stand."""
        self._settings = settings

    def look_away(self) -> None:
        """See nobody until the next frame: for that time people are not out of sight, and their visits go on."""
        self._looking_away = True

    @property
    def occupied(self) -> bool:
        """Whether a face is in view or was a moment ago, also one that is not a person yet."""
        return bool(self._tracks)

    @property
    def totals(self) -> dict[Verdict, int]:
        """Visits that have ended, by verdict."""
        return dict(self._totals)

    def match(self, faces: Sequence[Face], at: float, frame_size: tuple[int, int]) -> Plan:
        """Decide whose each face of a frame is, and which faces the mask model should judge. Changes nothing.

        New, undecided and contested people, and people who cross each other, are judged every frame, settled ones
        every ``rejudge_every`` seconds, the longest waiting first and no more than ``rejudge_rate`` per second in all,
        and faces that cannot vote never. Whether the advice is taken is up to the caller.

        Args:
            faces: All faces of the frame.
            at: Scene seconds of the frame. A time that is not later than the last one counts as no time passed.
            frame_size: (width, height) in pixels.
        """
        at = max(at, self._now)
        passed = at - self._now if self._tracks else self._frame_interval
        interval = min(passed, self._frame_interval) if self._looking_away else passed
        unwatched = passed - interval
        inside = tuple(face for face in faces if in_zone(face.bbox, self._settings.zone, frame_size))
        lost_after = self._settings.lost_after
        known = [
            (track, candidate)
            for track in self._tracks
            if not track.expired(at - unwatched, lost_after, interval)
            and (candidate := track.candidate(at, frame_size, lost_after, interval))
        ]
        tracks = tuple(track for track, _ in known)
        costs = Costs.of([candidate for _, candidate in known], inside, self._tuning)
        track_of = costs.assign()
        owners = [tracks[track_of[index]] if index in track_of else None for index in range(len(inside))]
        to_judge = self._to_judge(inside, owners, at, interval, frame_size)
        return Plan(at, interval, unwatched, frame_size, inside, to_judge, tracks, costs, track_of)

    def update(self, plan: Plan, readings: Sequence[Reading]) -> list[Event]:
        """Take in the frame that was matched last.

        Args:
            plan: Of the frame.
            readings: Of any of its faces; the others are followed and do not vote.

        Returns:
            What happened, in order: visits ended, started, verdicts.
        """
        at, frame_size = plan.at, plan.frame_size
        self._now, self._frame_interval, self._frame_size = at, plan.frame_interval, frame_size
        self._looking_away = False
        for known in self._tracks:
            known.unwatched += plan.unwatched
        reading_of = {reading.face: reading for reading in readings}
        read = [reading_of.get(face) for face in plan.faces]
        pairs = plan.costs.with_readings(read).assign() if readings else plan.track_of
        events = self._end_visits(at, frame_size)
        track_of = {face: plan.tracks[track] for face, track in pairs.items()}
        for index, (face, reading) in enumerate(zip(plan.faces, read, strict=True)):
            track = track_of.get(index)
            if track is not None:
                track.found(face.bbox, at, frame_size, self._frame_interval)
            elif not self._is_found_twice(face.bbox, track_of.values()):
                track = self._new_track(face.bbox, at)
            if track is not None and self._may_vote(face.bbox, frame_size):
                events += self._vote(track, reading, at)
        events += self._welcome(at, frame_size)
        self.people = self._persons()
        return events

    def finish(self, at: float) -> list[Event]:
        """End every open visit: the camera is gone or the program stops. A new scene may begin at any time after."""
        self._now = max(at, self._now)
        events = self._welcome(self._now, self._frame_size, last_chance=True)
        events += [self._end(track) for track in self._visitors()]
        self._tracks.clear()
        self._looking_away = False
        self.people = ()
        self._now = self._rejudged_at = -math.inf
        return events

    def _visitors(self) -> list[Track]:
        return sorted((track for track in self._tracks if track.id is not None), key=lambda track: track.id or 0)

    def _persons(self) -> tuple[Person, ...]:
        return tuple(track.person() for track in self._visitors())

    def _to_judge(
        self,
        faces: Sequence[Face],
        owners: Sequence[Track | None],
        at: float,
        interval: float,
        frame_size: tuple[int, int],
    ) -> tuple[Face, ...]:
        expected = [(track, track.predicted(at)) for track in self._tracks]
        asked: set[int] = set()
        due: list[tuple[float, int]] = []
        for index, (face, track) in enumerate(zip(faces, owners, strict=True)):
            if not self._may_vote(face.bbox, frame_size):
                continue
            crossed = any(other is not track and _overlap(face.bbox, bbox) for other, bbox in expected)
            if crossed or track is None or track.ballot.last_at is None or track.ballot.contested:
                asked.add(index)
            elif self._is_due(track, at):
                due.append((track.ballot.last_at, index))
        due.sort(key=itemgetter(0))
        asked.update(index for _, index in due[: self._affordable(at, interval)])
        return tuple(face for index, face in enumerate(faces) if index in asked)

    def _is_found_twice(self, bbox: BBox, known: Iterable[Track]) -> bool:
        return any(bbox.iou(track.bbox) > self._tuning.same_face_iou for track in known)

    def _new_track(self, bbox: BBox, at: float) -> Track:
        ballot = Ballot(self._settings, self._tuning)
        track = Track(self._tuning, ballot, bbox, bbox, first_seen=at, last_seen=at, arrivals=((at, bbox),))
        self._tracks.append(track)
        return track

    def _vote(self, track: Track, reading: Reading | None, at: float) -> list[Event]:
        track.unvoted += self._frame_interval
        if reading is None:
            return []
        if not track.ballot.contested and self._is_due(track, at):
            self._rejudged_at = at
        changed = track.ballot.cast(reading, at, track.unvoted)
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
        tuning = self._tuning
        waited = at - newcomer.arrivals[-1][0]
        return newcomer.ballot.readings >= tuning.recognised_by or waited >= tuning.recognised_within

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
        return last_at is not None and at - last_at >= self._settings.rejudge_every - TIME_EPSILON

    def _affordable(self, at: float, interval: float) -> int:
        """How many settled people may be judged in this frame: they take turns."""
        rate = self._settings.rejudge_rate
        if (at - self._rejudged_at) * rate < 1 - TIME_EPSILON:
            return 0
        return max(1, int(interval * rate + TIME_EPSILON))

    def _may_vote(self, bbox: BBox, frame_size: tuple[int, int]) -> bool:
        return not is_cut(bbox, frame_size, self._tuning.edge) and bbox.short_side >= self._settings.min_face


def _verdict(track: Track, at: float) -> Event:
    ballot = track.ballot
    return Event(EventKind.VERDICT, at, track.id, ballot.verdict, confidence=ballot.confidence)


def _overlap(one: BBox, other: BBox) -> bool:
    return one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1

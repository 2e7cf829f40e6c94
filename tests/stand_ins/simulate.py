"""People walking past a doorway camera, with their truth: what the tracker's tests and its benchmark run on.

Walkers arrive at random, cross the picture, come towards the door, stop in it and leave, or go out and come back at
once. A nearer face hides a
farther one, pillars hide some for a moment, boxes jitter, detections are missed, false boxes appear, readings are
wrong: independently from frame to frame or, as real detectors do, in bursts.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from edge.people import PeopleTracker
from edge.values import LABELS, BBox, EventKind, Face, Label, Reading, Verdict

WIDTH, HEIGHT = 640, 480

TURN = 0.6
"""Seconds a walker takes to start, stop or turn."""

ABSENCE = 1.5
"""Seconds out of view that end a visit."""


@dataclass(frozen=True)
class Faults:
    """How bad the detector and the classifier are.

    ``burst`` is the mean length of a run of faults, in frames; 1 draws every frame for itself.
    """

    missed: float = 0.20
    wrong: float = 0.05
    jitter: float = 0.03
    false_boxes: float = 0.02
    burst: float = 1.0


@dataclass
class Run:
    """A fault that comes and goes: a two-state Markov chain with a given share and mean length."""

    share: float
    length: float
    on: bool = False

    def step(self, rng: random.Random) -> bool:
        if self.length <= 1:
            self.on = rng.random() < self.share
        elif self.on:
            self.on = rng.random() >= 1 / self.length
        else:
            self.on = rng.random() < self.share / (1 - self.share) / self.length
        return self.on


@dataclass
class Walker:
    """One person: where the face is at any time, and what is on it.

    ``appearances`` counts how often the face came into view after ``ABSENCE`` or longer behind somebody or something:
    those are visits of their own by the tracker's own rule. It is known once the scene has been played.
    """

    number: int
    label: Label
    start: float
    path: list[tuple[float, float, float, float]]
    """Way points (seconds after the start, x, y, face size), straight lines between them."""
    missed: Run
    wrong: Run
    hidden: tuple[float, float] = (0.0, 0.0)
    """From when to when a pillar hides the face, in seconds after the start."""
    mistaken_for: Label = Label.WITH_MASK
    appearances: int = 0
    in_view_at: float = -math.inf

    def seen(self, at: float) -> None:
        self.appearances += at - self.in_view_at >= ABSENCE
        self.in_view_at = at

    @property
    def end(self) -> float:
        return self.start + self.path[-1][0]

    def box(self, at: float) -> BBox | None:
        """Where the face is; it takes ``TURN`` seconds to change its pace."""
        since = at - self.start
        if not 0 <= since < self.path[-1][0]:
            return None
        around = [self._way_point(since + TURN * part) for part in (-0.5, -0.25, 0.0, 0.25, 0.5)]
        x, y, size = (sum(values) / len(around) for values in zip(*around, strict=True))
        return BBox(x - size * 0.4, y - size * 0.5, x + size * 0.4, y + size * 0.5)

    def _way_point(self, since: float) -> tuple[float, ...]:
        for (t0, *a), (t1, *b) in pairwise(self.path):
            if since < t1:
                share = max(0.0, since - t0) / (t1 - t0)
                return tuple(p + (q - p) * share for p, q in zip(a, b, strict=True))
        return self.path[-1][1:]


def crossing(rng: random.Random) -> list[tuple[float, float, float, float]]:
    """Straight through the picture from one side to the other."""
    size, y, speed = rng.uniform(45, 110), rng.uniform(120, 330), rng.uniform(90, 260)
    ends = [-size, WIDTH + size]
    rng.shuffle(ends)
    return [(0, ends[0], y, size), ((WIDTH + 2 * size) / speed, ends[1], y + rng.uniform(-30, 30), size)]


def approaching(rng: random.Random) -> list[tuple[float, float, float, float]]:
    """From far away towards the camera and out below it or past its side."""
    seconds, x = rng.uniform(2.5, 6), rng.uniform(150, 490)
    size = rng.uniform(100, 150)
    leave = rng.choice([-size, WIDTH + size])
    return [
        (0, x, rng.uniform(150, 240), 22),
        (seconds, rng.uniform(120, 520), rng.uniform(200, 320), size),
        (seconds + rng.uniform(0.8, 1.5), leave, rng.uniform(200, 330), size * 1.1),
    ]


def stopping(rng: random.Random) -> list[tuple[float, float, float, float]]:
    """In from a side, wait at the door, out at either side."""
    size, y, x = rng.uniform(60, 130), rng.uniform(150, 320), rng.uniform(150, 490)
    sides = [-size, WIDTH + size]
    arrive = rng.uniform(1.5, 3)
    wait = arrive + rng.uniform(0.5, 5)
    return [
        (0, rng.choice(sides), y, size),
        (arrive, x, y, size),
        (wait, x + rng.uniform(-15, 15), y + rng.uniform(-15, 15), size),
        (wait + rng.uniform(1.5, 3), rng.choice(sides), y, size),
    ]


def returning(rng: random.Random) -> list[tuple[float, float, float, float]]:
    """In from a side, out there again, back after a moment outside and through: one visit."""
    size, y, x = rng.uniform(60, 130), rng.uniform(150, 320), rng.uniform(200, 440)
    left = rng.random() < 0.5
    near, far = (-size, WIDTH + size) if left else (WIDTH + size, -size)
    outside = (-0.6 if left else 0.6) * size + (0 if left else WIDTH)
    arrive = rng.uniform(1.5, 3)
    out = arrive + rng.uniform(1.5, 2.5)
    back = out + rng.uniform(0.0, 0.4)
    across = back + rng.uniform(3, 5)
    return [
        (0, near, y, size),
        (arrive, x, y, size),
        (out, outside, y, size),
        (back + 0.01, outside, y + rng.uniform(-0.15, 0.15) * size, size),
        (across, far, y, size),
    ]


@dataclass
class Scene:
    """A stream of frames with ``visits`` walkers and their truth.

    Iterate over it for (seconds, readings, whose face each reading is; None for a false box).
    """

    visits: int
    faults: Faults = field(default_factory=Faults)
    fps: float = 20.0
    arrivals: float = 0.2
    """Walkers a second."""
    seed: int = 1

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self.walkers: list[Walker] = []
        at = 1.0
        for number in range(self.visits):
            at += self._rng.expovariate(self.arrivals)
            self.walkers.append(self._walker(number, at))
        self._ghosts: list[tuple[BBox, int]] = []
        self._waiting: deque[Walker] = deque()
        self._here: list[Walker] = []

    def _walker(self, number: int, start: float) -> Walker:
        rng, faults = self._rng, self.faults
        path = rng.choices([crossing, approaching, stopping, returning], [6, 6, 6, 1])[0](rng)
        label = rng.choice(LABELS)
        walker = Walker(
            number,
            label,
            start,
            path,
            Run(faults.missed, faults.burst),
            Run(faults.wrong, faults.burst),
            mistaken_for=rng.choice([other for other in LABELS if other is not label]),
        )
        if rng.random() < 0.2:
            walker.hidden = _behind_a_pillar(rng, path)
        return walker

    def __iter__(self) -> Iterator[tuple[float, list[Reading], list[int | None]]]:
        end = max(walker.end for walker in self.walkers) + 3
        self._waiting, self._here = deque(self.walkers), []
        for index in range(int(end * self.fps)):
            at = index / self.fps
            found = [(self._judge(walker, box), walker.number) for walker, box in self._visible(at)]
            ghosts = [(reading, None) for reading in self._false_boxes()]
            both = found + ghosts
            self._rng.shuffle(both)
            yield at, [reading for reading, _ in both], [whose for _, whose in both]

    def _visible(self, at: float) -> Iterator[tuple[Walker, BBox]]:
        """Faces that the detector finds, cut to the picture, with jitter."""
        while self._waiting and self._waiting[0].start <= at:
            self._here.append(self._waiting.popleft())
        self._here = [walker for walker in self._here if at < walker.end]
        present = [(walker, box) for walker in self._here if (box := walker.box(at))]
        for walker, box in present:
            missed = walker.missed.step(self._rng)
            pillar = walker.hidden[0] <= at - walker.start < walker.hidden[1]
            behind = any(_covered(box, other) > 0.45 for who, other in present if who is not walker)
            cut = _cut(box)
            if pillar or behind or cut.area < 0.5 * box.area:
                continue
            walker.seen(at)
            if not missed:
                yield walker, _cut(self._jittered(cut))

    def _jittered(self, box: BBox) -> BBox:
        sigma = self.faults.jitter * box.short_side
        return BBox(*(edge + self._rng.gauss(0, sigma) for edge in box))

    def _judge(self, walker: Walker, box: BBox) -> Reading:
        label = walker.mistaken_for if walker.wrong.step(self._rng) else walker.label
        return self._reading(box, label)

    def _reading(self, box: BBox, label: Label) -> Reading:
        sure = self._rng.uniform(0.6, 1.0)
        rest = self._rng.random() * (1 - sure)
        others = iter((rest, 1 - sure - rest, *(0.0 for _ in LABELS[3:])))
        probabilities = tuple(sure if other is label else next(others) for other in LABELS)
        return Reading(Face(box, self._rng.uniform(0.55, 0.98)), probabilities)

    def _false_boxes(self) -> Iterator[Reading]:
        """Boxes where nobody is; in bursts they stay for up to three frames."""
        rng = self._rng
        self._ghosts = [(box, left - 1) for box, left in self._ghosts if left > 1]
        if rng.random() < self.faults.false_boxes:
            size = rng.uniform(25, 120)
            x, y = rng.uniform(0, WIDTH - size), rng.uniform(0, HEIGHT - size)
            stays = rng.randint(1, 3) if self.faults.burst > 1 else 1
            self._ghosts.append((BBox(x, y, x + size * 0.8, y + size), stays))
        for box, _ in self._ghosts:
            yield self._reading(_cut(self._jittered(box)), rng.choice(LABELS))


def _behind_a_pillar(rng: random.Random, path: list[tuple[float, float, float, float]]) -> tuple[float, float]:
    """Some moment of one straight leg: who walks behind a pillar comes out on its other side."""
    begin, end = rng.choice([(a[0], b[0]) for a, b in pairwise(path)])
    length = min(rng.uniform(0.3, 1.0), end - begin)
    since = rng.uniform(begin, end - length)
    return since, since + length


def _cut(box: BBox) -> BBox:
    return BBox(max(0.0, box.x0), max(0.0, box.y0), min(float(WIDTH), box.x1), min(float(HEIGHT), box.y1))


def _covered(box: BBox, other: BBox) -> float:
    """Share of ``box`` that a nearer face hides."""
    if other.area <= box.area:
        return 0.0
    overlap = BBox(max(box.x0, other.x0), max(box.y0, other.y0), min(box.x1, other.x1), min(box.y1, other.y1)).area
    return overlap / box.area if box.area else 0.0


@dataclass
class Outcome:
    """What a tracker made of a scene, against its truth."""

    truth: int
    counted: int
    wrong: int
    """Visits counted with a label that the person did not have."""
    unsure: int
    false_alarms: int
    """Masked people who were held to be unmasked or badly masked at any moment."""
    split: int
    """Visits beyond the true ones of the same person."""
    unmatched: int
    """Visits of nobody: false boxes."""
    missed: int
    """True visits that were not counted, or under somebody else's name."""


def score(scene: Scene, tracker: PeopleTracker, *, sparing: bool = False, idle_every: float = 0.0) -> Outcome:
    """Run ``tracker`` over ``scene``.

    ``sparing`` judges only the faces that it asks for. While nobody is in view, frames are looked at ``idle_every`` so
    many seconds, as if nobody who comes ever changed the picture: the worst that a motion gate can do.

    A visit belongs to the walker whose face lay under its box most often.
    """
    whose: dict[int, Counter[int | None]] = defaultdict(Counter)
    verdicts: dict[int, set[Verdict]] = defaultdict(set)
    ended: dict[int, Verdict] = {}
    looked_at = -math.inf
    for at, seen, owners in scene:
        blind = not tracker.occupied and at - looked_at < idle_every
        readings, looked_at = ([], looked_at) if blind else (seen, at)
        plan = tracker.match([reading.face for reading in readings], at, (WIDTH, HEIGHT))
        judged = [reading for reading in readings if reading.face in plan.to_judge] if sparing else readings
        for event in tracker.update(plan, judged):
            assert event.person is not None
            if event.kind is EventKind.VERDICT and event.verdict:
                verdicts[event.person].add(event.verdict)
            if event.kind is EventKind.VISIT_ENDED and event.verdict:
                ended[event.person] = event.verdict
        owner_of = {reading.face.bbox: owner for reading, owner in zip(seen, owners, strict=True)}
        for person in tracker.people:
            if person.last_seen == at and person.bbox in owner_of:
                whose[person.id][owner_of[person.bbox]] += 1
    owner = {person: whose[person].most_common(1)[0][0] if whose[person] else None for person in ended}
    label = {walker.number: walker.label.value for walker in scene.walkers}
    visits = Counter(walker for walker in owner.values() if walker is not None)
    return Outcome(
        truth=sum(walker.appearances for walker in scene.walkers),
        counted=len(ended),
        wrong=sum(
            verdict is not Verdict.UNSURE and owner[person] is not None and verdict.value != label[owner[person]]  # type: ignore[index]
            for person, verdict in ended.items()
        ),
        unsure=sum(verdict is Verdict.UNSURE for verdict in ended.values()),
        false_alarms=sum(
            label.get(owner[person]) == Label.WITH_MASK.value and any(verdict.alarming for verdict in verdicts[person])  # type: ignore[arg-type]
            for person in ended
        ),
        split=sum(max(0, visits[walker.number] - walker.appearances) for walker in scene.walkers),
        unmatched=sum(walker is None for walker in owner.values()),
        missed=sum(max(0, walker.appearances - visits[walker.number]) for walker in scene.walkers),
    )

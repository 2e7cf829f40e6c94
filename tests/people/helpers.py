"""A tracker that is shown one frame after another."""

from __future__ import annotations

from collections.abc import Sequence

from edge.config import PeopleSettings
from edge.people import PeopleTracker, Plan
from edge.values import LABELS, BBox, Event, EventKind, Face, Label, Reading, Verdict

SIZE = (640, 480)


FPS = 20


BARE, MASKED, BADLY = Label.WITHOUT_MASK, Label.WITH_MASK, Label.MASK_WORN_INCORRECTLY


def face(x: float, y: float = 200.0, size: float = 80.0, score: float = 0.9) -> Face:
    """A face centred at (x, y)."""
    return Face(BBox(x - size * 0.4, y - size / 2, x + size * 0.4, y + size / 2), score)


def reading(label: Label, x: float = 320.0, y: float = 200.0, size: float = 80.0, sure: float = 0.9) -> Reading:
    rest = (1 - sure) / (len(LABELS) - 1)
    return Reading(face(x, y, size), tuple(sure if other is label else rest for other in LABELS))


def take_in(tracker: PeopleTracker, items: Sequence[Face | Reading], at: float) -> list[Event]:
    """One frame, of which the faces that come with a reading were judged, whatever the tracker advised."""
    plan = tracker.match([item.face if isinstance(item, Reading) else item for item in items], at, SIZE)
    return tracker.update(plan, [item for item in items if isinstance(item, Reading)])


class Door:
    """A tracker that is shown one frame after another."""

    def __init__(self, **settings: object) -> None:
        self.tracker = PeopleTracker(PeopleSettings.model_validate(settings))
        self.at = 0.0
        self.events: list[Event] = []

    def see(self, *items: Face | Reading, seconds: float = 1 / FPS) -> list[Event]:
        """The same picture for so long."""
        new: list[Event] = []
        for _ in range(round(seconds * FPS)):
            new += take_in(self.tracker, items, self.at)
            self.at += 1 / FPS
        self.events += new
        return new

    def ended(self) -> list[Verdict | None]:
        self.events += self.tracker.finish(self.at)
        return [event.verdict for event in self.events if event.kind is EventKind.VISIT_ENDED]


def kinds(events: Sequence[Event]) -> list[str]:
    return [str(event.kind) for event in events]


def walk(door: Door, label: Label, xs: Sequence[float], y: float = 200.0) -> None:
    for x in xs:
        door.see(reading(label, x, y))


ZONE = ((0.25, 0.0), (0.75, 0.0), (0.75, 1.0), (0.25, 1.0))


def masked(plan: Plan) -> list[Reading]:
    """What the mask model says of the faces that it was asked to judge."""
    doubt = tuple(0.1 / (len(LABELS) - 1) for _ in LABELS[1:])
    return [Reading(one, (0.9, *doubt)) for one in plan.to_judge]


def crowd(people: int) -> list[Face]:
    return [face(60 + 125 * (n % 5), 120 + 200 * (n // 5)) for n in range(people)]

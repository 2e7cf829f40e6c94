"""Who comes through the door of the demo clip, when and how; and the truth that follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np

from edge.config import PeopleSettings
from edge.values import BBox, Verdict
from train.demo_clip.draw_mask import Build, Mask, Wear
from train.demo_clip.room import DOOR, DOOR_FACE, HEIGHT, HORIZON, WIDTH

FPS = 20
SECONDS = 28.5
SEEN = 0.9
"""Share of a face that must be uncovered for it to count as seen."""

SURGICAL_BLUE = (226, 204, 172)
FFP2_WHITE = (232, 236, 236)
DARK_CLOTH = (62, 48, 44)

_EASE = np.linspace(-0.3, 0.3, 31)
_EASE_WEIGHT = np.hanning(33)[1:-1] / np.hanning(33).sum()
"""People do not change their pace at once: a path is averaged over these seconds."""

Step = tuple[float, float, float]


@dataclass(frozen=True)
class Walk:
    """One appearance of one person.

    Attributes:
        person: Who, as named in ``cast``.
        mask: What they wear; None for a bare face.
        begins: Seconds of the clip at which the walk's own time starts.
        path: Steps of (seconds of the walk, x of the bridge of the nose in pixels, width of the face in pixels).
        note: What this appearance shows, for the reader of the truth.
        tall: Eyes above the horizon, in face widths.
    """

    person: str
    mask: Mask | None
    begins: float
    path: tuple[Step, ...]
    note: str
    tall: float = 0.0
    ends: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ends", self.begins + self.path[-1][0])

    def place(self, second: float) -> tuple[float, float, float] | None:
        """Where the bridge of the nose is at ``second`` of the clip, (x, y), and the face's width; None when away."""
        if not self.begins <= second <= self.ends:
            return None
        seconds, *curves = np.array(self.path).T
        moments = second - self.begins + _EASE
        x, width = (float(np.interp(moments, seconds, curve) @ _EASE_WEIGHT) for curve in curves)
        return x, HORIZON - self.tall * width, width

    def seen(self, second: float) -> float:
        """Share of the face that is in the picture and not behind the wall at ``second``, 0 to 1."""
        place = self.place(second)
        if place is None:
            return 0.0
        x, y, width = place
        face = BBox(x - 0.5 * width, y - 0.3 * width, x + 0.5 * width, y + 0.85 * width)
        left, top, right, bottom = DOOR if width < DOOR_FACE else (0, 0, WIDTH, HEIGHT)
        shown = BBox(max(face.x0, left), max(face.y0, top), min(face.x1, right), min(face.y1, bottom))
        return shown.area / face.area

    @property
    def verdict(self) -> Verdict:
        """What is true of the person in this appearance."""
        return Verdict.WITHOUT_MASK if self.mask is None else Verdict(self.mask.wear.label.value)


def _through(x_in: float, x_out: float, seconds: float = 3.9, near: float = 114.0) -> tuple[Step, ...]:
    """From behind the wall at ``x_in`` through the door, up to the desk, and out of the picture past ``x_out``."""
    middle = (DOOR[0] + DOOR[2]) / 2
    side = 1 if x_out > middle else -1
    return (
        (0.0, x_in, 44.0),
        (0.2 * seconds, middle - side * 30, 49.0),
        (0.38 * seconds, middle - side * 15, 66.0),
        (0.62 * seconds, middle + side * 40, 94.0),
        (0.84 * seconds, middle + side * 115, 108.0),
        (1.0 * seconds, x_out, near),
        (1.22 * seconds, x_out + side * 330, near),
    )


LEFT_OUT, RIGHT_OUT = -40.0, 680.0

SCENES: tuple[Walk, ...] = (
    Walk("grace", None, 0.2, _through(85, RIGHT_OUT), "bare face: alert", 0.1),
    Walk("eileen", Mask(Build.FFP2, FFP2_WHITE), 3.9, _through(15, LEFT_OUT), "FFP2 mask"),
    Walk(
        "grace in burgundy",
        Mask(Build.FFP2, FFP2_WHITE, Wear.NOSE_BARE),
        7.6,
        _through(555, RIGHT_OUT),
        "FFP2 mask below a bare nose: alert",
        0.05,
    ),
    Walk(
        "eileen in blue",
        Mask(Build.CLOTH, DARK_CLOTH),
        11.3,
        (
            (0.0, 30, 44.0),
            (0.8, 250, 48.0),
            (1.5, 268, 50.5),
            (1.9, 240, 50.0),
            (2.35, 138, 48.0),
            (2.6, 128, 48.0),
            (2.85, 138, 48.0),
            (3.3, 240, 50.0),
            (3.8, 300, 62.0),
            (4.6, 290, 92.0),
            (5.0, 180, 104.0),
            (5.4, LEFT_OUT, 110.0),
            (6.3, LEFT_OUT - 330, 112.0),
        ),
        "dark cloth mask; behind the door frame for a moment, still the same person",
    ),
    Walk(
        "grace",
        Mask(Build.SURGICAL, SURGICAL_BLUE),
        16.4,
        (
            (0.0, 555, 44.0),
            (0.8, 360, 49.0),
            (1.5, 250, 66.0),
            (2.6, 190, 92.0),
            (3.3, 120, 104.0),
            (3.9, LEFT_OUT, 112.0),
            (4.6, LEFT_OUT - 240, 112.0),
        ),
        "surgical mask, at the same time as a bare face",
        0.1,
    ),
    Walk(
        "eileen in green",
        None,
        17.0,
        (
            (0.0, 600, 44.0),
            (0.9, 410, 48.0),
            (1.6, 420, 62.0),
            (2.5, 450, 84.0),
            (3.1, 520, 96.0),
            (3.7, RIGHT_OUT, 106.0),
            (4.5, RIGHT_OUT + 330, 108.0),
        ),
        "bare face, at the same time as a mask: alert",
    ),
    Walk(
        "eileen",
        Mask(Build.FFP2, FFP2_WHITE),
        20.6,
        _through(15, LEFT_OUT),
        "back after a long absence: a new visit",
    ),
    Walk(
        "grace in grey",
        Mask(Build.SURGICAL, SURGICAL_BLUE, Wear.UNDER_CHIN),
        24.3,
        _through(555, RIGHT_OUT, 3.7),
        "surgical mask under the chin: alert",
        0.05,
    ),
)
"""Nobody comes in on the side on which the one before went out."""


def truth(scenes: tuple[Walk, ...] = SCENES) -> dict[str, Any]:
    """What a perfect observer would report of ``scenes``.

    A person is present from the first to the last moment at which the face is seen; an absence shorter than the
    default ``people.lost_after`` does not end the visit.

    Returns:
        JSON-ready: clip, fps, seconds, visits in the order of entering (verdict, enters and leaves in seconds, note),
        and totals.
    """
    people = {walk.person for walk in scenes}
    visits = sorted((visit for person in people for visit in _visits_of(person, scenes)), key=itemgetter("enters"))
    totals = {"visits": len(visits), **{str(each): 0 for each in Verdict}}
    for visit in visits:
        totals[visit["verdict"]] += 1
    return {"clip": "demo.mp4", "fps": FPS, "seconds": SECONDS, "visits": visits, "totals": totals}


def _visits_of(person: str, scenes: tuple[Walk, ...]) -> Iterator[dict[str, Any]]:
    """The visits of one person: moments in which the face is seen, joined over short absences."""
    lost_after = PeopleSettings().lost_after
    current: dict[str, Any] | None = None
    for index in range(round(SECONDS * FPS)):
        second = index / FPS
        walk = next((each for each in scenes if each.person == person and each.seen(second) >= SEEN), None)
        if walk is None:
            continue
        if current is None or second - current["leaves"] >= lost_after:
            if current:
                yield current
            current = {"verdict": str(walk.verdict), "enters": second, "leaves": second, "note": walk.note}
        current["leaves"] = second
    if current:
        yield current

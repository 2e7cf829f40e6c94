"""What a status means to those who look: which message the kiosk shows, where it draws whom, and how healthy it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from edge.messages import message
from edge.status import SourceKind, Status, is_in_sight
from edge.values import Person, Verdict
from edge.verdicts import MOST_URGENT_FIRST


class Mode(str, Enum):
    """What the kiosk says while it says nothing to a person; else its message is a verdict."""

    STARTING = "starting"
    WELCOME = "welcome"
    OUT_OF_SERVICE = "out_of_service"

    def __str__(self) -> str:
        return self.value


class Health(str, Enum):
    """How it stands, in a word. Only the first two serve the door."""

    OK = "ok"
    DEGRADED = "degraded"
    STARTING = "starting"
    OUT_OF_SERVICE = "out of service"

    def __str__(self) -> str:
        return self.value

    @property
    def serving(self) -> bool:
        """Whether the door is watched."""
        return self in (Health.OK, Health.DEGRADED)


def mode(status: Status | None, now: float, stale_after: float) -> Mode | Verdict:
    """The message to show at monotonic second ``now``.

    Args:
        status: The newest; None before the first.
        now: When somebody looks.
        stale_after: Maximum age of a current frame, in seconds.
    """
    if status is None:
        return Mode.STARTING
    if status.reasons(now, stale_after):
        return Mode.OUT_OF_SERVICE
    if status.camera.last_frame_at is None:
        return Mode.STARTING
    addressed = _addressed(status.people, status.at)
    held = {person.verdict for person in addressed}
    return next((verdict for verdict in MOST_URGENT_FIRST if verdict in held), Mode.WELCOME)


def health(status: Status | None, now: float, stale_after: float) -> tuple[Health, tuple[str, ...]]:
    """How it stands at monotonic second ``now``, and why it is not well, one sentence each.

    A trouble that leaves the alert working (counts that wait for the disk) degrades; a door that is not watched is out
    of service.
    """
    if status is None:
        return Health.STARTING, (message("door.starting"),)
    if reasons := status.reasons(now, stale_after):
        return Health.OUT_OF_SERVICE, (*reasons, *status.troubles)
    if status.camera.last_frame_at is None:
        return Health.STARTING, (message("camera.none_yet", camera=status.camera.name),)
    return (Health.DEGRADED, status.troubles) if status.troubles else (Health.OK, ())


def snapshot(status: Status | None, now: float, stale_after: float) -> dict[str, Any]:
    """What the kiosk draws, JSON-ready: the message, and people as in a mirror.

    Positions are fractions of the picture, x from the left as the visitor sees it: mirrored, so that a step to the
    right moves the figure to the right.
    """
    shown = mode(status, now, stale_after)
    if status is None or status.image is None or shown in (Mode.STARTING, Mode.OUT_OF_SERVICE):
        return {"mode": str(shown), "people": [], "alarm": False}
    height, width = status.image.shape[:2]
    drawn = {
        "mode": str(shown),
        "people": people(status.people, status.at, (width, height)),
        "alarm": status.alarm,
        "aspect": round(width / height, 3),
    }
    real = status.camera.kind is SourceKind.CAMERA
    return drawn if real else drawn | {"source": str(status.camera.kind)}


def people(visitors: Sequence[Person], at: float, frame_size: tuple[int, int]) -> list[dict[str, Any]]:
    """Those the kiosk speaks to at second ``at``: id, verdict, the face's box mirrored, in fractions of the picture.

    ``away`` is true for somebody who is out of sight for a moment: the kiosk speaks to them, so the mirror shows them,
    too, where they were last seen.
    """
    width, height = frame_size
    return [
        {
            "id": person.id,
            "verdict": str(person.verdict),
            "x": round(1 - person.bbox.x1 / width, 3),
            "y": round(person.bbox.y0 / height, 3),
            "w": round(person.bbox.width / width, 3),
            "h": round(person.bbox.height / height, 3),
            "away": not is_in_sight(person, at),
        }
        for person in _addressed(visitors, at)
    ]


def _addressed(visitors: Sequence[Person], at: float) -> Sequence[Person]:
    """Those in sight; if there are none, those who are out of sight for a moment."""
    return [person for person in visitors if is_in_sight(person, at)] or visitors


def counted(totals: Mapping[Verdict, int]) -> dict[str, int]:
    """Visits by verdict, every verdict named."""
    return {str(verdict): totals.get(verdict, 0) for verdict in Verdict}

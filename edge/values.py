"""The small immutable values that flow from camera to sinks. Nothing downstream reaches back up.

Coordinates are pixels of the frame, x to the right, y down. Times are monotonic seconds, from the source on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.verdicts import LABELS, Label, Verdict, decide

__all__ = [
    "LABELS",
    "BBox",
    "Event",
    "EventKind",
    "Face",
    "Frame",
    "Image",
    "Label",
    "Person",
    "Reading",
    "StageTimes",
    "Verdict",
]

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, BGR unless the name says otherwise."""


class BBox(NamedTuple):
    """An axis-aligned box in pixels: left, top, right, bottom."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Pixels from left to right, never negative."""
        return max(0.0, self.x1 - self.x0)

    @property
    def height(self) -> float:
        """Pixels from top to bottom, never negative."""
        return max(0.0, self.y1 - self.y0)

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    @property
    def short_side(self) -> float:
        """The smaller of width and height, in pixels: what 'face size' means everywhere."""
        return min(self.width, self.height)

    @property
    def longer_side(self) -> float:
        """The larger of width and height, in pixels."""
        return max(self.width, self.height)

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the middle."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def iou(self, other: BBox) -> float:
        """Intersection over union with ``other``, in [0, 1]; 0 where both are empty."""
        overlap = BBox(
            max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1)
        ).area
        union = self.area + other.area - overlap
        return overlap / union if union > 0 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a video.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        captured_at: Monotonic seconds; of a camera, on the machine's clock.
        sequence: Counts up by one a frame the source delivered, also over frames that were dropped.
        small: The same picture scaled down by the camera itself, (h, w, 3) uint8 BGR, where it can.
        stamp: The source's own time of the picture, in seconds, where it has one: another stamp is another picture,
            though nothing in it may have changed.
    """

    image: Image
    captured_at: float
    sequence: int
    small: Image | None = None
    stamp: float | None = None

    @classmethod
    def still(cls, image: Image) -> Frame:
        """An image that is not part of a video."""
        return cls(image, 0.0, 0)


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face: ``bbox`` in pixels of the frame, ``score`` in [0, 1]."""

    bbox: BBox
    score: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A face with its mask probabilities, in the order of ``LABELS``, summing to 1.

    Attributes:
        face: The face.
        probabilities: As the model gives them.
        alarm_below: The probability of ``with_mask`` below which this is an alarm, in (0, 1).
    """

    face: Face
    probabilities: tuple[float, ...]
    alarm_below: float = 0.5

    @property
    def label(self) -> Label:
        """``with_mask`` from ``alarm_below`` on, else the most probable of the other labels."""
        return decide(self.probabilities, self.alarm_below)

    @property
    def confidence(self) -> float:
        """The probability of ``label``."""
        return self.probabilities[LABELS.index(self.label)]

    @property
    def votes(self) -> tuple[float, ...]:
        """How one vote is split: the probabilities, weighed so that ``alarm_below`` is an even split."""
        weighed = [
            probability * (1 - self.alarm_below if label is Label.WITH_MASK else self.alarm_below)
            for label, probability in zip(LABELS, self.probabilities, strict=True)
        ]
        return tuple(weight / sum(weighed) for weight in weighed)


@dataclass(frozen=True, slots=True)
class Person:
    """One individual in view.

    Attributes:
        id: Unique in this run, counting up from 1.
        bbox: Where the face is, in pixels of the frame.
        verdict: What is held of the person now.
        first_seen: Monotonic seconds of the first frame.
        last_seen: Monotonic seconds of the last frame in which the face was found.
        confidence: The verdict's share of the votes, 0 to 1; None while it is unsure.
    """

    id: int
    bbox: BBox
    verdict: Verdict
    first_seen: float
    last_seen: float
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Seconds that a frame took: to detect its faces, and to classify all of them."""

    detect: float = 0.0
    classify: float = 0.0


class EventKind(str, Enum):
    """The names of events, as they appear in the events log."""

    VISIT_STARTED = "visit_started"
    VERDICT = "verdict"
    VISIT_ENDED = "visit_ended"
    ALERT_ON = "alert_on"
    ALERT_OFF = "alert_off"
    CAMERA_LOST = "camera_lost"
    CAMERA_BACK = "camera_back"
    OPERATOR = "operator"
    SUMMARY = "summary"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        kind: What.
        at: When, in monotonic seconds (wall time is joined on where it is written down).
        person: Whom it is about.
        verdict: What is held of that person.
        seconds: How long the visit lasted.
        detail: Words for the operator, where the kind alone does not say enough.
        confidence: The verdict's share of the votes, 0 to 1; None if there is no verdict or it is unsure.
    """

    kind: EventKind
    at: float
    person: int | None = None
    verdict: Verdict | None = None
    seconds: float | None = None
    detail: str | None = None
    confidence: float | None = None

    def fields(self) -> dict[str, Any]:
        """What the event says in addition to its name and time, JSON-ready, absent fields left out."""
        said = {
            "person": self.person,
            "verdict": self.verdict and str(self.verdict),
            "confidence": None if self.confidence is None else round(self.confidence, 2),
            "seconds": None if self.seconds is None else round(self.seconds, 2),
            "detail": self.detail,
        }
        return {key: value for key, value in said.items() if value is not None}

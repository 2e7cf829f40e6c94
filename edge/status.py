"""What the appliance is doing now, in one immutable value, and those who are told of it: screens, MQTT, metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge.values import Event, Image, Person, Verdict
from edge.vision.pipeline import StageTimes


@dataclass(frozen=True, slots=True)
class CameraState:
    """How it stands with the camera.

    Attributes:
        name: What the operator calls it.
        trouble: Why it is out of service, as a sentence; None while it works.
        last_frame_at: When the newest frame was processed, in monotonic seconds; None before the first.
        losses: How often it was lost since the start.
    """

    name: str
    trouble: str | None = None
    last_frame_at: float | None = None
    losses: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Status:
    """The state after a frame, or after a moment without one. All times are monotonic seconds of the machine's clock.

    Attributes:
        at: When this was so.
        started_at: When the run began.
        frames: Processed since then.
        dropped: Replaced by a newer one before they could be processed, since then.
        people: Everybody whose visit is open.
        totals: Visits that ended since the start, by verdict.
        alarm: Whether the alarm sounds.
        camera: How it stands with it.
        times: Of the newest frame's stages, in seconds.
        image: The newest frame, (H, W, 3) uint8 BGR, shared: nobody may write to it. None before the first, and while
            the camera is out of service.
        troubles: What else is wrong, a sentence each: counts that cannot be written, an output that cannot be driven.
    """

    at: float
    started_at: float
    camera: CameraState
    frames: int = 0
    dropped: int = 0
    people: tuple[Person, ...] = ()
    totals: Mapping[Verdict, int] = field(default_factory=dict)
    alarm: bool = False
    times: StageTimes = field(default_factory=StageTimes)
    image: Image | None = None
    troubles: tuple[str, ...] = ()

    def frame_age(self, now: float) -> float | None:
        """Seconds since the newest frame at monotonic second ``now``; None before the first."""
        seen = self.camera.last_frame_at
        return None if seen is None else max(0.0, now - seen)

    def reasons(self, now: float, stale_after: float) -> tuple[str, ...]:
        """Why the appliance is out of service at monotonic second ``now``, a sentence each; empty while it serves.

        Args:
            now: Later than ``at``, possibly by much: a loop that hangs no longer renews its status.
            stale_after: A frame that is older, in seconds, is no picture of the door.
        """
        age = self.frame_age(now)
        if self.camera.trouble:
            return (self.camera.trouble,)
        if age is None and now - self.started_at > stale_after:
            return (f"{self.camera.name} has not sent a picture yet.",)
        if age is not None and age > stale_after:
            return (f"The newest picture is {age:.0f} s old.",)
        return ()


class Sink(Protocol):
    """Somebody who is told. Calls return at once and never raise; what is slow has a thread and a bounded queue."""

    @property
    def trouble(self) -> str | None:
        """Why nobody can be told at present, as a sentence; None while all is well."""
        ...

    def tell(self, events: Sequence[Event]) -> None:
        """Hear what happened, the events' times in monotonic seconds of the machine's clock."""
        ...

    def show(self, status: Status) -> None:
        """Hear how things stand now: after every frame, and a few times a second while none come."""
        ...

    def close(self) -> None:
        """Say goodbye and stop. Safe to call twice."""
        ...

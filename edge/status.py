"""What the appliance is doing now, and what a run came to: immutable values that hold all that any sink shows.

All times are monotonic seconds of the machine's clock. (A recording that is played faster than it was made runs ahead
of that clock, from the moment it began.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.alerts.state import AlertState
from edge.messages import message
from edge.values import EventKind, Image, Person, StageTimes, Verdict
from edge.verdicts import FALLBACK_LANGUAGE

if TYPE_CHECKING:
    from edge.config import Settings


class SourceKind(str, Enum):
    """Where frames come from. Only a camera shows what really happens at the door."""

    CAMERA = "camera"
    RECORDING = "recording"
    DEMO = "demo"

    def __str__(self) -> str:
        return self.value


IN_SIGHT_FOR = 0.6
"""A person unseen for longer is out of sight, in seconds: not drawn and addressed last; the visit continues."""


@dataclass(frozen=True, slots=True)
class CameraState:
    """The state of the camera.

    Attributes:
        name: What the operator calls it.
        trouble: Why it is out of service, as a sentence; None while it works.
        last_frame_at: When the newest frame was processed, in monotonic seconds; None before the first.
        losses: How often it was lost since the start.
        kind: Whether it is a camera, a recording or the demo.
        hung: Whether a call of its driver does not return.
        exposes: Whether its exposure can be set; other cameras choose their own.
    """

    name: str
    trouble: str | None = None
    last_frame_at: float | None = None
    losses: int = 0
    kind: SourceKind = SourceKind.CAMERA
    hung: bool = False
    exposes: bool = False


@dataclass(frozen=True, slots=True)
class CountsState:
    """The store of visits.

    Attributes:
        path: The file.
        degraded: Why something counted is not on the disk, as a sentence; None if there is no problem.
        before: Visits by verdict that were counted before this run; None until the store could be read.
    """

    path: Path
    degraded: str | None = None
    before: Mapping[Verdict, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Status:
    """The state after a frame, or after a moment without one.

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
        troubles: What else is wrong, one sentence each: counts that cannot be written, an output that cannot be driven.
        counted: Whether this run's visits count: stored, published and measured. Never for demo and recordings, unless
            that was asked for.
        counts: The store of visits; None if they are not stored.
        alerts: The alert outputs, and what keeps them silent.
        broker: Whether the MQTT broker is connected; None if there is none.
        runtime: What runs the models, for people.
        accelerated: Whether models run on an accelerator; None if none is used.
        settings: In force now; an operator may change some during a run. None if nobody said.
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
    counted: bool = True
    counts: CountsState | None = None
    alerts: AlertState = field(default_factory=AlertState)
    broker: bool | None = None
    runtime: str = ""
    accelerated: bool | None = None
    settings: Settings | None = None

    @property
    def in_sight(self) -> tuple[Person, ...]:
        """Whom the newest frames show: a box around anybody else would stand on an empty wall."""
        return tuple(person for person in self.people if is_in_sight(person, self.at))

    @property
    def language(self) -> str:
        """That of the door, for what it shows to people; English until the settings are known."""
        return self.settings.config.web.language if self.settings else FALLBACK_LANGUAGE

    def frame_age(self, now: float) -> float | None:
        """Seconds since the newest frame at monotonic second ``now``; None before the first."""
        seen = self.camera.last_frame_at
        return None if seen is None else max(0.0, now - seen)

    def reasons(self, now: float, stale_after: float) -> tuple[str, ...]:
        """Why the appliance is out of service at monotonic second ``now``, one sentence each; empty while it serves.

        Args:
            now: Later than ``at``, possibly much later: a loop that hangs no longer renews its status.
            stale_after: Maximum age of a current frame, in seconds.
        """
        age = self.frame_age(now)
        if self.camera.trouble:
            return (self.camera.trouble,)
        if age is None and now - self.started_at > stale_after:
            return (message("camera.none_yet", camera=self.camera.name),)
        if age is not None and age > stale_after:
            return (message("camera.stale", age=age),)
        return ()


def is_in_sight(person: Person, at: float) -> bool:
    """Whether somebody was seen a moment ago, at monotonic second ``at``."""
    return at - person.last_seen <= IN_SIGHT_FOR


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to.

    Attributes:
        frames: Frames that were processed.
        seconds: How long that took, on the machine's clock.
        dropped: Frames that a newer one replaced before they could be processed.
        totals: Visits that ended, by verdict.
    """

    frames: int = 0
    seconds: float = 0.0
    dropped: int = 0
    totals: Mapping[Verdict, int] = field(default_factory=dict)

    @property
    def fps(self) -> float:
        """Frames processed per second."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0

    @property
    def visits(self) -> int:
        """Visits that ended."""
        return sum(self.totals.values())

    def fields(self) -> dict[str, Any]:
        """The last line of the events log, JSON-ready."""
        counted = {str(verdict): self.totals.get(verdict, 0) for verdict in Verdict}
        return {
            "event": str(EventKind.SUMMARY),
            "frames": self.frames,
            "fps": round(self.fps, 1),
            "dropped": self.dropped,
            "visits": self.visits,
            **counted,
        }

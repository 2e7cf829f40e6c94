"""The loop at the door: a frame's journey from the camera to everybody who is told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from edge.alerts.policy import AlertPolicy
from edge.cameras.source import Source
from edge.clock import Clock
from edge.config import CameraSettings
from edge.door.motion import MotionGate
from edge.door.pace import BoardWatch, Pace
from edge.door.systemd import Notifier
from edge.people import PeopleTracker
from edge.sinks.counts.keeper import CountKeeper
from edge.sinks.event_log import EventLog, SceneTime, Summary
from edge.sinks.outbox import Outbox
from edge.sinks.terminal import Screen, counted
from edge.status import CameraState, Sink, Status
from edge.values import Event, EventKind, Face, Frame, Image, Person, Reading
from edge.vision.pipeline import StageTimes

TICK = 0.25
"""Longest wait for a frame before alerts and the camera's state are looked after, in seconds."""
STATUS_EVERY = 10.0
"""Between two status lines for systemd, in seconds."""

log = logging.getLogger(__name__)


class Judge(Protocol):
    """What the loop needs of a pipeline.

    Attributes:
        times: Of the last picture's stages.
        runtime: What runs the models, for people.
    """

    times: StageTimes
    runtime: str

    @property
    def trouble(self) -> str | None:
        """Why models do not run where they should, as a sentence; None while all is well."""
        ...

    @property
    def accelerated(self) -> bool | None:
        """Whether models run on an accelerator now; None where none is used."""
        ...

    def detect(self, frame: Frame) -> list[Face]:
        """The faces in a frame."""
        ...

    def judge(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        """A reading for each of ``faces``."""
        ...

    def close(self) -> None:
        """Let go of the accelerator."""
        ...


class Picture(Protocol):
    """What the loop needs of a window."""

    def show(self, image: Image) -> None:
        """Show a picture."""
        ...

    def closed(self) -> bool:
        """Let the window react, and tell whether the user closed it."""
        ...


@dataclass(slots=True)
class Door:
    """The parts of a running appliance, and the loop through them."""

    source: Source
    pipeline: Judge
    people: PeopleTracker
    alerts: AlertPolicy
    screen: Screen
    scene_time: SceneTime
    clock: Clock
    stopped: threading.Event
    counts: CountKeeper | None = None
    event_log: EventLog | None = None
    window: Picture | None = None
    notifier: Notifier = field(default_factory=lambda: Notifier({}))
    sinks: Sequence[Sink] = ()
    max_frames: int | None = None
    pace: Pace = field(default_factory=lambda: Pace(CameraSettings().fps))
    board: BoardWatch | None = None
    gate: MotionGate | None = None
    frames: int = 0
    failed: set[str] = field(default_factory=set)
    camera: CameraState = field(init=False)
    image: Image | None = None
    started_at: float = 0.0

    def __post_init__(self) -> None:
        """Begin with a camera that has not sent anything yet."""
        self.camera = CameraState(self.source.name)

    def run(self) -> Summary:
        """Watch until the source ends, the frames asked for are done, or somebody stops it."""
        self.started_at = status_at = self.clock.monotonic()
        self.notifier.ready(f"Watching through {self.source.name}")
        while not self._done():
            self._keep_pace()
            frame = self.source.next(TICK)
            self._camera_events(self.source.events())
            if frame:
                self._process(frame)
            else:
                self._publish(self.alerts.update([], self.people.people, self.source.now()))
            self._look_after_sinks()
            self._show_status()
            if self.clock.monotonic() - status_at >= STATUS_EVERY:
                status_at = self.clock.monotonic()
                self.notifier.status(f"{self.frames} frames; {counted(self.people.totals)}")
        self.notifier.stopping()
        self._end_visits(self.source.now())
        self._show_status()
        seconds = self.clock.monotonic() - self.started_at
        return Summary(self.frames, seconds, self.source.dropped, self.people.totals)

    def finish(self, summary: Summary) -> None:
        """Write the summary everywhere and close what was written to."""
        if self.counts:
            self.counts.close()
        if self.event_log:
            self.event_log.finish(summary)
        self.screen.finish(summary)
        self._look_after_sinks()
        if self.event_log and self.incomplete:
            log.warning("%d events were not written to %s.", self.event_log.outbox.lost, self.event_log.outbox.name)

    @property
    def incomplete(self) -> bool:
        """Whether counts or events were lost, other than for a reader who had enough."""
        events = self.event_log.outbox if self.event_log else None
        return bool((self.counts and self.counts.degraded) or (events and events.lost and not events.reader_left))

    def _keep_pace(self) -> None:
        if self.board:
            self.source.pace(self.pace.interval(self.clock.monotonic(), self.frames, bool(self.board.slowed_by)))

    def _done(self) -> bool:
        enough = self.max_frames is not None and self.frames >= self.max_frames
        return enough or self.stopped.is_set() or self.source.ended

    def _process(self, frame: Frame) -> None:
        """A frame's journey: faces, readings, people, what happened to them, who is told."""
        height, width = frame.image.shape[:2]
        at = frame.captured_at
        faces = self._look(frame)
        plan = self.people.match(faces, at, (width, height))
        readings = self.pipeline.judge(frame.image, plan.to_judge)
        events = self.people.update(plan, readings)
        self._publish(events + self.alerts.update(events, self.people.people, at))
        self.frames += 1
        self.image = None if self.camera.trouble else frame.image
        self.camera = replace(self.camera, last_frame_at=self.clock.monotonic())
        if self.counts:
            self.counts.add_frames(1)
        self.notifier.alive()
        self._show(frame)

    def _look(self, frame: Frame) -> list[Face]:
        """The faces in a frame; none where nothing has changed since nobody was there."""
        if self.gate and not self.gate.opens(frame, self.people.occupied):
            return []
        return self.pipeline.detect(frame)

    def _publish(self, events: Sequence[Event]) -> None:
        self.screen.events(events, self.scene_time)
        if self.event_log:
            for event in events:
                self.event_log.write(event)
        timed = [replace(event, at=self.scene_time.monotonic(event.at)) for event in events]
        if self.counts:
            for event in timed:
                self.counts.record(event)
        if timed:
            for sink in self.sinks:
                sink.tell(timed)

    def _camera_events(self, events: Sequence[Event]) -> None:
        self._publish(events)
        for event in events:
            if event.kind is EventKind.CAMERA_LOST:
                self._end_visits(event.at)
                trouble = event.detail or f"{self.source.name} is lost."
                self.camera = replace(self.camera, trouble=trouble, losses=self.camera.losses + 1)
                self.image = None
            elif event.kind is EventKind.CAMERA_BACK:
                self.camera = replace(self.camera, trouble=None)

    def _end_visits(self, at: float) -> None:
        events = self.people.finish(at)
        self._publish(events + self.alerts.update(events, (), at))

    def _show(self, frame: Frame) -> None:
        people, totals = self.people.people, self.people.totals
        self.screen.update(self.frames, self.source.dropped, len(people), totals)
        if self.window:
            from edge.sinks.draw import annotate

            self.window.show(annotate(frame.image, people, totals))

    def _show_status(self) -> None:
        if not self.sinks:
            return
        status = Status(
            at=self.clock.monotonic(),
            started_at=self.started_at,
            camera=self.camera,
            frames=self.frames,
            dropped=self.source.dropped,
            people=self._in_monotonic(self.people.people),
            totals=self.people.totals,
            alarm=self.alerts.sounding,
            times=self.pipeline.times,
            image=self.image,
            troubles=tuple(self._troubles()),
        )
        for sink in self.sinks:
            sink.show(status)

    def _in_monotonic(self, people: Sequence[Person]) -> tuple[Person, ...]:
        ahead = self.clock.monotonic() - self.source.now()
        return tuple(
            replace(person, first_seen=person.first_seen + ahead, last_seen=person.last_seen + ahead)
            for person in people
        )

    def _troubles(self) -> Iterator[str]:
        if self.counts and self.counts.degraded:
            yield self.counts.degraded
        if self.alerts.trouble:
            yield self.alerts.trouble
        if self.pipeline.trouble:
            yield self.pipeline.trouble
        if self.board and self.board.slowed_by:
            yield f"The board slows itself down ({', '.join(self.board.slowed_by)}); see maskgate doctor."
        yield from filter(None, (sink.trouble for sink in self.sinks))

    def _look_after_sinks(self) -> None:
        if self.window and self.window.closed():
            self.stopped.set()
        self._look_after(self.screen.outbox)
        if self.event_log:
            self._look_after(self.event_log.outbox)

    def _look_after(self, outbox: Outbox) -> None:
        if outbox.failure is None or outbox.name in self.failed:
            return
        self.failed.add(outbox.name)
        if outbox.reader_left:
            self.stopped.set()
            return
        log.warning(
            "Nothing more can be written to %s: %s; make room or mend it, then restart. Alerts go on.",
            outbox.name,
            outbox.failure.strerror,
        )

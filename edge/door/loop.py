"""The loop at the door: a frame's journey from the camera to the sinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from edge.alerts.policy import AlertPolicy
from edge.cameras.source import Source
from edge.clock import Clock
from edge.config import CameraSettings, MaskSettings, Settings
from edge.control import Commands
from edge.door.motion import MotionGate
from edge.door.operator import obey
from edge.door.pace import BoardPace
from edge.door.reach import warn_beyond_reach
from edge.messages import message
from edge.people import PeopleTracker
from edge.sinks.together import Sinks
from edge.status import CameraState, SourceKind, Status, Summary
from edge.values import Event, EventKind, Face, Frame, Image, Person, Reading, StageTimes

TICK = 0.25
"""Maximum wait for a frame before alerts, commands and the camera's state are handled, in seconds."""


class Judge(Protocol):
    """What the loop needs of a pipeline.

    Attributes:
        times: Of the last frame's stages.
        runtime: What runs the models, for people.
    """

    times: StageTimes
    runtime: str

    @property
    def trouble(self) -> str | None:
        """Why models do not run where they should, as a sentence; None if there is no problem."""
        ...

    @property
    def accelerated(self) -> bool | None:
        """Whether models run on an accelerator now; None if none is used."""
        ...

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """Of the face model, for frames of ``width`` x ``height``."""
        ...

    def detect(self, frame: Frame) -> list[Face]:
        """The faces in a frame."""
        ...

    def judge(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        """A reading for each of ``faces``."""
        ...

    def configure(self, settings: MaskSettings) -> None:
        """Judge by other settings from now on."""
        ...

    def close(self) -> None:
        """Release the accelerator."""
        ...


@dataclass(slots=True)
class Progress:
    """What the loop remembers from one frame to the next.

    Attributes:
        camera: How it stands with it.
        started_at: When the run began, in monotonic seconds.
        frames: Processed since then.
        image: The newest; None before the first, and while the camera is out of service.
        people: Everyone whose visit is open.
        frame_size: Width and height of the frames; None before the first.
    """

    camera: CameraState
    started_at: float = 0.0
    frames: int = 0
    image: Image | None = None
    people: tuple[Person, ...] = ()
    frame_size: tuple[int, int] | None = None


@dataclass(slots=True)
class Door:
    """The parts of a running appliance, and the loop through them.

    Attributes:
        settings: In force; an operator may change some.
        kind: What the frames come from.
        counted: Whether this run's visits count.
        gate: Skips frames without change; None processes all.
        board: Slows the camera down with the board; None for a recording.
        max_frames: The run ends after this many.
        expose: Opens the camera again with another exposure; None where none can be set.
    """

    source: Source
    pipeline: Judge
    people: PeopleTracker
    alerts: AlertPolicy
    sinks: Sinks
    clock: Clock
    commands: Commands
    settings: Settings
    kind: SourceKind = SourceKind.CAMERA
    counted: bool = True
    gate: MotionGate | None = None
    board: BoardPace | None = None
    max_frames: int | None = None
    expose: Callable[[CameraSettings], None] | None = None
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        """Begin with a camera that has not sent anything yet."""
        camera = CameraState(self.source.name, kind=self.kind, exposes=self.expose is not None)
        self.progress = Progress(camera, self.clock.monotonic())

    def run(self) -> Summary:
        """Watch until the source ends, the frames asked for are done, or somebody stops it."""
        progress = self.progress
        progress.started_at = self.clock.monotonic()
        self._show_status()
        while not self._done():
            self._keep_pace()
            frame = self.source.next(TICK)
            self._camera_events(self.source.events())
            if frame:
                self._process(frame)
            else:
                self.sinks.tell(self.alerts.update([], progress.people, self.source.now()))
            self.sinks.tell(obey(self.commands, self, self.source.now()))
            self._show_status()
        self.commands.close()
        self._end_visits(self.source.now())
        self._show_status()
        seconds = self.clock.monotonic() - progress.started_at
        summary = Summary(progress.frames, seconds, self.source.dropped, self.people.totals)
        self.sinks.finish(summary)
        return summary

    def adopt(self, settings: Settings) -> None:
        """Use other settings from the next frame on. The camera is opened again for its exposure; visits go on."""
        before, config = self.settings.config, settings.config
        self.settings = settings
        self.people.configure(config.people)
        self.pipeline.configure(config.mask)
        self.alerts.configure(config.alerts)
        if self.expose and config.camera != before.camera:
            self.people.look_away()
            self.expose(config.camera)

    def _keep_pace(self) -> None:
        if self.board:
            self.source.pace(self.board.interval(self.clock.monotonic(), self.progress.frames))

    def _done(self) -> bool:
        enough = self.max_frames is not None and self.progress.frames >= self.max_frames
        return enough or self.commands.stopped.is_set() or self.source.ended

    def _process(self, frame: Frame) -> None:
        """A frame's journey: faces, readings, people, events, sinks."""
        height, width = frame.image.shape[:2]
        progress, at = self.progress, frame.captured_at
        self._check_reach((width, height))
        faces = self._look(frame)
        plan = self.people.match(faces, at, (width, height))
        readings = self.pipeline.judge(frame.image, plan.to_judge)
        events = self.people.update(plan, readings)
        progress.people = self.people.people
        self.sinks.tell(events + self.alerts.update(events, progress.people, at))
        progress.frames += 1
        progress.image = None if progress.camera.trouble else frame.image
        progress.camera = replace(progress.camera, last_frame_at=self.clock.monotonic())
        self.sinks.frame(self.pipeline.times)

    def _check_reach(self, size: tuple[int, int]) -> None:
        if size != self.progress.frame_size:
            self.progress.frame_size = size
            warn_beyond_reach(self.source.name, size, self.pipeline.input_size(*size))

    def _look(self, frame: Frame) -> list[Face]:
        """The faces in a frame; none if the doorway was empty and nothing has changed since."""
        if self.gate and not self.gate.opens(frame, self.people.occupied):
            return []
        return self.pipeline.detect(frame)

    def _camera_events(self, events: Sequence[Event]) -> None:
        self.sinks.tell(events)
        progress = self.progress
        for event in events:
            if event.kind is EventKind.CAMERA_LOST:
                self._end_visits(event.at)
                trouble = event.detail or message("camera.lost", camera=self.source.name)
                progress.camera = replace(progress.camera, trouble=trouble, losses=progress.camera.losses + 1)
                progress.image = None
            elif event.kind is EventKind.CAMERA_BACK:
                progress.camera = replace(progress.camera, trouble=None)

    def _end_visits(self, at: float) -> None:
        events = self.people.finish(at)
        self.progress.people = ()
        self.sinks.tell(events + self.alerts.update(events, (), at))

    def _show_status(self) -> None:
        """Build a status only where somebody wants one now."""
        now = self.clock.monotonic()
        if self.sinks.due(now):
            self.sinks.show(self._status(), now)

    def _status(self) -> Status:
        progress, at = self.progress, self.source.now()
        return Status(
            at=at,
            started_at=progress.started_at,
            camera=replace(progress.camera, hung=self.source.hung),
            frames=progress.frames,
            dropped=self.source.dropped,
            people=progress.people,
            totals=self.people.totals,
            alarm=self.alerts.sounding,
            times=self.pipeline.times,
            image=progress.image,
            troubles=tuple(self._troubles()),
            counted=self.counted,
            alerts=self.alerts.state(at),
            runtime=self.pipeline.runtime,
            accelerated=self.pipeline.accelerated,
            settings=self.settings,
        )

    def _troubles(self) -> Iterator[str]:
        yield from self.settings.notices
        if self.alerts.trouble:
            yield self.alerts.trouble
        if self.pipeline.trouble:
            yield self.pipeline.trouble
        if self.board and self.board.trouble:
            yield self.board.trouble

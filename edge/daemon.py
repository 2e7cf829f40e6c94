"""``maskgate run``: wires the parts, runs the loop, leaves everything off and closed."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from edge.about import about
from edge.alerts.choose import open_alert
from edge.alerts.policy import AlertPolicy
from edge.cameras.choose import Choice, await_camera, open_camera
from edge.cameras.loop import Looped
from edge.cameras.source import LatestFrame, Recording, Source
from edge.clock import Clock, SystemClock
from edge.config import CameraSettings, Config, CountSettings, Settings
from edge.counts import CountStore, store_path
from edge.errors import StoreError
from edge.events import STANDARD_OUTPUT, EventLog, SceneTime, Summary, open_file
from edge.live import Screen, counted
from edge.notify import Notifier, is_journal
from edge.outbox import Outbox, standard_error, standard_output
from edge.pace import BoardWatch, Pace
from edge.people import PeopleTracker
from edge.pipeline import Live, StageTimes, load_pipeline
from edge.status import CameraState, Sink, Status
from edge.values import Event, EventKind, Face, Frame, Image, Person, Reading, Verdict

if TYPE_CHECKING:
    from edge.metrics import Metrics
    from edge.mqtt import Publisher
    from edge.web.sink import WebScreens

TICK = 0.25
"""Longest wait for a frame before alerts and the camera's state are looked after, in seconds."""
STATUS_EVERY = 10.0
"""Between two status lines for systemd, in seconds."""

COUNTS_EVERY = 0.5
"""Between two looks at whether counts are due to be written, in seconds."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

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

    def detect(self, image: Image, small: Image | None = None) -> list[Face]:
        """The faces in a picture, of which ``small`` is a smaller copy."""
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


@dataclass(frozen=True, slots=True)
class Options:
    """How ``maskgate run`` was called.

    Attributes:
        events: Where JSON Lines go: a file, ``-`` for standard output, or None.
        max_frames: Stop after so many frames.
        realtime: Play a recording at its own pace.
        wait: Take a camera that is not there for one that is lost: wait for it.
        window: Show the live picture.
        quiet: Print nothing but warnings.
    """

    events: str | None = None
    max_frames: int | None = None
    realtime: bool = False
    wait: bool = False
    window: bool = False
    quiet: bool = False


class Counts:
    """The store of visits, with a thread that waits for the disk in place of the loop."""

    def __init__(self, store: CountStore) -> None:
        """Keep ``store`` written."""
        self._store = store
        self._said: set[str] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep_written, name="counts", daemon=True)
        self._thread.start()

    @property
    def degraded(self) -> str | None:
        """Why something counted is not on the disk, as a sentence; None while all is well."""
        return self._store.degraded

    @property
    def before(self) -> Mapping[Verdict, int] | None:
        """Visits by verdict that were counted before this run; None until the store could be read."""
        return self._store.before

    def record(self, event: Event) -> None:
        """Remember an event, its time on the store's clock, if it counts."""
        self._store.record(event)

    def add_frames(self, number: int) -> None:
        """Remember that ``number`` more frames were processed."""
        self._store.add_frames(number)

    def close(self) -> None:
        """Write what is left; safe to call twice."""
        self._closing.set()
        self._thread.join()
        self._store.close()
        self._say()

    def _keep_written(self) -> None:
        self._say()
        while not self._closing.wait(COUNTS_EVERY):
            self._store.tick()
            self._say()

    def _say(self) -> None:
        for sentence in filter(None, (self._store.notice, self._store.degraded)):
            if sentence not in self._said:
                self._said.add(sentence)
                log.warning("%s", sentence)


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
    counts: Counts | None = None
    event_log: EventLog | None = None
    window: Picture | None = None
    notifier: Notifier = field(default_factory=lambda: Notifier({}))
    sinks: Sequence[Sink] = ()
    max_frames: int | None = None
    pace: Pace = field(default_factory=lambda: Pace(CameraSettings().fps))
    board: BoardWatch | None = None
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
        faces = self.pipeline.detect(frame.image, frame.small)
        open_questions = self.people.faces_to_judge(faces, at, (width, height))
        readings = self.pipeline.judge(frame.image, open_questions)
        settled = [face for face in faces if face not in open_questions]
        events = self.people.update([*readings, *settled], at, (width, height))
        self._publish(events + self.alerts.update(events, self.people.people, at))
        self.frames += 1
        self.image = frame.image
        self.camera = replace(self.camera, last_frame_at=self.clock.monotonic())
        if self.counts:
            self.counts.add_frames(1)
        self.notifier.alive()
        self._show(frame)

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
            from edge.draw import annotate  # noqa: PLC0415

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


def run(settings: Settings, options: Options, clock: Clock | None = None) -> int:
    """Run the appliance.

    Args:
        settings: The effective configuration.
        options: Of the command line.
        clock: The machine's, unless given.

    Returns:
        The exit code: 0 after a clean end, 5 where events could not be written.

    Raises:
        MaskgateError: A part cannot be opened, or a recording cannot be read.
    """
    stopped = threading.Event()
    with ExitStack() as parts, _signals(stopped):
        door = _open_door(settings, options, clock or SystemClock(), stopped, parts)
        summary = door.run()
        door.finish(summary)
    return StoreError.exit_code if door.incomplete else 0


def _open_door(settings: Settings, options: Options, clock: Clock, stopped: threading.Event, parts: ExitStack) -> Door:
    config = settings.config
    window = _open_window(parts) if options.window else None
    choice = (await_camera if options.wait else open_camera)(config.camera, clock)
    source = _source(choice, config.camera, options, clock, stopped)
    parts.callback(source.close)
    pipeline = load_pipeline(config, live=Live(clock, store_path(config.counts).parent))
    parts.callback(pipeline.close)
    scene_time = SceneTime(clock, 0.0 if source.live else clock.monotonic())
    event_log = None
    if options.events:
        to_output = options.events == STANDARD_OUTPUT
        outbox = standard_output(not source.live) if to_output else open_file(options.events, not source.live)
        parts.callback(outbox.close)
        event_log = EventLog(outbox, scene_time)
    counts = None if choice.stand_in else _open_counts(config.counts, clock, parts)
    screen = _open_screen(options, source, clock)
    parts.callback(screen.outbox.close)
    broker = _open_broker(settings, counts, clock, parts)
    sinks: list[Sink] = [broker] if broker else []
    if config.web.enabled and (source.live or source.paced):
        metrics = _open_metrics(config, counts, broker, pipeline, clock)
        sinks.append(metrics)
        screens = _open_web(config, pipeline, choice, clock, {"/metrics": metrics.page})
        parts.callback(screens.close)
        sinks.append(screens)
        if screens.url:
            screen.say(f"Screens: {screens.url} and {screens.url}operator.")
    # Opened last, so that it is the first to be closed: nobody waits for a network while the alarm sounds.
    output = open_alert(config.alerts)
    alerts = AlertPolicy(config.alerts, output, clock)
    parts.callback(alerts.close)
    for sentence in (*choice.why, f"Alerts: {output.name}."):
        screen.say(sentence)
    board = BoardWatch() if source.live else None
    if board:
        parts.callback(board.close)
    return Door(
        source=source,
        pipeline=pipeline,
        people=PeopleTracker(config.people),
        alerts=alerts,
        screen=screen,
        scene_time=scene_time,
        clock=clock,
        stopped=stopped,
        counts=counts,
        event_log=event_log,
        window=window,
        notifier=Notifier(),
        sinks=sinks,
        max_frames=options.max_frames,
        pace=Pace(config.camera.fps),
        board=board,
    )


def _open_broker(settings: Settings, counts: Counts | None, clock: Clock, parts: ExitStack) -> Publisher | None:
    if not settings.config.mqtt.host:
        return None
    from edge.mqtt import Publisher  # noqa: PLC0415

    publisher = Publisher(settings, clock, lambda: counts.before if counts else None, about(settings.config))
    parts.callback(publisher.close)
    return publisher


def _open_metrics(
    config: Config, counts: Counts | None, broker: Publisher | None, pipeline: Judge, clock: Clock
) -> Metrics:
    from edge.metrics import Metrics  # noqa: PLC0415

    return Metrics(
        clock,
        about(config),
        config.camera.stale_after,
        counts_degraded=lambda: bool(counts and counts.degraded),
        mqtt_connected=(lambda: broker.connected) if broker else None,
        accelerated=lambda: pipeline.accelerated,
    )


def _open_web(
    config: Config, pipeline: Judge, choice: Choice, clock: Clock, extra: Mapping[str, Callable[[], tuple[bytes, str]]]
) -> WebScreens:
    from edge.web.sink import Shown, WebScreens  # noqa: PLC0415

    stored = None if choice.stand_in else store_path(config.counts)

    def runtime() -> str:
        return "Edge TPU" if pipeline.accelerated else pipeline.runtime

    return WebScreens(config, clock, Shown(runtime, stored, extra))


def _source(
    choice: Choice, settings: CameraSettings, options: Options, clock: Clock, stopped: threading.Event
) -> Source:
    if choice.camera.live:
        return LatestFrame(
            choice.camera,
            choice.reopen,
            clock,
            stale_after=settings.stale_after,
            reopen_after=settings.reopen_after,
        )
    if settings.loop:
        return Recording(Looped(choice.camera, choice.reopen), clock, True, stopped)
    return Recording(choice.camera, clock, options.realtime, stopped)


def _open_screen(options: Options, source: Source, clock: Clock) -> Screen:
    to_error = options.events == STANDARD_OUTPUT
    stream, open_outbox = (sys.stderr, standard_error) if to_error else (sys.stdout, standard_output)
    return Screen(open_outbox(not source.live), clock, stream.isatty(), options.quiet, is_journal(stream, os.environ))


def _open_counts(settings: CountSettings, clock: Clock, parts: ExitStack) -> Counts:
    counts = Counts(CountStore(store_path(settings), settings.commit_every, settings.retention_days, clock))
    parts.callback(counts.close)
    return counts


def _open_window(parts: ExitStack) -> Picture:
    from edge.window import Window  # noqa: PLC0415

    window = Window()
    parts.callback(window.close)
    return window


@contextmanager
def _signals(stopped: threading.Event) -> Iterator[None]:
    """Stop at the next frame on the first signal; break off, still leaving everything off, on the second."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        log.info("Stopping on %s.", signal.Signals(number).name)
        stopped.set()

    heeded = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup
    previous = {number: signal.signal(number, handle) for number in heeded}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

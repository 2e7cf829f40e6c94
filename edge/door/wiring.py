"""``maskgate run``: wires the parts, runs the loop, leaves everything off and closed."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from edge.alerts.choose import open_alert
from edge.alerts.policy import AlertPolicy
from edge.cameras import InputSize
from edge.cameras.choose import Choice, await_camera, open_camera
from edge.cameras.loop import Looped
from edge.cameras.source import LatestFrame, Recording, Source
from edge.clock import Clock, SystemClock
from edge.config import CameraSettings, Config, CountSettings, Settings
from edge.door.loop import Door, Judge, Picture
from edge.door.motion import MotionGate
from edge.door.pace import BoardWatch, Pace
from edge.door.systemd import Notifier, is_journal
from edge.errors import StoreError
from edge.people import PeopleTracker
from edge.sinks.counts import CountStore, store_path
from edge.sinks.counts.keeper import CountKeeper
from edge.sinks.event_log import STANDARD_OUTPUT, EventLog, SceneTime, open_file
from edge.sinks.outbox import standard_error, standard_output
from edge.sinks.terminal import Screen
from edge.status import Sink
from edge.vision.models.about import about
from edge.vision.pipeline import Live, expected_input, load_pipeline

if TYPE_CHECKING:
    from edge.sinks.metrics import Metrics
    from edge.sinks.mqtt import Publisher
    from edge.sinks.web.sink import WebScreens

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

log = logging.getLogger(__name__)


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
    input_size = expected_input(config)
    choice = (await_camera if options.wait else open_camera)(config.camera, clock, input_size)
    source = _source(choice, config.camera, options, clock, stopped, input_size=input_size)
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
            screen.say(f"Watch it at {screens.url} (for visitors) and {screens.url}operator (for you). Ctrl-C ends it.")
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
        gate=MotionGate(config.face.idle_every) if source.live and config.face.idle_every else None,
    )


def _open_broker(settings: Settings, counts: CountKeeper | None, clock: Clock, parts: ExitStack) -> Publisher | None:
    if not settings.config.mqtt.host:
        return None
    from edge.sinks.mqtt import Publisher

    publisher = Publisher(settings, clock, lambda: counts.before if counts else None, about(settings.config))
    parts.callback(publisher.close)
    return publisher


def _open_metrics(
    config: Config, counts: CountKeeper | None, broker: Publisher | None, pipeline: Judge, clock: Clock
) -> Metrics:
    from edge.sinks.metrics import Metrics

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
    from edge.sinks.web.sink import Shown, WebScreens

    stored = None if choice.stand_in else store_path(config.counts)

    def runtime() -> str:
        return "Edge TPU" if pipeline.accelerated else pipeline.runtime

    return WebScreens(config, clock, Shown(runtime, stored, extra))


def _source(
    choice: Choice,
    settings: CameraSettings,
    options: Options,
    clock: Clock,
    stopped: threading.Event,
    *,
    input_size: InputSize,
) -> Source:
    if choice.camera.live:
        return LatestFrame(
            choice.camera,
            choice.reopen,
            clock,
            stale_after=settings.stale_after,
            reopen_after=settings.reopen_after,
            frozen_after=settings.frozen_after,
            dark_after=settings.dark_after,
            input_size=input_size,
        )
    if settings.loop or choice.stand_in:
        return Recording(Looped(choice.camera, choice.reopen), clock, True, stopped)
    return Recording(choice.camera, clock, options.realtime, stopped)


def _open_screen(options: Options, source: Source, clock: Clock) -> Screen:
    to_error = options.events == STANDARD_OUTPUT
    stream, open_outbox = (sys.stderr, standard_error) if to_error else (sys.stdout, standard_output)
    return Screen(open_outbox(not source.live), clock, stream.isatty(), options.quiet, is_journal(stream, os.environ))


def _open_counts(settings: CountSettings, clock: Clock, parts: ExitStack) -> CountKeeper:
    store = CountStore(store_path(settings), settings.commit_every, settings.retention_days, clock, open_now=False)
    counts = CountKeeper(store)
    parts.callback(counts.close)
    return counts


def _open_window(parts: ExitStack) -> Picture:
    from edge.sinks.window import Window

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

"""``maskgate run``: wires the parts, runs the loop, leaves everything off and closed."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType

from edge.alerts.choose import open_alert
from edge.alerts.policy import AlertPolicy
from edge.cameras import InputSize
from edge.cameras.choose import Choice, await_camera, open_camera
from edge.cameras.loop import Looped
from edge.cameras.opening import StoppedError, open_unless_stopped
from edge.cameras.recording import Recording
from edge.cameras.source import LatestFrame, Source
from edge.clock import Clock, SystemClock
from edge.config import CameraSettings, Settings
from edge.config.place import store_path
from edge.control import Commands, Stop
from edge.door.loop import Door
from edge.door.motion import MotionGate
from edge.door.pace import BoardPace, BoardWatch, Pace
from edge.errors import CameraError, StoreError
from edge.people import PeopleTracker
from edge.sinks import Sink
from edge.sinks.registry import Opening, open_sinks
from edge.sinks.together import Sinks
from edge.status import SourceKind
from edge.vision.pipeline import Live, expected_input, load_pipeline
from edge.worker import Flag

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_REQUEST = 0.3
"""A signal repeated sooner is the same request, in seconds: timeout(1) signals the process and then its group."""
RESTART = 75
"""The exit code after which the service manager should start the door again (EX_TEMPFAIL)."""

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
        clock: The machine's, by default.

    Returns:
        The exit code: 0 after a clean end, 5 where counts or events could not be written, 75 where a restart was
        asked for.

    Raises:
        MaskgateError: A part cannot be opened, or a recording cannot be read.
    """
    commands = Commands()
    with ExitStack() as parts, _signals(commands):
        try:
            door = _open_door(settings, options, clock or SystemClock(), commands, parts)
        except StoppedError:
            return 0
        door.run()
    if commands.restart:
        return RESTART
    if door.source.trouble:
        raise CameraError(door.source.trouble)
    return StoreError.exit_code if door.sinks.incomplete else 0


def _open_door(settings: Settings, options: Options, clock: Clock, commands: Commands, parts: ExitStack) -> Door:
    config = settings.config
    input_size = expected_input(config)
    opener = partial(await_camera if options.wait else open_camera, config.camera, clock, input_size)
    choice = open_unless_stopped(opener, commands.stopped)
    source = _source(choice, config.camera, options, clock, commands.stopped, input_size=input_size)
    parts.callback(source.close)
    pipeline = load_pipeline(config, live=Live(clock, store_path(config.counts).parent))
    parts.callback(pipeline.close)
    opening = _opening(settings, options, clock, commands, source=source, kind=_kind(choice))
    sinks = _open_sinks(opening, parts)
    # Opened last, so that it is the first to be closed: nobody waits for a network while the alarm sounds.
    output = open_alert(config.alerts)
    alerts = AlertPolicy(config.alerts, output, clock)
    parts.callback(alerts.close)
    sinks.greet()
    for sentence in (*choice.why, *_not_counted(opening), *_without_pages(opening), f"Alerts: {output.name}."):
        sinks.say(sentence)
    return Door(
        source=source,
        pipeline=pipeline,
        people=PeopleTracker(config.people),
        alerts=alerts,
        sinks=sinks,
        clock=clock,
        commands=commands,
        settings=settings,
        kind=opening.kind,
        counted=opening.counted,
        gate=MotionGate(config.face.idle_every) if source.live and config.face.idle_every else None,
        board=_open_board(config.camera, parts) if source.live else None,
        max_frames=options.max_frames,
        expose=_exposing(source, choice),
    )


def _exposing(source: Source, choice: Choice) -> Callable[[CameraSettings], None] | None:
    exposed = choice.exposed
    if exposed is None or not isinstance(source, LatestFrame):
        return None
    return lambda settings: source.open_again(exposed(settings))


def _opening(
    settings: Settings, options: Options, clock: Clock, commands: Commands, *, source: Source, kind: SourceKind
) -> Opening:
    return Opening(
        settings,
        clock,
        commands,
        kind,
        watched=source.live or source.paced,
        counted=settings.config.counts.recordings or kind is SourceKind.CAMERA,
        events=options.events,
        window=options.window,
        quiet=options.quiet,
    )


def _kind(choice: Choice) -> SourceKind:
    if choice.camera.live:
        return SourceKind.CAMERA
    return SourceKind.DEMO if choice.stand_in or choice.camera.name == "demo" else SourceKind.RECORDING


def _not_counted(opening: Opening) -> Iterator[str]:
    if not opening.counted:
        yield f"This is a {opening.kind}: its visits are not counted (--count counts them)."


def _without_pages(opening: Opening) -> Iterator[str]:
    asked = any(opening.settings.origins.get(key) == "command line" for key in ("web.port", "web.host"))
    if asked and not opening.watched:
        yield "No pages: this is played as fast as possible. Add --loop or --realtime to watch it."


def _open_sinks(opening: Opening, parts: ExitStack) -> Sinks:
    opened: list[Sink] = []
    with ExitStack() as unfinished:
        for sink in open_sinks(opening):
            unfinished.callback(sink.close)
            opened.append(sink)
        unfinished.pop_all()
    sinks = Sinks(opened, opening.commands, opening.patient)
    parts.callback(sinks.close)
    return sinks


def _open_board(settings: CameraSettings, parts: ExitStack) -> BoardPace:
    watch = BoardWatch()
    parts.callback(watch.close)
    return BoardPace(Pace(settings.fps), watch)


def _source(
    choice: Choice,
    settings: CameraSettings,
    options: Options,
    clock: Clock,
    stopped: Flag,
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


@contextmanager
def _signals(commands: Commands) -> Iterator[None]:
    """Stop at the next frame on the first signal; interrupt, still leaving everything off, on the second."""
    asked_at = -math.inf
    heard: signal.Signals | None = None

    def handle(number: int, _frame: FrameType | None) -> None:
        """Logs nothing: it may have interrupted the writing of another line."""
        nonlocal asked_at, heard
        now = time.monotonic()
        ending = commands.stopped.is_set()
        if ending and now - asked_at > SAME_REQUEST:
            raise KeyboardInterrupt
        if not ending:
            asked_at, heard = now, signal.Signals(number)
            commands.ask(Stop())

    heeded = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup
    previous = {number: signal.signal(number, handle) for number in heeded}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if heard:
            log.info("Stopped on %s.", heard.name)

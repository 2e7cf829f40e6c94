"""The sinks, and when each is opened. A new one is a file with ``open_sink`` and a line in ``SINKS``."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, cast

from edge.clock import Clock
from edge.config import Config, Settings
from edge.control import Commands
from edge.sinks import Sink
from edge.status import SourceKind

STANDARD_OUTPUT = "-"


@dataclass(frozen=True, slots=True)
class Opening:
    """What a sink may want to know when it is opened.

    Attributes:
        settings: The effective configuration.
        clock: The machine's.
        commands: Where it can ask for something, such as to stop.
        kind: What the frames come from.
        watched: Whether frames come at the pace of the scene, so that somebody could watch.
        counted: Whether this run's visits count.
        events: Where JSON Lines go: a file, ``-`` for standard output, or None.
        window: Whether to show the live picture.
        quiet: Whether to print nothing but warnings.
        before: The sinks that are already open.
    """

    settings: Settings
    clock: Clock
    commands: Commands
    kind: SourceKind = SourceKind.CAMERA
    watched: bool = True
    counted: bool = True
    events: str | None = None
    window: bool = False
    quiet: bool = False
    before: tuple[Sink, ...] = ()

    @property
    def config(self) -> Config:
        """The settings' values."""
        return self.settings.config

    @property
    def patient(self) -> bool:
        """Whether to wait for slow readers, as a recording can, or to lose text, as a camera must."""
        return self.kind is not SourceKind.CAMERA


class Entry(NamedTuple):
    """The module of a sink, imported only where it is wanted, and whether it is."""

    module: str
    wanted: Callable[[Opening], bool]


class SinkModule(Protocol):
    """A module of a sink."""

    def open_sink(self, opening: Opening) -> Sink:
        """Open it.

        Raises:
            MaskgateError: It cannot be opened, and the door should not be watched without it.
        """
        ...


def _serves_pages(opening: Opening) -> bool:
    return opening.config.web.enabled and opening.watched


SINKS: Sequence[Entry] = (
    Entry("edge.sinks.counts.keeper", lambda opening: opening.counted),
    Entry("edge.sinks.event_log", lambda opening: opening.events is not None),
    Entry("edge.sinks.terminal", lambda _: True),
    Entry("edge.sinks.window", lambda opening: opening.window),
    Entry("edge.sinks.systemd", lambda _: "NOTIFY_SOCKET" in os.environ),
    Entry("edge.sinks.mqtt.publisher", lambda opening: bool(opening.config.mqtt.host)),
    Entry("edge.sinks.notify", lambda opening: opening.config.notify.wanted and opening.counted),
    Entry("edge.sinks.metrics", _serves_pages),
    Entry("edge.sinks.web.sink", _serves_pages),
    Entry("edge.sinks.answering", lambda opening: opening.watched),
)
"""In the order in which they are opened and informed. A sink sees those before it."""


def open_sinks(opening: Opening, sinks: Sequence[Entry] = SINKS) -> Iterator[Sink]:
    """Open each sink that is wanted.

    Raises:
        MaskgateError: One cannot be opened.
    """
    opened: tuple[Sink, ...] = ()
    for entry in sinks:
        if entry.wanted(opening):
            module = cast("SinkModule", importlib.import_module(entry.module))
            sink = module.open_sink(replace(opening, before=opened))
            opened += (sink,)
            yield sink

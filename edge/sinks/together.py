"""All sinks as the loop sees them."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge.control import Commands
from edge.sinks import Sink
from edge.status import Status, Summary
from edge.values import Event, StageTimes
from edge.worker import Worker

FAREWELL = 3.5
"""Timeout for all sinks together at the end, in seconds; with everything else less than the unit's TimeoutStopSec."""
LOOK_AGAIN = 0.05
"""Interval between checks whether a patient sink has finished or a stop was requested, in seconds."""

log = logging.getLogger(__name__)


class Sinks:
    """Passes everything on to each of ``sinks``, and statuses at the rate that each wants.

    Args:
        sinks: In the order in which they are told.
        commands: Ends the wait for slow readers when a stop is requested.
        patient: Whether the end waits for slow readers of a recording's output, as long as nobody asks to stop.
    """

    def __init__(self, sinks: Sequence[Sink], commands: Commands, patient: bool = False) -> None:
        self._sinks = tuple(sinks)
        self._commands, self._patient = commands, patient
        self._shown_at = [-math.inf] * len(self._sinks)
        self._closed = False

    @property
    def incomplete(self) -> bool:
        """Whether any lost what must not be lost."""
        return any(sink.incomplete for sink in self._sinks)

    def say(self, sentence: str) -> None:
        """Show the operator a sentence, in every sink that has a place for it."""
        for sink in self._sinks:
            sink.say(sentence)

    def greet(self) -> None:
        """Show the operator what each sink says at the start."""
        for sink in self._sinks:
            if sink.greeting:
                self.say(sink.greeting)

    def frame(self, times: StageTimes) -> None:
        """Tell each sink that a frame was processed."""
        for sink in self._sinks:
            sink.frame(times)

    def tell(self, events: Sequence[Event]) -> None:
        """Pass the events on, and let each sink show the status that follows."""
        if not events:
            return
        self._shown_at = [-math.inf] * len(self._sinks)
        for sink in self._sinks:
            sink.tell(events)

    def due(self, now: float) -> bool:
        """Whether any wants a status at monotonic second ``now``."""
        return any(now - shown_at >= sink.every for sink, shown_at in zip(self._sinks, self._shown_at, strict=True))

    def show(self, status: Status, now: float) -> None:
        """Show the status, completed with what the sinks themselves know, to those who want one now."""
        for sink in self._sinks:
            status = sink.contribute(status)
        troubles = tuple(sink.trouble for sink in self._sinks if sink.trouble)
        status = replace(status, troubles=status.troubles + troubles)
        for number, sink in enumerate(self._sinks):
            if now - self._shown_at[number] >= sink.every:
                self._shown_at[number] = now
                sink.show(status)

    def finish(self, summary: Summary) -> None:
        """Tell each that the run is over."""
        for sink in self._sinks:
            sink.finish(summary)

    def close(self) -> None:
        """Close all at the same time. One that hangs is left behind and named. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        closing = [(sink, Worker(f"end of {sink.name}", _closing(sink))) for sink in self._sinks]
        deadline = None
        while left := [(sink, worker) for sink, worker in closing if not worker.close(within=0)]:
            stopping = self._commands.stopped.is_set() or not self._patient
            if stopping and deadline is None:
                deadline = time.monotonic() + FAREWELL
            if deadline is not None and time.monotonic() > deadline:
                names = ", ".join(sink.name for sink, _ in left)
                log.warning("Not finished in time, and left behind: %s.", names)
                return
            left[0][1].close(within=LOOK_AGAIN)


def _closing(sink: Sink) -> Callable[[Worker], None]:
    def close(_: Worker) -> None:
        sink.close()

    return close

"""The consumers of what happens at the door: terminal, event log, counts, systemd, MQTT, metrics, pages, window.

``edge.sinks.registry`` lists them and opens what the settings ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edge.status import Status, Summary
from edge.values import Event, StageTimes

Page = Callable[[], tuple[bytes, str]]
"""Answers a request for a page with its body and content type. Called in a worker thread."""


class Sink:
    """A consumer of statuses and events. This one ignores everything; each real one overrides what it needs.

    Every call returns immediately and never raises: what is slow or can fail has a thread (``edge.worker``) and a
    bounded queue or a slot for the latest value. The frame loop depends on that.

    Attributes:
        name: For the operator.
        every: Minimum time between two statuses that it wants, in seconds; 0 wants one for each frame.
        trouble: Why nobody is told at present, as a sentence; None if there is no problem.
        greeting: What the operator should read at the start, as a sentence.
        pages: What it serves over HTTP through the screens, by address.
    """

    name: str = "nobody"
    every: float = 1.0
    trouble: str | None = None
    greeting: str | None = None
    pages: Mapping[str, Page] = {}

    @property
    def incomplete(self) -> bool:
        """Whether something that must not be lost was lost, so that the run ends with an error."""
        return False

    def say(self, sentence: str) -> None:
        """Show the operator a sentence."""

    def frame(self, times: StageTimes) -> None:
        """A frame was processed; its stages took ``times``."""

    def tell(self, events: Sequence[Event]) -> None:
        """Hear what happened."""

    def contribute(self, status: Status) -> Status:
        """Add what others should show of this sink: whether counts are written, whether the broker is connected."""
        return status

    def show(self, status: Status) -> None:
        """Hear how things stand now."""

    def finish(self, summary: Summary) -> None:
        """The run is over; ``close`` follows."""

    def close(self) -> None:
        """Write what waits, say goodbye and stop. Safe to call twice."""

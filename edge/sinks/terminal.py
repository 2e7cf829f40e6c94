"""What the operator reads in the terminal: a live line, events as they happen, the summary."""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Sequence

from edge.clock import Clock, wall_time
from edge.sinks import Sink
from edge.sinks.outbox import Outbox, standard_error, standard_output
from edge.sinks.registry import STANDARD_OUTPUT, Opening
from edge.sinks.systemd import is_journal
from edge.status import SourceKind, Status, Summary
from edge.text import plural
from edge.values import Event, EventKind
from edge.verdicts import counted

TERMINAL_EVERY = 0.25
"""Interval between updates of the live line, in seconds."""
PLAIN_EVERY = 10.0
"""Interval between lines without a terminal, in seconds."""
CLEAR = "\r\x1b[K"


def open_sink(opening: Opening) -> Sink:
    """Write to standard output, or to standard error where events take the former."""
    to_error = opening.events == STANDARD_OUTPUT
    stream, open_outbox = (sys.stderr, standard_error) if to_error else (sys.stdout, standard_output)
    outbox = open_outbox(opening.patient, opening.commands)
    return Screen(outbox, opening.clock, stream.isatty(), opening.quiet, is_journal(stream, os.environ))


class Screen(Sink):
    """Readable text. On a terminal one line is rewritten in place; elsewhere a line is added now and then.

    In the journal there is a line an event and no more: the journal stamps each, and systemd shows how it goes.
    """

    name = "the terminal"

    def __init__(self, outbox: Outbox, clock: Clock, terminal: bool, quiet: bool, journal: bool = False) -> None:
        """Write to ``outbox``.

        Args:
            outbox: Standard output, or standard error where events take the former.
            clock: Paces the line.
            terminal: Whether ``outbox`` is a terminal.
            quiet: Write nothing at all.
            journal: Whether ``outbox`` leads to systemd's journal.
        """
        self._outbox = outbox
        self._clock, self._terminal, self._quiet, self._journal = clock, terminal, quiet, journal
        self.every = TERMINAL_EVERY if terminal else PLAIN_EVERY
        self._last_at = self._first_at = clock.monotonic()
        self._last_frames = 0
        self._told_at = -math.inf
        self._kind, self._counted = SourceKind.CAMERA, True
        self._line = ""

    def say(self, sentence: str) -> None:
        """Write a line that stays."""
        if not self._quiet:
            self._outbox.put(f"{CLEAR}{sentence}\n{self._line}" if self._line else f"{sentence}\n")

    def tell(self, events: Sequence[Event]) -> None:
        """Write what happened, an alert on the line of the verdict that raised it.

        No line has an earlier time than the one above: the end of a visit is known only a while after it.
        """
        alarmed = {event.person for event in events if event.kind is EventKind.ALERT_ON}
        self._told_at = max([self._told_at, *(event.at for event in events)])
        for event in events:
            if event.kind is EventKind.ALERT_ON and _told_with_verdict(event, events):
                continue
            text = describe(event)
            if event.kind is EventKind.VERDICT and event.person in alarmed:
                text += " - ALERT"
            self.say(text if self._journal else f"{wall_time(self._clock, self._told_at).astimezone():%H:%M:%S} {text}")

    def show(self, status: Status) -> None:
        """Renew the live line if it is time to."""
        self._kind, self._counted = status.camera.kind, status.counted
        now = self._clock.monotonic()
        passed = now - self._last_at
        if self._quiet or self._journal or passed < self.every:
            return
        fps = (status.frames - self._last_frames) / passed
        self._last_at, self._last_frames = now, status.frames
        line = (
            f"{'demo | ' if status.camera.kind is SourceKind.DEMO else ''}{fps:5.1f} fps"
            f" | {plural(len(status.people), 'person', 'people')} in view | visits: {counted(status.totals)}"
            f" | {status.dropped} frames dropped"
        )
        if self._terminal:
            self._line = line[: shutil.get_terminal_size().columns - 1]
            self._outbox.put(f"{CLEAR}{self._line}")
        else:
            self._outbox.put(f"{line}\n")

    def finish(self, summary: Summary) -> None:
        """Write the summary."""
        if self._line:
            self._line = ""
            self._outbox.put(CLEAR)
        self.say(
            f"\nFrames   {summary.frames} in {summary.seconds:.1f} s, {summary.fps:.1f} per second,"
            f" {summary.dropped} dropped\nVisits   {summary.visits}: {counted(summary.totals)}{self._not_counted}"
        )

    def close(self) -> None:
        """Write what waits."""
        self._outbox.close()

    @property
    def _not_counted(self) -> str:
        return "" if self._counted else f" (a {self._kind}: not counted)"


def describe(event: Event) -> str:
    """One event in the operator's words."""
    who = f"person {event.person}"
    held = event.verdict.words if event.verdict else ""
    sentences = {
        EventKind.VISIT_STARTED: f"{who}: arrived",
        EventKind.VERDICT: f"{who}: {held}",
        EventKind.VISIT_ENDED: f"{who}: left after {event.seconds or 0.0:.1f} s, {held}",
        EventKind.ALERT_ON: f"{who}: {held} - ALERT" if held else f"{who}: ALERT",
        EventKind.ALERT_OFF: "alert off",
        EventKind.CAMERA_LOST: "camera lost",
        EventKind.CAMERA_BACK: "camera back",
        EventKind.OPERATOR: "operator",
    }
    text = sentences[event.kind]
    return f"{text} ({event.detail})" if event.detail else text


def _told_with_verdict(alert: Event, events: Sequence[Event]) -> bool:
    return any(event.kind is EventKind.VERDICT and event.person == alert.person for event in events)

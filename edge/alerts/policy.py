"""When the alarm sounds and the green light shines. Decides only; an ``Alert`` drives the hardware.

The rules:

- An alarming verdict starts the alarm in the same update, once a person and visit.
- It stops after ``duration``, or at once when that person masks up or the visit ends.
- For ``refractory`` after an alarm has started no other starts; who is held to be unmasked meanwhile waits, and is
  alerted when that time is over, if still here and still unmasked. Nothing ever blocks.
- The green light shines while somebody masked is here and no alarm sounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.alerts import Alert
from edge.config import AlertSettings
from edge.values import Event, EventKind, Person, Verdict


@dataclass(frozen=True, slots=True)
class _Sounding:
    """The alarm that is on: for whom, since when, and what was held of them."""

    person: int
    since: float
    verdict: Verdict


class AlertPolicy:
    """Turns verdicts into alarms.

    Args:
        settings: How long, how often.
        output: What to switch; it is told only of changes.
    """

    def __init__(self, settings: AlertSettings, output: Alert) -> None:
        self._settings = settings
        self._output = output
        self._sounding: _Sounding | None = None
        self._last_start = -math.inf
        self._alerted: set[int] = set()
        self._welcoming = False

    @property
    def sounding(self) -> bool:
        """Whether the alarm is on."""
        return self._sounding is not None

    def update(self, events: Sequence[Event], people: Sequence[Person], at: float) -> list[Event]:
        """Take in what a frame changed.

        Args:
            events: What the tracker reported of this frame.
            people: Everybody whose visit is open.
            at: Scene seconds of the frame.

        Returns:
            ``alert_off`` (with the seconds it sounded) and ``alert_on`` events, in that order.
        """
        ended = {event.person for event in events if event.kind is EventKind.VISIT_ENDED}
        here = [person for person in people if person.id not in ended]
        said = self._stop_if_over(here, at) + self._start_if_due(here, at)
        self._alerted = {person for person in self._alerted if person not in ended}
        self._welcome(self._sounding is None and any(person.verdict is Verdict.WITH_MASK for person in here))
        return said

    def close(self) -> None:
        """Silence, dark, and the output let go. Safe to call twice."""
        self._sounding = None
        self._output.close()

    def _stop_if_over(self, here: Sequence[Person], at: float) -> list[Event]:
        sounding = self._sounding
        if sounding is None:
            return []
        unmasked = any(person.id == sounding.person and person.verdict.alarming for person in here)
        if unmasked and at - sounding.since < self._settings.duration:
            return []
        self._sounding = None
        self._output.alarm(on=False)
        return [Event(EventKind.ALERT_OFF, at, sounding.person, sounding.verdict, at - sounding.since)]

    def _start_if_due(self, here: Sequence[Person], at: float) -> list[Event]:
        waiting = [person for person in here if person.verdict.alarming and person.id not in self._alerted]
        if not waiting or self._sounding or at - self._last_start < self._settings.refractory:
            return []
        person = waiting[0]
        self._alerted.add(person.id)
        self._sounding = _Sounding(person.id, at, person.verdict)
        self._last_start = at
        self._welcome(on=False)
        self._output.alarm(on=True)
        return [Event(EventKind.ALERT_ON, at, person.id, person.verdict)]

    def _welcome(self, on: bool) -> None:
        if on != self._welcoming:
            self._welcoming = on
            self._output.welcome(on)

"""When the alarm sounds, the green light shines and the relay lets in. Decides only; an ``Alert`` drives the hardware.

The rules:

- An alarming verdict starts the alarm in the same update, once a person and visit.
- It stops after ``duration``, or at once when that person masks up or the visit ends.
- For ``refractory`` after an alarm has started no other starts; who is held to be unmasked meanwhile waits, and is
  alerted when that time is over, if still here and still unmasked. Nothing ever blocks.
- The green light shines while somebody masked is here and no alarm sounds.
- In quiet hours, and for ``mute_for`` after the button was pressed, nothing sounds; lamps go on. A second press ends
  the latter.
- The relay is energised while the alarm is on, or while somebody masked is here and nobody is held to be unmasked:
  for ``relay_for`` from when it first was for that person, and again after somebody unmasked has gone. Who is unsure
  neither energises nor releases it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.alerts import Alert
from edge.alerts.quiet import QuietHours
from edge.alerts.state import AlertState, OutputKind
from edge.clock import Clock, SystemClock
from edge.config import AlertSettings
from edge.control import RefusedError
from edge.messages import lasting, message, together
from edge.pacing import SayOnce
from edge.values import Event, EventKind, Person, Verdict

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Sounding:
    """The alarm that is on: for whom, since when, and what was held of them."""

    person: int
    since: float
    verdict: Verdict


class AlertPolicy:
    """Turns verdicts into alarms.

    Args:
        settings: How long, how often, when not.
        output: What to switch; called only for changes.
        clock: Whose wall time quiet hours follow; default: the machine's.
    """

    def __init__(self, settings: AlertSettings, output: Alert, clock: Clock | None = None) -> None:
        self._settings = settings
        self._output = output
        self._clock = clock or SystemClock()
        self._quiet_hours = QuietHours.parse(settings.quiet_hours)
        self._sounding: _Sounding | None = None
        self._last_start = -math.inf
        self._alerted: set[int] = set()
        self._welcoming = self._hushed = self._energised = False
        self._muted_until = -math.inf
        self._let_in: dict[int, float] = {}
        self._say = SayOnce(log)

    def configure(self, settings: AlertSettings) -> None:
        """Decide by other settings from now on; the outputs stay open and change their rhythm."""
        if settings != self._settings:
            self._output.configure(settings)
        self._settings = settings
        self._quiet_hours = QuietHours.parse(settings.quiet_hours)

    @property
    def sounding(self) -> bool:
        """Whether the alarm is on."""
        return self._sounding is not None

    @property
    def hushed(self) -> bool:
        """Whether buzzer and sound are silent, by the button or the hour."""
        return self._hushed

    @property
    def trouble(self) -> str | None:
        """What the output cannot do, as a sentence; None if there is no problem."""
        return self._output.trouble

    def state(self, at: float) -> AlertState:
        """What the outputs do at monotonic second ``at``."""
        muted_until = self._muted_until if at < self._muted_until else None
        return AlertState(self._output.outputs, muted_until, self._in_quiet_hours())

    def mute(self, seconds: float | None, at: float) -> str:
        """Keep buzzer and sound silent for ``seconds`` from ``at``, ``alerts.mute_for`` by default. Says so."""
        seconds = self._settings.mute_for if seconds is None else seconds
        self._muted_until = at + seconds
        self._hush(at)
        return message("operator.muted", time=lasting(seconds))

    def unmute(self, at: float) -> str:
        """End a mute. Says whether anything can be heard now."""
        self._muted_until = -math.inf
        self._hush(at)
        return message("operator.quiet" if self._hushed else "operator.unmuted")

    def try_output(self, kind: OutputKind, confirmed: bool = False) -> str:
        """Switch one output on for a moment, also while muted. No alarm, no event. Says what was done.

        One that failed before is tried again, as an alarm would: it may have been repaired.

        Raises:
            RefusedError: There is none, it did not work before, or a relay was not confirmed.
        """
        found = next((output for output in self._output.outputs if output.kind == kind), None)
        if found is None:
            raise RefusedError(message("operator.no_output", kind=kind, key=kind if kind == "sound" else f"{kind}_pin"))
        if kind == "relay" and not confirmed:
            raise RefusedError(message("operator.relay"))
        self._output.try_output(kind)
        if found.trouble:
            raise RefusedError(together([found.trouble, message("operator.tried_again")]))
        return message("operator.tried", output=found.name)

    def update(self, events: Sequence[Event], people: Sequence[Person], at: float) -> list[Event]:
        """Take in what a frame changed.

        Args:
            events: What the tracker reported of this frame.
            people: Everybody whose visit is open.
            at: Monotonic seconds of the frame.

        Returns:
            ``alert_off`` (with the seconds it sounded) and ``alert_on`` events, in that order.
        """
        ended = {event.person for event in events if event.kind is EventKind.VISIT_ENDED}
        here = [person for person in people if person.id not in ended]
        self._hush(at)
        said = self._stop_if_over(here, at) + self._start_if_due(here, at)
        self._alerted = {person for person in self._alerted if person not in ended}
        self._welcome(self._sounding is None and any(person.verdict.welcome for person in here))
        self._switch_relay(here, at)
        self._say_trouble()
        return said

    def close(self) -> None:
        """Switch everything off and release the output. Safe to call twice."""
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

    def _hush(self, at: float) -> None:
        if self._output.pressed():
            self._muted_until = -math.inf if at < self._muted_until else at + self._settings.mute_for
        on = self._in_quiet_hours() or at < self._muted_until
        if on != self._hushed:
            self._hushed = on
            self._output.hush(on)

    def _in_quiet_hours(self) -> bool:
        return self._quiet_hours is not None and self._quiet_hours.at(self._clock.now())

    def _switch_relay(self, here: Sequence[Person], at: float) -> None:
        if self._settings.relay_pin is None:
            return
        extended = False
        if self._settings.relay == "alarm":
            on = self._sounding is not None
        elif any(person.verdict.alarming for person in here):
            self._let_in.clear()
            on = False
        else:
            masked = {person.id for person in here if person.verdict.welcome}
            extended = bool(masked - self._let_in.keys())
            since = dict.fromkeys(masked, at) | self._let_in
            self._let_in = {person.id: since[person.id] for person in here if person.id in since}
            on = any(at - since[person] < self._settings.relay_for for person in masked)
        if on != self._energised or extended:
            self._energised = on
            self._output.relay(on)

    def _say_trouble(self) -> None:
        if trouble := self._output.trouble:
            self._say.warn(trouble, then="The other outputs still work.")

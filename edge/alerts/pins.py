"""Lamps, a buzzer, a relay and a button on pins, whatever library drives the pins."""

from __future__ import annotations

import atexit
import logging
import math
import threading
import time
from collections.abc import Mapping
from typing import Literal, Protocol, get_args

from edge.alerts import Alert
from edge.alerts.pattern import Pattern, Rhythm
from edge.alerts.state import OutputKind, OutputState
from edge.config import AlertSettings
from edge.messages import message, together

Role = Literal["led", "welcome", "buzzer", "relay"]
ROLES: tuple[Role, ...] = get_args(Role)
BUTTON = "mute"
KEYS: Mapping[str, str] = {role: f"{role}_pin" for role in (*ROLES, BUTTON)}
"""The setting that names the pin of each part."""
NAMES: Mapping[Role, str] = {"led": "red lamp", "welcome": "green lamp", "buzzer": "buzzer", "relay": "relay"}
RETRY = 1.0
"""Pause before a pin that failed is switched again, in seconds."""
PATIENCE = 2.0
"""Maximum time to switch a pin, in seconds; after that it counts as hanging."""
TRIAL = 1.0
"""How long a tested pin stays on, in seconds."""
OFF: Mapping[Role, bool] = dict.fromkeys(ROLES, False)

log = logging.getLogger(__name__)


class Lines(Protocol):
    """Output lines, off when opened, and perhaps a button. Any call may raise anything, or hang.

    Attributes:
        name: What they are, for the operator.
    """

    name: str

    def set(self, role: Role, on: bool) -> None:
        """Switch the line of ``role``; nothing happens where it is not wired."""
        ...

    def pressed(self) -> bool:
        """Whether the button was pressed since the last call. Does not wait."""
        ...

    def close(self) -> None:
        """Everything off, then let the lines go. Safe to call twice."""
        ...


class PinAlert(Alert):
    """Flashes and beeps together. Its own thread switches the lines, so a line that hangs delays nothing else.

    The pattern ends by itself after ``duration`` and the relay after its time, so that a program that hangs leaves
    neither on. Everything is off from the start, after ``close`` and when the interpreter exits.

    Args:
        lines: Opened; closed with this.
        settings: Pattern and relay (seconds).
    """

    def __init__(self, lines: Lines, settings: AlertSettings) -> None:
        self.name = lines.name
        self._lines = lines
        self._relay_for = _relay_for(settings)
        self._wanted = threading.Condition()
        self._changed = self._closing = False
        self._pattern = Pattern(Rhythm.of(settings))
        self._hushed = self._welcoming = False
        self._relay_until = -math.inf
        self._tried_until: dict[Role, float] = dict.fromkeys(ROLES, -math.inf)
        self._wired = {role: pin for role in ROLES if (pin := getattr(settings, KEYS[role])) is not None}
        self._is: dict[Role, bool] = dict(OFF)
        self._failures: dict[str, str] = {}
        self._calling_since: float | None = None
        atexit.register(self.close)
        self._thread = threading.Thread(target=self._work, name="alert pins", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Which pin cannot be switched, or that one hangs."""
        failures = list(self._failures.values())
        return self._hang or (together(failures) if failures else None)

    @property
    def outputs(self) -> tuple[OutputState, ...]:
        """A state for each pin that is wired; all have trouble while one hangs."""
        failures, hang = dict(self._failures), self._hang
        return tuple(
            OutputState(role, message(f"output.{role}", pin=pin), hang or failures.get(role))
            for role, pin in self._wired.items()
        )

    @property
    def _hang(self) -> str | None:
        since = self._calling_since
        if since is None or time.monotonic() - since <= PATIENCE:
            return None
        return message("alerts.hung", name=self.name)

    def configure(self, settings: AlertSettings) -> None:
        """Play the next alarm in another rhythm; one that sounds now goes on as it began."""
        with self._wanted:
            self._pattern.rhythm = Rhythm.of(settings)
            self._relay_for = _relay_for(settings)

    def alarm(self, on: bool) -> None:
        """Start the pattern from its beginning, or stop it."""
        with self._wanted:
            if on:
                self._pattern.start(time.monotonic())
            else:
                self._pattern.stop()
            self._notify()

    def hush(self, on: bool) -> None:
        """Mute the buzzer, or unmute it."""
        with self._wanted:
            self._hushed = on
            self._notify()

    def welcome(self, on: bool) -> None:
        """Light or darken the green LED."""
        with self._wanted:
            self._welcoming = on
            self._notify()

    def relay(self, on: bool) -> None:
        """Energise the relay for its time, counted from now, or release it."""
        with self._wanted:
            self._relay_until = time.monotonic() + self._relay_for if on else -math.inf
            self._notify()

    def try_output(self, kind: OutputKind) -> None:
        """Switch one pin on for ``TRIAL`` seconds, counted from now."""
        if kind not in self._wired:
            return
        with self._wanted:
            self._tried_until[kind] = time.monotonic() + TRIAL
            self._notify()

    def pressed(self) -> bool:
        """Whether the mute button was pressed since the last call."""
        if self._closing or BUTTON in self._failures:
            return False
        try:
            return self._lines.pressed()
        except Exception as error:  # drivers raise what they like
            self._failures[BUTTON] = message("alerts.button", key=KEYS[BUTTON], error=str(error))
            return False

    def close(self) -> None:
        """Switch everything off and release the lines."""
        atexit.unregister(self.close)
        with self._wanted:
            if self._closing:
                return
            self._closing = True
            self._notify()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            log.warning("The alert pins (%s) did not answer and may still be on; switch their power off.", self.name)

    def _notify(self) -> None:
        self._changed = True
        self._wanted.notify()

    def _work(self) -> None:
        while not self._closing:
            with self._wanted:
                self._changed = False
                now = time.monotonic()
                self._pattern.advance(now)
                levels = self._levels(now)
                ends = (self._relay_until, *self._tried_until.values())
                due = min(self._pattern.until, *(end for end in ends if end > now), math.inf)
            self._switch(levels)
            if self._failures.keys() - {BUTTON}:
                due = min(due, time.monotonic() + RETRY)
            with self._wanted:
                self._wanted.wait_for(lambda: self._changed, None if due == math.inf else due - time.monotonic())
        self._switch(OFF)
        try:
            self._lines.close()
        except Exception as error:  # drivers raise what they like
            log.warning("The alert pins (%s) cannot be released: %s; they may still be on.", self.name, error)

    def _levels(self, now: float) -> Mapping[Role, bool]:
        wanted: dict[Role, bool] = {
            "led": self._pattern.on,
            "welcome": self._welcoming,
            "buzzer": self._pattern.on and not self._hushed,
            "relay": now < self._relay_until,
        }
        return {role: on or now < self._tried_until[role] for role, on in wanted.items()}

    def _switch(self, levels: Mapping[Role, bool]) -> None:
        for role, on in levels.items():
            if self._is[role] == on and role not in self._failures:
                continue
            self._calling_since = time.monotonic()
            try:
                self._lines.set(role, on)
            except Exception as error:  # drivers raise what they like
                self._failures[role] = message("alerts.pin", key=KEYS[role], error=str(error))
            else:
                self._failures.pop(role, None)
                self._is[role] = on
            self._calling_since = None


def _relay_for(settings: AlertSettings) -> float:
    """How long the relay is energised at once, in seconds."""
    return settings.duration if settings.relay == "alarm" else settings.relay_for

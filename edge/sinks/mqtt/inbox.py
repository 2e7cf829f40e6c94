"""Commands over MQTT: checked strictly, then passed to the loop like those of the operator page.

A command is its word (``ON``), or JSON with the time it was given: ``{"do": "ON", "at": "2025-01-31T08:15:30Z"}``. One
that the broker retains, that is too old, or that is anything else is not carried out, and the answer says why. Nor is
one without the time that arrives after the connection has stalled: nothing tells how old it is.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import datetime, timezone
from functools import partial

from edge.alerts.state import OutputKind
from edge.clock import Clock, clock_is_set
from edge.control import Command, Commands, Mute, RefusedError, Restart, TryOutput, Unmute
from edge.messages import message, translated
from edge.pacing import SayOnce
from edge.sinks.mqtt.topics import OFF, ON, PRESS
from edge.status import Status

WORDS = {"mute": (ON, OFF), "test": (PRESS,), "restart": (PRESS,)}
"""Every command with its valid payloads."""
LONGEST = 200
"""Maximum payload, in bytes."""
TOO_OLD = 30.0
"""Maximum age of a command (or its distance in the future), in seconds."""
RESTART_AFTER = 30.0
"""Minimum uptime before a restart is accepted, in seconds: commands cannot keep the door from working."""
MOST_ANSWERS = 50
UNCONFIRMED: OutputKind = "relay"
"""The output that is not tested remotely: it may open a door, and nobody on site confirmed it."""

log = logging.getLogger(__name__)


class Inbox:
    """Takes commands, and keeps the answers until they are sent.

    Args:
        commands: The way to the loop.
        clock: The machine's.
        status: The newest; None before the first.

    Attributes:
        answers: JSON, oldest first.
    """

    def __init__(self, commands: Commands, clock: Clock, status: Callable[[], Status | None]) -> None:
        self.answers: deque[str] = deque(maxlen=MOST_ANSWERS)
        self._commands, self._clock, self._status = commands, clock, status
        self._say = SayOnce(log)

    def hear(self, name: str, payload: bytes, retained: bool, held_up: bool = False) -> None:
        """Carry out a command, or say why not. Returns immediately.

        Args:
            name: One of ``WORDS``.
            payload: As it came.
            retained: Whether the broker keeps it for everyone who comes.
            held_up: Whether it may have been delayed.
        """
        try:
            wanted = list(self._meant(name, self._word(name, payload, retained, held_up)))
        except RefusedError as refusal:
            self._answer(name, str(refusal), done=False)
            return
        log.info("MQTT: %s.", name)
        for command in wanted:
            self._commands.ask(command).add_done_callback(partial(self._told, name))

    def _word(self, name: str, payload: bytes, retained: bool, held_up: bool) -> str:
        """What is to be done: one of ``WORDS``.

        Raises:
            RefusedError: It is retained, malformed, too old, or perhaps so.
        """
        if retained:
            raise RefusedError(message("command.retained"))
        try:
            text = payload[: LONGEST + 1].decode()
            said = json.loads(text) if text.startswith("{") and len(payload) <= LONGEST else {"do": text}
        except ValueError as error:
            raise self._malformed(name) from error
        word = said.pop("do", None)
        age_known = "at" in said and self._check_age(name, said.pop("at"))
        if said or word not in WORDS[name]:
            raise self._malformed(name)
        if held_up and not age_known:
            raise RefusedError(message("command.held_up"))
        return str(word)

    def _check_age(self, name: str, given: object) -> bool:
        """Whether the age is known, and young enough."""
        try:
            at = datetime.fromisoformat(str(given).replace("Z", "+00:00"))
        except ValueError as error:
            raise self._malformed(name) from error
        if at.tzinfo is None:
            raise self._malformed(name)
        age = (self._clock.now() - at.astimezone(timezone.utc)).total_seconds()
        if clock_is_set() is False:
            return False
        if abs(age) > TOO_OLD:
            raise RefusedError(message("command.too_old" if age > 0 else "command.in_future", seconds=abs(age)))
        return True

    @staticmethod
    def _malformed(name: str) -> RefusedError:
        words = WORDS[name]
        return RefusedError(message("command.malformed", words=" / ".join(words), word=words[0]))

    def _meant(self, name: str, word: str) -> Iterator[Command]:
        status = self._status()
        if status is None:
            raise RefusedError(message("operator.starting"))
        if name == "mute":
            yield Mute() if word == ON else Unmute()
        elif name == "test":
            yield from self._tests(status)
        else:
            self._check_uptime(status)
            yield Restart()

    @staticmethod
    def _tests(status: Status) -> Iterator[Command]:
        kinds = [output.kind for output in status.alerts.outputs if output.kind != UNCONFIRMED]
        if not kinds:
            raise RefusedError(message("command.nothing_to_test"))
        yield from map(TryOutput, kinds)

    def _check_uptime(self, status: Status) -> None:
        uptime = self._clock.monotonic() - status.started_at
        if uptime < RESTART_AFTER:
            raise RefusedError(message("command.too_soon", uptime=uptime, after=RESTART_AFTER))

    def _told(self, name: str, answer: Future[str]) -> None:
        error = answer.exception()
        self._answer(name, str(error) if error else answer.result(), done=error is None)

    def _answer(self, name: str, said: str, done: bool) -> None:
        if not done:
            self._say.warn(f"The MQTT command {name} was not carried out: {said}")
        status = self._status()
        told = translated(said, status.language) if status else said
        self.answers.append(json.dumps({"command": name, "done": done, "said": told}, ensure_ascii=False))

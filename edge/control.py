"""What an operator may ask of a running door, and the one bounded queue that carries it to the loop.

    answer = commands.ask(Mute(seconds=300))
    print(answer.result(timeout=2))  # "Buzzer and sound are muted for 5 min."

Any thread may ask. The loop carries commands out between two frames, so nothing else changes the door's parts.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.alerts.state import OUTPUT_KINDS, OutputKind
from edge.errors import MaskgateError
from edge.messages import message
from edge.worker import Flag

if TYPE_CHECKING:
    from edge.config import Settings

MOST_WAITING = 16
"""Maximum commands waiting for the loop; further ones are refused."""
LONGEST_MUTE = 86400.0
"""Maximum mute in seconds: a door that is muted by mistake is heard again the next day."""


class RefusedError(MaskgateError, ValueError):
    """A command that cannot be carried out; the text says why."""


@dataclass(frozen=True, slots=True)
class Mute:
    """Keep buzzer and sound silent; lamps and relay go on.

    Attributes:
        seconds: For how long; None takes ``alerts.mute_for``.
    """

    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not 0 < self.seconds <= LONGEST_MUTE:  # nor is it NaN
            raise RefusedError(message("operator.mute_length", most=LONGEST_MUTE))


@dataclass(frozen=True, slots=True)
class Unmute:
    """End a mute."""


@dataclass(frozen=True, slots=True)
class TryOutput:
    """Switch one output on for a moment. It is no alarm: no event, and nothing is counted.

    Attributes:
        output: Which one.
        confirmed: Whether the operator has confirmed it; needed for a relay, which may open a door.
    """

    output: OutputKind
    confirmed: bool = False

    def __post_init__(self) -> None:
        if self.output not in OUTPUT_KINDS:
            raise RefusedError(
                message("operator.no_such_output", output=repr(self.output), known=", ".join(OUTPUT_KINDS))
            )


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    """Use other settings from now on; they are on the disk already.

    Attributes:
        settings: All of them.
        said: What was changed, as a sentence.
    """

    settings: Settings
    said: str


@dataclass(frozen=True, slots=True)
class Restart:
    """End cleanly with the exit code that makes the service manager start the door again."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End cleanly."""


Command = Mute | Unmute | TryOutput | ChangeSettings | Restart | Stop


class BadRequestError(ValueError):
    """A request that makes no sense; the text says why."""


def _mute(asked: Mapping[str, Any]) -> Command:
    seconds = asked.get("seconds")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
        raise BadRequestError(message("request.seconds"))
    return Mute(seconds)


REQUESTS: Mapping[str, Callable[[Mapping[str, Any]], Command]] = {
    "mute": _mute,
    "unmute": lambda _: Unmute(),
    "try": lambda asked: TryOutput(asked.get("output", ""), asked.get("confirmed") is True),
    "restart": lambda _: Restart(),
}
"""What operators may ask for, by the value of ``do``: over HTTP (``/api/control``) and over the control socket."""


def command_of(asked: Mapping[str, Any]) -> Command:
    """The command that a request asks for.

    Raises:
        BadRequestError: It asks for none.
        RefusedError: It asks for something that no door does.
    """
    make = REQUESTS.get(str(asked.get("do")))
    if make is None:
        raise BadRequestError(message("request.do", known=", ".join(REQUESTS)))
    return make(asked)


class Commands:
    """The queue. Its length is bounded, so a page that asks too often is refused and costs the loop nothing.

    Attributes:
        stopped: Set when the run should end; waits in the loop's thread wait on this.
        restart: Whether the door should start again after its end.
    """

    def __init__(self) -> None:
        self.stopped = Flag()
        self.restart = False
        self._closed = False
        self._waiting: queue.Queue[tuple[Command, Future[str]]] = queue.Queue(MOST_WAITING)

    def ask(self, command: Command) -> Future[str]:
        """Leave a command for the loop.

        Returns:
            What was done, as a sentence, once it is; or a ``RefusedError``.
        """
        answer: Future[str] = Future()
        if isinstance(command, Stop | Restart):
            self.restart = self.restart or isinstance(command, Restart)
            self.stopped.set()
            answer.set_result(message("operator.restarts" if self.restart else "operator.stops"))
            return answer
        if self._closed or self.stopped.is_set():
            answer.set_exception(RefusedError(message("operator.stopping")))
            return answer
        try:
            self._waiting.put_nowait((command, answer))
        except queue.Full:
            answer.set_exception(RefusedError(message("operator.busy")))
        return answer

    def waiting(self) -> Iterator[tuple[Command, Future[str]]]:
        """Take what waits now, oldest first. Commands that arrive meanwhile wait for the next call."""
        for _ in range(self._waiting.qsize()):
            yield self._waiting.get_nowait()

    def close(self) -> None:
        """Refuse what still waits, and all that comes: there is no loop any more."""
        self._closed = True
        for _, answer in self.waiting():
            answer.set_exception(RefusedError(message("operator.stopping")))

"""Carries out what operators ask, between two frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge.alerts.policy import AlertPolicy
from edge.control import ChangeSettings, Command, Commands, Mute, RefusedError, TryOutput, Unmute
from edge.messages import message
from edge.values import Event, EventKind

if TYPE_CHECKING:
    from edge.config import Settings


class Steered(Protocol):
    """What an operator can change of a door.

    Attributes:
        alerts: Muted and tested.
    """

    alerts: AlertPolicy

    def adopt(self, settings: Settings) -> None:
        """Use other settings from the next frame on."""
        ...


def obey(commands: Commands, door: Steered, at: float) -> list[Event]:
    """Carry out every command that waits, and answer each.

    Args:
        commands: Where they wait.
        door: What they are about.
        at: Monotonic seconds now.

    Returns:
        An event for each command that changed something; a test of an output changes nothing.
    """
    events = []
    for command, answer in commands.waiting():
        if not answer.set_running_or_notify_cancel():
            continue
        try:
            said = _carry_out(command, door, at)
        except RefusedError as error:
            answer.set_exception(error)
        else:
            answer.set_result(said)
            if not isinstance(command, TryOutput):
                events.append(Event(EventKind.OPERATOR, at, detail=said))
    return events


def _carry_out(command: Command, door: Steered, at: float) -> str:
    if isinstance(command, Mute):
        return door.alerts.mute(command.seconds, at)
    if isinstance(command, Unmute):
        return door.alerts.unmute(at)
    if isinstance(command, TryOutput):
        return door.alerts.try_output(command.output, command.confirmed)
    if isinstance(command, ChangeSettings):
        door.adopt(command.settings)
        return command.said
    raise RefusedError(message("operator.impossible", command=type(command).__name__))

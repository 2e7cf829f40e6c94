"""Carries out what operators ask, between two frames."""

from __future__ import annotations

from edge.alerts.policy import AlertPolicy
from edge.control import Command, Commands, Mute, RefusedError, TryOutput, Unmute


def obey(commands: Commands, alerts: AlertPolicy, at: float) -> None:
    """Carry out every command that waits, and answer each.

    Args:
        commands: Where they wait.
        alerts: Mutes and tests the outputs.
        at: Monotonic seconds now.
    """
    for command, answer in commands.waiting():
        if not answer.set_running_or_notify_cancel():
            continue
        try:
            answer.set_result(_carry_out(command, alerts, at))
        except RefusedError as error:
            answer.set_exception(error)


def _carry_out(command: Command, alerts: AlertPolicy, at: float) -> str:
    if isinstance(command, Mute):
        return alerts.mute(command.seconds, at)
    if isinstance(command, Unmute):
        return alerts.unmute(at)
    if isinstance(command, TryOutput):
        return alerts.try_output(command.output, command.confirmed)
    raise RefusedError("Settings of a running door cannot be changed; change the configuration file, then restart.")

"""Trying each alert output: through the door that runs, or, where none does, by opening the outputs of the settings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from edge.alerts.choose import open_alert
from edge.alerts.pins import TRIAL
from edge.alerts.policy import AlertPolicy
from edge.alerts.state import AlertState, OutputKind, OutputState
from edge.config import Settings
from edge.control import RefusedError
from edge.running import RunningDoor, find

SETTLE = 1.0
"""After an output was tried, a fault of it is known within this time, in seconds."""
WATCHED_FOR = TRIAL + SETTLE


class Outputs(Protocol):
    """What can be tried.

    Attributes:
        where: Through what it is tried, for the operator.
    """

    where: str

    def state(self) -> AlertState:
        """Which outputs there are, what of them does not work, and what keeps them silent."""
        ...

    def attempt(self, kind: OutputKind) -> None:
        """Switch one on for a moment.

        Raises:
            RefusedError: It did not work before; it is tried again all the same.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one output did.

    Attributes:
        output: As it was before.
        trouble: What is wrong with it after the attempt; None if nothing is.
    """

    output: OutputState
    trouble: str | None


def attempt(outputs: Outputs, output: OutputState) -> Outcome:
    """Try one output, and watch it for a moment."""
    try:
        outputs.attempt(output.kind)
    except RefusedError:
        refused = True
    else:
        refused = False
    time.sleep(WATCHED_FOR)
    after = next((one for one in outputs.state().outputs if one.kind == output.kind), output)
    return Outcome(output, after.trouble if not refused or after.trouble else None)


@contextmanager
def outputs_of(settings: Settings) -> Iterator[Outputs]:
    """Those of the running door, else those of the settings.

    Raises:
        UnreachableError: A door runs, and this user may not ask it.
        AlertError: An output was named that cannot be driven.
    """
    door = find(settings)
    if door:
        yield OfRunningDoor(door)
        return
    policy = AlertPolicy(settings.config.alerts, open_alert(settings.config.alerts))
    try:
        yield Opened(policy)
    finally:
        policy.close()


class OfRunningDoor:
    """The outputs of a door that runs."""

    where = "through the running maskgate"

    def __init__(self, door: RunningDoor) -> None:
        self._door = door

    def state(self) -> AlertState:
        """As the door last said."""
        said = self._door.ask({"do": "outputs"})
        states = tuple(OutputState(one["kind"], one["name"], one["trouble"]) for one in said["outputs"])
        return AlertState(states, 0.0 if said["muted"] else None, said["quiet_hours"])

    def attempt(self, kind: OutputKind) -> None:
        """Switch one on for a moment."""
        self._door.ask({"do": "try", "output": kind, "confirmed": True})


class Opened:
    """Outputs that were opened for this."""

    where = "directly, as no maskgate runs"

    def __init__(self, policy: AlertPolicy) -> None:
        self._policy = policy

    def state(self) -> AlertState:
        """As they are now."""
        return self._policy.state(time.monotonic())

    def attempt(self, kind: OutputKind) -> None:
        """Switch one on for a moment."""
        self._policy.try_output(kind, confirmed=True)

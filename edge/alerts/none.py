"""No lamp and no sounder: verdicts are still counted, logged and shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge.alerts import Alert
from edge.alerts.state import OutputKind, OutputState
from edge.messages import message

if TYPE_CHECKING:
    from edge.board import Profile
    from edge.config import AlertSettings


def open_output(_settings: AlertSettings, _board: Profile, _devices: Path) -> Alert:
    """Nothing is driven, as configured."""
    return NoAlert("by configuration")


class NoAlert(Alert):
    """Does nothing.

    Args:
        reason: Why, for the operator; becomes part of ``name``.
        trouble: The sentence for health, if the operator asked for an output.
        stands_for: The output that was asked for and is not available.
    """

    def __init__(self, reason: str, trouble: str | None = None, stands_for: OutputKind | None = None) -> None:
        self.name = message("output.none", reason=reason)
        self._trouble = trouble
        self._stands_for = stands_for

    @property
    def outputs(self) -> tuple[OutputState, ...]:
        """The output that is not available, with its trouble."""
        return (OutputState(self._stands_for, self.name, self._trouble),) if self._stands_for else ()

    @property
    def trouble(self) -> str | None:
        """Why there is no output."""
        return self._trouble

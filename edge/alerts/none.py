"""No lamp and no sounder: verdicts are still counted, logged and shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge.alerts import Alert

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
        trouble: The sentence for health, where this is not what the operator asked for.
    """

    def __init__(self, reason: str, trouble: str | None = None) -> None:
        self.name = f"none ({reason})"
        self._trouble = trouble

    @property
    def trouble(self) -> str | None:
        """What keeps it from being more than nothing."""
        return self._trouble

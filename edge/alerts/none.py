"""No lamp and no sounder: verdicts are still counted, logged and shown."""

from __future__ import annotations

from edge.alerts import Alert


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

"""No lamp and no sounder: verdicts are still counted, logged and shown."""

from __future__ import annotations


class NoAlert:
    """Stays silent.

    Args:
        reason: Why, for the operator; becomes part of ``name``.
    """

    def __init__(self, reason: str) -> None:
        self.name = f"none ({reason})"

    def alarm(self, on: bool) -> None:
        """Does nothing."""

    def welcome(self, on: bool) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""

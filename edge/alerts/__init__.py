"""What a person at the door sees and hears. The policy decides; an output drives the hardware."""

from __future__ import annotations

from typing import Protocol


class Alert(Protocol):
    """An output: lamps and a sounder, or nothing. Calls return at once and may be repeated."""

    name: str

    def alarm(self, on: bool) -> None:
        """Start or stop the alarm: the red LED and the buzzer pattern."""
        ...

    def welcome(self, on: bool) -> None:
        """Light or darken the green LED: somebody is here and masked."""
        ...

    def close(self) -> None:
        """Everything to safe off. Safe to call twice."""
        ...

"""What a person at the door sees and hears. The policy decides; an output drives the hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.alerts.state import OutputKind, OutputState

if TYPE_CHECKING:
    from edge.config import AlertSettings


class Alert:
    """An output. This one does nothing; each real one overrides what it can do.

    Every call returns immediately, may be repeated and never raises: what goes wrong is in ``trouble``. The frame loop
    depends on that.

    Attributes:
        name: What it is, for the operator.
    """

    name: str = "none"

    @property
    def trouble(self) -> str | None:
        """What does not work, as a sentence that says what to do; None if there is no problem."""
        return None

    @property
    def outputs(self) -> tuple[OutputState, ...]:
        """What is configured here, and what of it does not work."""
        return ()

    def configure(self, settings: AlertSettings) -> None:
        """Give the next alarms another rhythm and length; pins and sound card stay as they were opened."""

    def alarm(self, on: bool) -> None:
        """Start the alarm from its beginning, or stop it: the red LED, the buzzer pattern, the sound."""

    def hush(self, on: bool) -> None:
        """Keep buzzer and sound silent, or let them be heard again; lamps are not concerned."""

    def welcome(self, on: bool) -> None:
        """Light or darken the green LED: somebody is here and masked."""

    def relay(self, on: bool) -> None:
        """Energise the relay, for at most the configured time per call, or release it."""

    def try_output(self, kind: OutputKind) -> None:
        """Switch one output on briefly, even while muted. Does nothing if there is no such output."""

    def pressed(self) -> bool:
        """Whether the mute button was pressed since the last call."""
        return False

    def close(self) -> None:
        """Everything to safe off. Safe to call twice."""

"""Several outputs as one: pins and sound."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from edge.alerts import Alert
from edge.alerts.state import OutputKind, OutputState
from edge.config import AlertSettings
from edge.messages import together


class Together(Alert):
    """Passes every call on to each of ``outputs``."""

    def __init__(self, outputs: Sequence[Alert]) -> None:
        self._outputs = tuple(outputs)
        self.name = ", ".join(output.name for output in self._outputs)

    @property
    def trouble(self) -> str | None:
        """The sentences of all that have trouble."""
        troubles = [output.trouble for output in self._outputs if output.trouble]
        return together(troubles) if troubles else None

    @property
    def outputs(self) -> tuple[OutputState, ...]:
        """Those of all."""
        return tuple(state for output in self._outputs for state in output.outputs)

    def configure(self, settings: AlertSettings) -> None:
        """Change rhythm and length of each."""
        for output in self._outputs:
            output.configure(settings)

    def alarm(self, on: bool) -> None:
        """Start or stop the alarm of each."""
        for output in self._outputs:
            output.alarm(on)

    def hush(self, on: bool) -> None:
        """Silence each, or let each be heard."""
        for output in self._outputs:
            output.hush(on)

    def welcome(self, on: bool) -> None:
        """Light or darken each green LED."""
        for output in self._outputs:
            output.welcome(on)

    def relay(self, on: bool) -> None:
        """Energise or release each relay."""
        for output in self._outputs:
            output.relay(on)

    def try_output(self, kind: OutputKind) -> None:
        """Switch the output on in whichever part has it."""
        for output in self._outputs:
            output.try_output(kind)

    def pressed(self) -> bool:
        """Whether any mute button was pressed since the last call."""
        presses = [output.pressed() for output in self._outputs]  # every one is asked
        return any(presses)

    def close(self) -> None:
        """Each to safe off, also where another fails."""
        with ExitStack() as outputs:
            for output in self._outputs:
                outputs.callback(output.close)

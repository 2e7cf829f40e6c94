"""What the alert outputs do now, for anyone who shows it: pages, MQTT, metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

OutputKind = Literal["led", "welcome", "buzzer", "relay", "sound"]
OUTPUT_KINDS: tuple[OutputKind, ...] = get_args(OutputKind)
AUDIBLE: frozenset[OutputKind] = frozenset({"buzzer", "sound"})
"""The outputs that are silent while muted and in quiet hours."""


@dataclass(frozen=True, slots=True)
class OutputState:
    """One lamp, sounder or relay that is configured.

    Attributes:
        kind: ``led`` is the red alarm lamp, ``welcome`` the green one.
        name: For the operator: ``buzzer on pin 27``.
        trouble: Why it does not work, as a sentence; None while it does as far as is known.
    """

    kind: OutputKind
    name: str
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class AlertState:
    """All alert outputs, and what keeps them silent.

    Attributes:
        outputs: Those that are configured; empty where an alarm reaches nobody.
        muted_until: Monotonic second at which a mute ends; None while nothing is muted.
        quiet_hours: Whether it is a time of day in which nothing sounds.
    """

    outputs: tuple[OutputState, ...] = ()
    muted_until: float | None = None
    quiet_hours: bool = False

    @property
    def audible(self) -> bool:
        """Whether an alarm that began now would be heard."""
        sounders = any(output.kind in AUDIBLE and not output.trouble for output in self.outputs)
        return sounders and self.muted_until is None and not self.quiet_hours

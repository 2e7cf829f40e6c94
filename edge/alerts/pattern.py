"""The rhythm of an alarm, shared by lamps, buzzers and sound."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.config import AlertSettings


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A number of beeps with pauses between them.

    Attributes:
        on_time: Length of a beep, in seconds.
        off_time: Length of a pause, in seconds.
        beeps: How many.
    """

    on_time: float
    off_time: float
    beeps: int

    @classmethod
    def of(cls, settings: AlertSettings) -> Rhythm:
        """The rhythm that fills the configured duration; one long beep where there is no pause."""
        beeps = math.ceil(settings.duration / (settings.on_time + settings.off_time))
        if not settings.off_time:
            return cls(settings.on_time * beeps, 0.0, 1)
        return cls(settings.on_time, settings.off_time, beeps)


class Pattern:
    """A rhythm while it is played.

    If it is played late, beeps and pauses stretch but none is skipped. It ends by itself.

    Attributes:
        rhythm: What is played from the next start on.
        on: Whether a beep sounds now.
        until: When that changes, in monotonic seconds; infinite while nothing is played.
    """

    def __init__(self, rhythm: Rhythm) -> None:
        self.rhythm = self._played = rhythm
        self._left = 0
        self.stop()

    def start(self, now: float) -> None:
        """Play from the beginning."""
        self._played = self.rhythm
        self._left, self.on, self.until = self._played.beeps, False, now

    def stop(self) -> None:
        """Fall silent."""
        self._left, self.on, self.until = 0, False, math.inf

    def advance(self, now: float) -> None:
        """Go on to what is due at monotonic second ``now``."""
        if now < self.until:
            return
        if not self.on and self._left:
            self._left -= 1
            self.on, self.until = True, now + self._played.on_time
        else:
            self.on, self.until = False, now + self._played.off_time if self._left else math.inf

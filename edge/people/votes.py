"""Readings vote; the share of the votes, with hysteresis, is the verdict."""

from __future__ import annotations

import math

from edge.config import PeopleSettings
from edge.values import LABELS, Label, Reading, Verdict

MEMORY = 1.5
"""Votes fade with this time constant, in seconds: a mask put on is believed within about as long."""

PRIOR = 0.15
"""Doubt: seconds of evenly split votes that every share is reckoned with, so that one reading decides nothing."""

FIRST_VOTE = 0.05
"""Seconds the first reading of a person stands for."""

LONGEST_VOTE = 0.3
"""Seconds a reading stands for at most, however long ago the one before it was."""


class Ballot:
    """The votes on one person.

    A reading stands for the time since the one before it (at most ``LONGEST_VOTE``), weighted by detector score and
    face size, and splits its vote by its probabilities. Votes are therefore seconds, whatever the frame rate
    and however rarely a settled person is judged.
    """

    def __init__(self, settings: PeopleSettings) -> None:
        self._settings = settings
        self._votes = [0.0] * len(LABELS)
        self._first_at: float | None = None
        self.last_at: float | None = None
        self.verdict = Verdict.UNSURE
        self.contested = True
        """Whether the latest reading disagreed with the verdict, or there is none yet."""

    def cast(self, reading: Reading, at: float) -> bool:
        """Count a reading taken at ``at`` scene seconds. Returns whether the verdict changed."""
        since = FIRST_VOTE if self.last_at is None else at - self.last_at
        fade = math.exp(-since / MEMORY)
        weight = min(since, LONGEST_VOTE) * self._weight(reading)
        self._votes = [
            vote * fade + weight * probability
            for vote, probability in zip(self._votes, reading.probabilities, strict=True)
        ]
        if self._first_at is None:
            self._first_at = at
        self.last_at = at
        before = self.verdict
        if at - self._first_at >= self._settings.dwell:
            self._decide()
        self.contested = self.verdict.value != reading.label.value
        return self.verdict is not before

    @property
    def shares(self) -> tuple[float, ...]:
        """Each label's share of the votes, doubt included, in the order of ``LABELS``; they sum to 1."""
        total = sum(self._votes) + PRIOR
        return tuple((vote + PRIOR / len(LABELS)) / total for vote in self._votes)

    @property
    def confidence(self) -> float | None:
        """The verdict's share of the votes; None while it is unsure."""
        return None if self.verdict is Verdict.UNSURE else self.shares[LABELS.index(Label(self.verdict.value))]

    def _weight(self, reading: Reading) -> float:
        """Between 0 and 1: the score, less for faces nearer to the least size than to twice that."""
        size = reading.face.bbox.short_side / (2 * self._settings.min_face)
        return min(1.0, size) * reading.face.score

    def _decide(self) -> None:
        shares = self.shares
        leader = max(range(len(LABELS)), key=shares.__getitem__)
        if shares[leader] < self._settings.min_confidence:
            return
        held = self.confidence
        if held is not None and shares[leader] < held + self._settings.hysteresis:
            return
        self.verdict = Verdict(LABELS[leader].value)

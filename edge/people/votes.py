"""Readings vote; the share of the votes, with hysteresis, is the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge.config import PeopleSettings
from edge.people.tuning import Tuning
from edge.values import LABELS, Label, Reading, Verdict
from edge.verdicts import decide

EVEN = tuple(0.5 if label is Label.WITH_MASK else 0.5 / (len(LABELS) - 1) for label in LABELS)
"""How doubt is split between mask and alarm, so that it favours neither."""


class Ballot:
    """The votes on one person.

    A reading stands for the time the face was in sight since the one before it (up to ``Tuning.longest_vote``),
    weighted by detector score and face size, and splits its vote by its probabilities. Votes are therefore seconds,
    whatever the frame rate and however rarely a settled person is judged; time out of sight neither adds to them nor
    fades them.

    Attributes:
        readings: How many were cast.
        last_at: Scene seconds of the latest reading; None before the first.
        verdict: What is held of the person.
        contested: Whether the latest reading disagreed with the verdict, or there is none yet.
    """

    def __init__(self, settings: PeopleSettings, tuning: Tuning) -> None:
        self._settings, self._tuning = settings, tuning
        self._votes = [0.0] * len(LABELS)
        self._seconds = 0.0
        self._first_at: float | None = None
        self.readings = 0
        self.last_at: float | None = None
        self.verdict = Verdict.UNSURE
        self.contested = True

    def cast(self, reading: Reading, at: float, seen: float) -> bool:
        """Count a reading.

        Args:
            reading: Of this person.
            at: Scene seconds of the frame.
            seen: Seconds for which the face was in sight since the reading before.

        Returns:
            Whether the verdict changed.
        """
        stands_for = self._tuning.first_vote if self.last_at is None else min(seen, self._tuning.longest_vote)
        weight = stands_for * self._weight(reading)
        changed = self._add([weight * vote for vote in reading.votes], stands_for, at, at)
        self.readings += 1
        self.contested = self.verdict.value != reading.label.value
        return changed

    def take_over(self, other: Ballot) -> bool:
        """Count the votes on a newcomer who turned out to be this person. Returns whether the verdict changed."""
        if other._first_at is None or other.last_at is None:
            return False
        self.readings += other.readings
        self.contested = True
        return self._add(other._votes, other._seconds, other._first_at, other.last_at)

    def _add(self, votes: Sequence[float], seconds: float, first_at: float, last_at: float) -> bool:
        """Count votes cast between two times, and decide. Returns whether the verdict changed."""
        fade = math.exp(-seconds / self._tuning.memory)
        self._votes = [vote * fade + new for vote, new in zip(self._votes, votes, strict=True)]
        self._seconds += seconds
        self._first_at = first_at if self._first_at is None else self._first_at
        self.last_at = last_at
        before = self.verdict
        if last_at - self._first_at >= self._settings.dwell:
            self._decide()
        return self.verdict is not before

    @property
    def leaning(self) -> tuple[float, ...] | None:
        """Each label's share of the votes without doubt; None before the first reading."""
        total = sum(self._votes)
        return tuple(vote / total for vote in self._votes) if total > 0 else None

    @property
    def shares(self) -> tuple[float, ...]:
        """Each label's share of the votes, doubt included, in the order of ``LABELS``; they sum to 1."""
        doubt = self._tuning.prior
        total = sum(self._votes) + doubt
        return tuple((vote + doubt * part) / total for vote, part in zip(self._votes, EVEN, strict=True))

    @property
    def confidence(self) -> float | None:
        """The verdict's share of the votes; None while it is unsure."""
        return None if self.verdict is Verdict.UNSURE else _share(self.shares, Label(self.verdict.value))

    def _weight(self, reading: Reading) -> float:
        """Between 0 and 1: the score, less for faces nearer to the least size than to twice that."""
        size = reading.face.bbox.short_side / (2 * self._settings.min_face)
        return min(1.0, size) * reading.face.score

    def _decide(self) -> None:
        leader = decide(self.shares)
        if _backing(self.shares, leader) >= self._settings.min_confidence and self._overcomes_verdict(leader):
            self.verdict = Verdict(leader.value)

    def _overcomes_verdict(self, leader: Label) -> bool:
        """Whether a label leads the verdict by the hysteresis; there is nothing to lead while it is unsure."""
        if self.verdict is Verdict.UNSURE:
            return True
        held = Label(self.verdict.value)
        measure = _share if Label.WITH_MASK not in {leader, held} else _backing
        return measure(self.shares, leader) >= measure(self.shares, held) + self._settings.hysteresis


def _share(shares: Sequence[float], label: Label) -> float:
    return shares[LABELS.index(label)]


def _backing(shares: Sequence[float], label: Label) -> float:
    """The share for a mask, or for all alarms together: an alarm can be certain before its kind is."""
    masked = _share(shares, Label.WITH_MASK)
    return masked if label is Label.WITH_MASK else 1 - masked

"""Quiet hours: the part of the day in which nothing sounds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timezone

from edge.messages import message

WRITTEN = re.compile(r"(\d{1,2}):(\d{2}) *- *(\d{1,2}):(\d{2})")
UNSET_BEFORE = datetime(2025, 1, 1, tzinfo=timezone.utc)
"""A clock that shows less was never set: a board without a real-time clock starts in the past."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``begin`` up to but not including ``end``, in local wall time; over midnight where ``end`` is earlier."""

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> QuietHours | None:
        """Read ``22:00-06:30``; None for an empty text.

        Raises:
            ValueError: The text is something else; it says what to write.
        """
        if not text.strip():
            return None
        match = WRITTEN.fullmatch(text.strip())
        if not match:
            raise ValueError(message("config.quiet_hours"))
        begin_hour, begin_minute, end_hour, end_minute = map(int, match.groups())
        try:
            hours = cls(time(begin_hour, begin_minute), time(end_hour, end_minute))
        except ValueError:
            raise ValueError(message("config.time_of_day")) from None
        if hours.begin == hours.end:
            raise ValueError(message("config.always_quiet"))
        return hours

    def at(self, moment: datetime) -> bool:
        """Whether ``moment`` (aware) lies in them, by this machine's time zone.

        Never while the clock was plainly not set: an alarm too many disturbs less than one that stays away.
        """
        if moment < UNSET_BEFORE:
            return False
        now = moment.astimezone().time()
        if self.begin < self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end

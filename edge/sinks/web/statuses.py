"""What ``/api/status`` says, brought to the operators' pages: put together once for all who follow it in a language."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from edge.clock import Clock
from edge.pacing import SayOnce
from edge.sinks.web.feed import Feed

EVERY = 4.0
"""Interval between two statuses while nothing happens, in seconds."""
AT_MOST_EVERY = 1.0
"""The same while much happens."""

log = logging.getLogger(__name__)


class Issue(NamedTuple):
    """One status: when it was put together, its number, the newest event in it, and it as a part of the stream."""

    at: float
    number: int
    newest: int
    part: bytes


NONE_YET = Issue(float("-inf"), 0, -1, b"")


class Statuses:
    """The newest status in each language that somebody follows.

    Args:
        report: Puts a status together, as JSON, in a language.
        feed: Tells whether something happened.
        clock: Tells what is due.
    """

    def __init__(self, report: Callable[[str], Awaitable[bytes]], feed: Feed, clock: Clock) -> None:
        self._report, self._feed, self._clock = report, feed, clock
        self._followers: dict[str, int] = {}
        self._issues: dict[str, Issue] = {}
        self._say = SayOnce(log)

    @contextmanager
    def follower(self, language: str | None) -> Iterator[None]:
        """Count somebody in who follows the status in ``language``; None for somebody who does not."""
        if language is None:
            yield
            return
        self._followers[language] = self._followers.get(language, 0) + 1
        try:
            yield
        finally:
            self._followers[language] -= 1
            if not self._followers[language]:
                del self._followers[language]
                self._issues.pop(language, None)

    def newest(self, language: str) -> Issue:
        """The newest in ``language``."""
        return self._issues.get(language, NONE_YET)

    async def renew(self) -> bool:
        """Put together what is due, once for all. Returns whether something was."""
        due = [language for language in self._followers if self._is_due(language)]
        try:
            for language in due:
                await self._put_together(language)
        except (
            Exception
        ) as error:  # the kiosk listens to the same stream; a page without a status asks for it and is told
            self._say.warn(f"The status of the operator page failed ({type(error).__name__}: {error}).")
        return bool(due)

    def _is_due(self, language: str) -> bool:
        issue = self.newest(language)
        every = EVERY if issue.newest == self._feed.newest else AT_MOST_EVERY
        return self._clock.monotonic() - issue.at >= every

    async def _put_together(self, language: str) -> None:
        now, newest, number = self._clock.monotonic(), self._feed.newest, self.newest(language).number + 1
        part = b"event: status\ndata: " + await self._report(language) + b"\n\n"
        if language in self._followers:
            self._issues[language] = Issue(now, number, newest, part)

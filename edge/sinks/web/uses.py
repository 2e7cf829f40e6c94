"""When each token was last used: noted by the door, kept next to the counts, shown by ``maskgate token list``.

Noting only changes memory; a thread writes, seldom enough for an SD card, so the file may lag by ``LAG``.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from edge.clock import Clock
from edge.config import CountSettings
from edge.config.place import store_path
from edge.files import NotTextError, read_text, replace_text
from edge.sinks.web.token import Secret
from edge.worker import Worker

LAG = timedelta(minutes=10)
"""Maximum age of what is on the disk while a token is in use."""
LOOK_EVERY = 1.0
"""Interval between checks whether there is something to write, in seconds."""
FAREWELL = 1.0
"""Timeout for the last write, in seconds."""

log = logging.getLogger(__name__)


class Use(NamedTuple):
    """The newest use of a token.

    Attributes:
        secret: The token's; another token of the same name has another.
        at: When it was.
    """

    secret: Secret
    at: datetime

    def is_news(self, written: Use | None, lag: timedelta) -> bool:
        """Whether it should be written, where ``written`` is on the disk."""
        return written is None or written.secret != self.secret or self.at - written.at > lag


class Uses:
    """Remembers when tokens were used.

    Args:
        counts: Where the state folder is.
        clock: Tells the time.
    """

    def __init__(self, counts: CountSettings, clock: Clock) -> None:
        self._path, self._clock = path_of(counts), clock
        self._kept: dict[str, datetime] = {}
        self._written: dict[str, Use] = {}
        self._noted: dict[str, Use] = {}
        self._worker: Worker | None = None

    def start(self) -> None:
        """Write what is noted from now on."""
        self._worker = Worker("token uses", self._run)

    def note(self, name: str, secret: Secret) -> None:
        """The token of that name and secret was used now."""
        self._noted[name] = Use(secret, self._clock.now())

    def close(self) -> None:
        """Write what is left. Safe to call twice."""
        if self._worker:
            self._worker.close(within=FAREWELL)

    def _run(self, worker: Worker) -> None:
        with suppress(OSError):  # what cannot be read cannot be written either, and that is said
            self._kept = read(self._path)
        while not worker.wait(LOOK_EVERY):
            self._write(LAG)
        self._write(timedelta())

    def _write(self, lag: timedelta) -> None:
        noted = dict(self._noted)
        if not any(use.is_news(self._written.get(name), lag) for name, use in noted.items()):
            return
        self._kept |= {name: use.at for name, use in noted.items()}
        text = json.dumps({name: at.isoformat(timespec="seconds") for name, at in self._kept.items()})
        self._written = noted  # a disk that takes nothing is tried again with the next use that is due
        try:
            replace_text(self._path, f"{text}\n", 0o600)
        except OSError as error:
            log.info("Cannot write to %s when tokens were used: %s.", self._path, error.strerror)


def path_of(counts: CountSettings) -> Path:
    """Where it is kept."""
    return store_path(counts).with_name("web-token-uses.json")


def read(path: Path) -> dict[str, datetime]:
    """When each token was last used, by name, in local time; empty for a file that is absent or damaged.

    Raises:
        OSError: It cannot be read.
    """
    try:
        said = json.loads(read_text(path))
        return {str(name): datetime.fromisoformat(at).astimezone() for name, at in said.items()}
    except FileNotFoundError:
        return {}
    except (NotTextError, ValueError, TypeError, AttributeError, OverflowError) as error:
        log.info("%s is damaged and will be replaced: %s", path, error)
        return {}

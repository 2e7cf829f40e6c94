"""The valid tokens, as their files are now: a new or revoked token takes effect immediately.

The files are looked at again with each request and each second; they are read where one has changed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from edge.config import CountSettings, WebSettings
from edge.errors import ConfigError
from edge.pacing import SayOnce
from edge.sinks.web import token
from edge.sinks.web.listen import is_open
from edge.sinks.web.token import Secret
from edge.sinks.web.uses import Uses

log = logging.getLogger(__name__)

Signature = tuple[tuple[str, int, int], ...]


class Keys:
    """The secrets of all tokens.

    Args:
        web: Where the tokens are, and the address that is served.
        counts: Where the state folder is.
        uses: Where the use of a token is noted.

    Raises:
        ConfigError: The network is served without a token, or a file cannot be read or is something else.
    """

    def __init__(self, web: WebSettings, counts: CountSettings, uses: Uses) -> None:
        self._uses = uses
        self._path, self._host = token.token_path(web, counts), web.host
        self._say = SayOnce(log)
        self._seen = self._signature()
        self._secrets: Mapping[str, Secret] = token.find_at(self._path, self._host)
        self._warn_of_exposed()

    @property
    def locked(self) -> bool:
        """Whether a token is needed: one exists, or the network is served and the last was taken away."""
        return bool(self._secrets) or is_open(self._host)

    def opened_by(self, word: str) -> Secret | None:
        """The secret of the token ``word``; None if it is not a token."""
        return self._used(lambda secret: secret.opens(word))

    def of_session(self, session: str) -> Secret | None:
        """The secret of the token that a browser signed in with; None if its cookie is void."""
        return self._used(lambda secret: secret.admits(session))

    def holds(self, secret: Secret) -> bool:
        """Whether its token is still in force."""
        return secret in self._secrets.values()

    def refresh(self) -> None:
        """Take in what has changed. What cannot be read leaves all as it was: nobody gets in by that."""
        seen = self._signature()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            # The network is served or not as before; that the last token is gone is no fault here.
            self._secrets = token.find_at(self._path, "localhost")
        except ConfigError as error:
            self._say.warn(str(error), then="The current tokens stay valid.")
            return
        self._say.forget()
        self._warn_of_exposed()

    def _used(self, fits: Callable[[Secret], bool]) -> Secret | None:
        for name, secret in self._secrets.items():
            if fits(secret):
                self._uses.note(name, secret)
                return secret
        return None

    def _warn_of_exposed(self) -> None:
        with suppress(OSError):  # revoked meanwhile
            for one in token.kept(self._path):
                if warning := token.exposed(one.path):
                    self._say.warn(warning)

    def _signature(self) -> Signature:
        """Differs whenever a token was made, replaced or revoked."""
        return tuple(_stamp(path) for path in (self._path, *_entries(token.folder_of(self._path))))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        found = os.lstat(path)
    except OSError:
        return path.name, 0, 0
    return path.name, found.st_ino, found.st_mtime_ns

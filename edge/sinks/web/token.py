"""The token that opens the screens to the network: made once, shown once, kept as a hash.

A token holds 256 random bits, so a plain SHA-256 keeps it: there is no dictionary to try. The file is the server's
secret all the same, because the cookie of a browser that has logged in is derived from it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from edge.config import CountSettings, WebSettings
from edge.errors import ConfigError
from edge.files import NotTextError, read_text
from edge.sinks.counts import store_path
from edge.sinks.web.listen import is_open

TOKEN_BYTES = 32
FORM = re.compile(r"sha256 ([0-9a-f]{64})\s*")
SESSION = b"maskgate session 1"


@dataclass(frozen=True, slots=True)
class Secret:
    """What is kept of a token. ``repr`` does not show it."""

    digest: bytes

    def __repr__(self) -> str:
        return "Secret()"

    def opens(self, token: str) -> bool:
        """Whether ``token`` is the one, compared in constant time."""
        return hmac.compare_digest(_digest(token), self.digest)

    @property
    def session(self) -> str:
        """The cookie of a browser that has shown the token; another token makes it void."""
        return hmac.new(self.digest, SESSION, "sha256").hexdigest()

    def admits(self, session: str) -> bool:
        """Whether ``session`` is that cookie, compared in constant time."""
        return hmac.compare_digest(self.session.encode(), session.encode("utf-8", "replace"))


def token_path(web: WebSettings, counts: CountSettings) -> Path:
    """Where the hash is kept: as set, else beside the counts."""
    return web.token_file.expanduser() if web.token_file else store_path(counts).with_name("web-token")


def make(path: Path) -> str:
    """Make a token, keep its hash in ``path`` for the owner alone, and return it. A token before it is void.

    Raises:
        OSError: The file cannot be written.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"sha256 {_digest(token).hex()}\n")
        file.flush()
        _give_to_owner_of_folder(file.fileno(), path.parent)
        os.fsync(file.fileno())
    new.replace(path)
    return token


def find(web: WebSettings, counts: CountSettings) -> Secret | None:
    """The token's secret; None where no token was made and only the device itself is served.

    Raises:
        ConfigError: The network is served without a token, or the file cannot be read or is something else.
    """
    path = token_path(web, counts)
    return read(path, web.host) if is_open(web.host) or _exists(path) else None


def read(path: Path, host: str) -> Secret:
    """Read what ``make`` wrote.

    Args:
        path: The file.
        host: The address that needs it, for the sentence.

    Raises:
        ConfigError: There is none, it cannot be read, or it is something else.
    """
    instead = "set web.host to 127.0.0.1" if is_open(host) else "remove the file"
    mend = f"make one with `maskgate token --file {path}`, or {instead}"
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        raise ConfigError(
            f"With web.host = {host!r} the screens need a token, and there is none at {path}; {mend}."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"The token file {path} cannot be read ({error.strerror}); let it belong to the user who runs maskgate, "
            f"or {mend}."
        ) from error
    except NotTextError as error:
        raise ConfigError(f"This is not a token file of maskgate: {error}, or {mend}.") from error
    if not (match := FORM.fullmatch(text)):
        raise ConfigError(f"{path} is not a token file of maskgate; {mend}.")
    return Secret(bytes.fromhex(match[1]))


def exposed(path: Path) -> str | None:
    """A sentence if others than its owner may read the file, else None."""
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"Others may read the token file {path}; run `chmod 600 {path}`, then make a new token."
    return None


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # what cannot be looked at may be there
        return True
    return True


def _give_to_owner_of_folder(handle: int, folder: Path) -> None:
    """Made by root, in the service's own folder, the file must still be the service's to read."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(handle, owner.st_uid, owner.st_gid)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()

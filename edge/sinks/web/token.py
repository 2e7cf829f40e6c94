"""The tokens that open the screens to the network: each is made once, shown once, kept as a hash.

The first lies in a file (``web-token``), those with a name in a folder next to it (``web-token.d``), a file each: one
is added or revoked without touching another, and an earlier release still finds the first.

A token holds 256 random bits, so a plain SHA-256 keeps it: there is no dictionary to try. A file is the server's
secret all the same, because the cookie of a browser that has logged in is derived from it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge.config import CountSettings, WebSettings
from edge.config.place import store_path
from edge.errors import ConfigError
from edge.files import NotTextError, read_text, replace_text
from edge.sinks.web.listen import is_open

TOKEN_BYTES = 32
FORM = re.compile(r"sha256 ([0-9a-f]{64})\s*")
SESSION = b"maskgate session 1"
FIRST = "default"
"""Name of the token that was made without a name."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


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
    """Where the hash is kept: as set, else next to the counts."""
    return web.token_file.expanduser() if web.token_file else store_path(counts).with_name("web-token")


def file_of(name: str, path: Path) -> Path:
    """Where the token ``name`` is kept, where the first is at ``path``.

    Raises:
        ConfigError: It is not a name.
    """
    if name == FIRST:
        return path
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is not a name for a token; use up to 32 letters, digits, - and _.")
    return folder_of(path) / name


def folder_of(path: Path) -> Path:
    """Where those with a name are kept."""
    return path.with_name(f"{path.name}.d")


@dataclass(frozen=True, slots=True)
class Kept:
    """A token as its file shows it.

    Attributes:
        name: ``default`` for the first.
        made_at: In local time.
        path: Its file.
    """

    name: str
    made_at: datetime
    path: Path


def kept(path: Path) -> list[Kept]:
    """Every token there is, the first one first.

    Raises:
        OSError: The folder cannot be read.
    """
    folder = folder_of(path)
    names = sorted(one.name for one in folder.iterdir() if NAME.fullmatch(one.name)) if _exists(folder) else []
    files = {FIRST: path, **{name: folder / name for name in names}}
    return [
        Kept(name, datetime.fromtimestamp(file.lstat().st_mtime).astimezone(), file)
        for name, file in files.items()
        if _exists(file)
    ]


def make(path: Path) -> str:
    """Make a token, keep its hash in ``path`` for the owner alone, and return it. A token before it is void.

    Raises:
        OSError: The file cannot be written.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    _make_folder(path.parent)
    text = f"sha256 {_digest(token).hex()}\n"
    replace_text(path, text, 0o600, prepare=lambda handle: _give_to_owner_of_folder(handle, path.parent))
    return token


def find(web: WebSettings, counts: CountSettings) -> dict[str, Secret]:
    """The secret of each token, by name; empty where none was made and only the device itself is served.

    Raises:
        ConfigError: The network is served without a token, or a file cannot be read or is something else.
    """
    path = token_path(web, counts)
    return find_at(path, web.host)


def find_at(path: Path, host: str) -> dict[str, Secret]:
    """The same, where the first token is at ``path``.

    Raises:
        ConfigError: ``host`` is open to the network and there is no token, or a file cannot be read.
    """
    try:
        files = {one.name: one.path for one in kept(path)}
    except OSError as error:
        raise ConfigError(f"The tokens in {folder_of(path)} cannot be read: {error.strerror}.") from error
    if not files and is_open(host):
        files = {FIRST: path}
    return {name: read(file, host) for name, file in files.items()}


def read(path: Path, host: str) -> Secret:
    """Read what ``make`` wrote.

    Args:
        path: The file.
        host: The address that needs it, for the sentence.

    Raises:
        ConfigError: There is none, it cannot be read, or it is something else.
    """
    instead = "set web.host to 127.0.0.1" if is_open(host) else "remove the file"
    remedy = f"make one with `maskgate token --file {path}`, or {instead}"
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        raise ConfigError(
            f"With web.host = {host!r} the screens need a token, and there is none at {path}; {remedy}."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"The token file {path} cannot be read ({error.strerror}); let it belong to the user who runs maskgate, "
            f"or {remedy}."
        ) from error
    except NotTextError as error:
        raise ConfigError(f"This is not a token file of maskgate: {error}, or {remedy}.") from error
    if not (match := FORM.fullmatch(text)):
        raise ConfigError(f"{path} is not a token file of maskgate; {remedy}.")
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
    except OSError:  # what cannot be read may be there
        return True
    return True


def _make_folder(folder: Path) -> None:
    """A folder of tokens is for the owner of the folder around it alone."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _give_to_owner_of_folder(handle, folder.parent)
        finally:
            os.close(handle)


def _give_to_owner_of_folder(handle: int, folder: Path) -> None:
    """Made by root, in the service's own folder, the file must still be the service's to read."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(handle, owner.st_uid, owner.st_gid)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()

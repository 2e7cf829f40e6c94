"""What is at the path of the counts: nothing, a store of maskgate, or something that maskgate must not touch.

A store carries maskgate's application id in its header, which SQLite keeps there for this purpose. Only such a file is
ever migrated, or set aside when it is damaged. Stores that were begun before the id was written are known by their
tables.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edge.errors import StoreError
from edge.files import KINDS
from edge.messages import message

APPLICATION_ID = 0x6D61736B
"""``mask`` in ASCII. Source: https://www.sqlite.org/fileformat2.html, 1.3.14"""

MAGIC = b"SQLite format 3\x00"
HEADER_SIZE = 100
ID_PLACE = slice(68, 72)
FORMATS_PLACE = slice(18, 20)
KNOWN_FORMAT = 2

TABLES = {"boots", "visits", "hours"}

READ_TIMEOUT = 2.0
"""Timeout for another program's lock, in seconds."""

PASSING = (
    *("disk I/O error", "full", "unable to open", "readonly", "locked", "locking protocol", "out of memory"),
    *("interrupted", "permission denied", "not authorized"),
)
"""SQLite's error codes for the disk, permissions and other programs. All other codes concern the file's contents."""


class CorruptError(StoreError):
    """The file is damaged or no database; it must be set aside."""


class ForeignError(StoreError):
    """What lies there is not maskgate's, and is left as it is."""


class StoreBusyError(StoreError):
    """Another maskgate writes the store."""


def refuse_foreign(path: Path) -> None:
    """See that a store may be written at ``path``: nothing is there, an empty file, or a store of maskgate.

    Raises:
        ForeignError: Something else is.
        OSError, sqlite3.Error: It cannot be read, at present.
    """
    if what := foreign(path):
        raise ForeignError(message("counts.foreign", path=path, what=what))


def refuse_unknown_format(path: Path) -> None:
    """SQLite opens a file of a format that it does not know for reading only, as if the disk were.

    Source: https://www.sqlite.org/fileformat2.html, 1.3.3

    Raises:
        CorruptError: The header names such a format.
        OSError: It cannot be read.
    """
    with suppress(FileNotFoundError):
        if max(_header(path)[FORMATS_PLACE], default=0) > KNOWN_FORMAT:
            raise damaged(path, message("counts.damaged_header"))


def foreign(path: Path) -> str | None:
    """What lies at ``path``, in words, if it is not a store of maskgate; None for a store, an empty file or nothing.

    Raises:
        OSError, sqlite3.Error: It cannot be read, at present.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        return None
    if kind != stat.S_IFREG:
        return KINDS.get(kind, message("file.special"))
    header = _header(path)
    if not header:
        return None
    if not header.startswith(MAGIC):
        return message("file.other")
    number = int.from_bytes(header[ID_PLACE], "big")
    if number == APPLICATION_ID or (number == 0 and _has_our_tables(path)):
        return None
    return message("file.database")


def set_aside(path: Path, now: datetime) -> Path:
    """Rename a damaged store, and its log, out of the way. Returns its new name.

    Raises:
        ForeignError: It is not maskgate's.
        OSError: It cannot be renamed.
    """
    refuse_foreign(path)
    first = aside = path.with_name(f"{path.name}.corrupt-{now:%Y%m%dT%H%M%SZ}")
    number = 1
    while aside.exists():
        number += 1
        aside = first.with_name(f"{first.name}-{number}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    return aside


def damaged(path: Path, reason: str) -> CorruptError:
    """The error that says what is damaged in a store."""
    return CorruptError(message("counts.damaged", path=path, reason=reason))


def is_corrupt(error: BaseException) -> bool:
    """Whether SQLite says that the file is damaged, no database, or not as maskgate makes it."""
    # sqlite_errorcode came with Python 3.11; the texts are SQLite's own and the same everywhere.
    return isinstance(error, CorruptError) or (
        isinstance(error, sqlite3.DatabaseError)
        and not isinstance(error, sqlite3.ProgrammingError)
        and not any(text in str(error) for text in PASSING)
    )


class Connection(sqlite3.Connection):
    """A damaged database may hold any bytes as text, and SQLite repeats names in its messages."""

    def execute(self, *words: Any) -> sqlite3.Cursor:
        """As usual.

        Raises:
            sqlite3.Error: As usual, also if the message is not UTF-8.
        """
        try:
            return super().execute(*words)
        except UnicodeDecodeError as error:
            raise sqlite3.DatabaseError(message("counts.damaged_name")) from error


def connect(database: str | Path, **options: Any) -> sqlite3.Connection:
    """Open a database; text in it that is not UTF-8 is read with replacement characters.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    connection = sqlite3.connect(database, factory=Connection, **options)
    connection.text_factory = lambda content: content.decode("utf-8", "replace")
    return connection


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a database without changing it, also where nothing may be written.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    # Without a log next to it nobody writes the file, and only "immutable" opens it in a folder that is read-only.
    options = ("mode=ro", "mode=ro&immutable=1") if not Path(f"{path}-wal").exists() else ("mode=ro",)
    problem: sqlite3.Error | None = None
    for option in options:
        connection = connect(f"file:{quote(str(path))}?{option}", uri=True, timeout=READ_TIMEOUT)
        try:
            connection.execute("PRAGMA schema_version").fetchone()
        except sqlite3.Error as error:
            connection.close()
            problem = error
        else:
            return connection
    assert problem
    raise problem


def _header(path: Path) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(file, HEADER_SIZE)
    finally:
        os.close(file)


def _has_our_tables(path: Path) -> bool:
    try:
        with closing(connect_read_only(path)) as connection:
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        if is_corrupt(error):
            return False
        raise
    return names >= TABLES

"""The SQLite file: its schema, how it is opened, and what is wrong when it cannot be.

Times are UTC seconds since 1970. The journal is a write-ahead log with ``synchronous=FULL``: a commit is one fsync of
appended pages, and is on the disk when it returns. ``NORMAL`` would sync only at checkpoints, every thousand pages,
and lose hours of visits with the power; a rollback journal would sync twice and write in place, which wears SD cards.
Pages are small because every page that a visit touches is appended whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from edge.errors import StoreError
from edge.messages import message
from edge.sinks.counts.ownership import (
    APPLICATION_ID,
    CorruptError,
    connect,
    connect_read_only,
    damaged,
    foreign,
    is_corrupt,
    refuse_foreign,
    refuse_unknown_format,
)
from edge.values import Verdict

VERDICT_COLUMNS = tuple(verdict.value for verdict in Verdict)

PAGE_SIZE = 1024
"""Page size of a new file, in bytes. A visit then writes half as much as with SQLite's default of 4096."""

BUSY_TIMEOUT = 2.0
"""Timeout for another program's lock, in seconds."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE boots (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        wall_offset REAL NOT NULL
    );
    CREATE TABLE visits (
        id INTEGER PRIMARY KEY,
        boot INTEGER NOT NULL REFERENCES boots(id),
        started REAL NOT NULL,
        ended REAL NOT NULL,
        verdict TEXT NOT NULL
    );
    CREATE TABLE hours (
        boot INTEGER NOT NULL REFERENCES boots(id),
        hour INTEGER NOT NULL,
        with_mask INTEGER NOT NULL DEFAULT 0,
        without_mask INTEGER NOT NULL DEFAULT 0,
        mask_worn_incorrectly INTEGER NOT NULL DEFAULT 0,
        unsure INTEGER NOT NULL DEFAULT 0,
        frames INTEGER NOT NULL DEFAULT 0,
        uptime REAL NOT NULL DEFAULT 0,
        PRIMARY KEY (boot, hour)
    ) WITHOUT ROWID;
    """,
)
"""Migrations from each schema version (``PRAGMA user_version``) to the next."""


LATEST_VERSION = 999
"""No schema will have a higher number: a file that says so is damaged, not from a newer maskgate."""
FURTHEST = 2e11
"""Maximum distance from 1970, in seconds: the calendar has no date beyond it."""
LARGEST = 2**53
"""Maximum of a number, so that sums stay exact."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open or create the store and bring its schema up to date.

    Raises:
        CorruptError: The store is damaged.
        ForeignError: There is something else.
        StoreError: It was written by a newer maskgate.
        OSError, sqlite3.Error: The file cannot be written at present.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    refuse_foreign(path)
    refuse_unknown_format(path)
    connection = connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        _sign(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _check(connection, path)
        _migrate(connection, path)
        _check_contents(connection, path)
    except BaseException as error:
        with suppress(sqlite3.Error):
            connection.close()
        if is_corrupt(error) and not isinstance(error, CorruptError):
            raise damaged(path, str(error)) from error
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the store without changing it, also while a daemon writes it or where nothing may be written.

    Raises:
        StoreError: There is no store, or it cannot be read; the text says what to do.
    """
    try:
        connection = _our_own(path)
        version = _version(connection)
    except FileNotFoundError as error:
        raise StoreError(message("counts.none_yet", path=path)) from error
    except StoreError:
        raise
    except (OSError, sqlite3.Error) as error:
        raise _unreadable(path, error) from error
    if version > len(MIGRATIONS):
        connection.close()
        raise _too_new(path)
    if version == 0:
        connection.close()
        raise StoreError(message("counts.none_yet", path=path))
    return connection


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A store that is open for reading, as ``open_for_reading`` opens it.

    Raises:
        StoreError: There is no store, or it cannot be read, now or while it is open; the text says what to do.
    """
    try:
        with closing(open_for_reading(path)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error


def open_for_editing(path: Path) -> sqlite3.Connection:
    """Open a store that is there already, to change it while a daemon may write it.

    Raises:
        StoreError: There is no store, it cannot be read, or a newer maskgate has written it.
        sqlite3.Error: It cannot be written.
    """
    open_for_reading(path).close()
    connection = connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
    try:
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def lifetime_totals(connection: sqlite3.Connection) -> dict[Verdict, int]:
    """Visits by verdict since the store was created, including those older than the stored single visits.

    Raises:
        sqlite3.Error: The store cannot be read.
    """
    sums = ", ".join(f"COALESCE(SUM({column}), 0)" for column in verdict_columns(connection))
    totals = connection.execute(f"SELECT {sums} FROM hours").fetchone()  # noqa: S608 - columns are our own
    return dict(zip(Verdict, totals, strict=True))


def verdict_columns(connection: sqlite3.Connection) -> tuple[str, ...]:
    """An SQL expression for each verdict: its column of ``hours``, or 0 in a store that is older than the verdict.

    Raises:
        sqlite3.Error: The store cannot be read.
    """
    present = _columns(connection)
    return tuple(column if column in present else "0" for column in VERDICT_COLUMNS)


def _columns(connection: sqlite3.Connection) -> frozenset[str]:
    return frozenset(row[1] for row in connection.execute("PRAGMA table_info(hours)"))


def transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], None]) -> None:
    """Run ``work`` in one transaction: all of it is on the disk, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        work(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _check_contents(connection: sqlite3.Connection, path: Path) -> None:
    """SQLite accepts text and any number in a numeric column.

    There are many visits; they are checked when they are used.
    """
    columns = (*VERDICT_COLUMNS, "frames")
    wrong = {
        "boots": ["typeof(wall_offset) <> 'real'", f"abs(wall_offset) > {FURTHEST}"],
        "hours": [
            *("typeof(boot) <> 'integer'", "typeof(hour) <> 'integer'", f"abs(hour) > {FURTHEST}"),
            *(f"typeof({column}) <> 'integer' OR abs({column}) > {LARGEST}" for column in columns),
            *("typeof(uptime) <> 'real'", f"abs(uptime) > {FURTHEST}"),
        ],
    }
    for table, conditions in wrong.items():
        query = f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {' OR '.join(conditions)})"  # noqa: S608 - all our own
        if connection.execute(query).fetchone() != (0,):
            raise damaged(path, message("counts.unknown_values", table=table))


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise damaged(path, str(answer))


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= LATEST_VERSION:
        raise sqlite3.DatabaseError(message("counts.unknown_version", version=version))
    return int(version)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise _too_new(path)
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
    for column in VERDICT_COLUMNS:
        if column not in _columns(connection):
            connection.execute(f"ALTER TABLE hours ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")


def _sign(connection: sqlite3.Connection) -> None:
    """Write maskgate's id into the header before the write-ahead log is created: it must be in the file itself.

    If there is a log already, as in older stores, the id follows with the next checkpoint.
    """
    (number,) = connection.execute("PRAGMA application_id").fetchone()
    if number != APPLICATION_ID:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _our_own(path: Path) -> sqlite3.Connection:
    path.stat()
    if what := foreign(path):
        raise StoreError(message("counts.not_a_store", path=path, what=what))
    return connect_read_only(path)


def _unreadable(path: Path, error: Exception) -> StoreError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return StoreError(message("counts.unreadable", path=path, reason=reason))


def _too_new(path: Path) -> StoreError:
    return StoreError(message("counts.too_new", path=path))

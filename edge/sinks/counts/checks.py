"""What ``maskgate doctor`` checks about the store of counts."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edge.board.findings import MEBI, Check, Finding, Machine, State
from edge.config import Config
from edge.files import exists
from edge.sinks.counts import store_path

LEAST_DISK = 100 * MEBI
"""Minimum free space for the store, in bytes."""


def disk(_: Machine, config: Config) -> Iterator[Finding]:
    path = store_path(config.counts)
    folder = next(parent for parent in path.parents if exists(parent))
    free = shutil.disk_usage(folder).free
    error = _why_not_written(path, folder)
    if error:
        text = f"{path} cannot be written ({error.strerror}): visits would be lost when maskgate stops"
        yield Finding("disk", State.WARNING, text, _remedy(path, folder, error))
    elif free < LEAST_DISK:
        text = f"{path}, {free // MEBI} MiB free"
        yield Finding("disk", State.WARNING, text, f"make room: du -xh {folder} | sort -h | tail")
    else:
        yield Finding("disk", State.OK, f"{path}, {free // MEBI} MiB free")


def _why_not_written(path: Path, folder: Path) -> OSError | None:
    """What stops this user from writing ``path``, or from creating something in ``folder`` on the way to it."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return error
    if exists(path) and not os.access(path, os.W_OK):
        return PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return None


def _remedy(path: Path, folder: Path, error: OSError) -> str:
    """Never more than the folder of the counts is given to somebody: a missing one may be missing in /var/lib."""
    own = shlex.quote(str(path.parent))
    if error.errno == errno.EROFS:
        return "find out why the file system is read-only (a worn card becomes so): dmesg | tail"
    if folder != path.parent:
        return f"sudo install -d -o $USER {own}, or set counts.path"
    return f"set counts.path to a file in a folder of yours, or let this user write there: ls -la {own}"


CHECKS: tuple[Check, ...] = (disk,)

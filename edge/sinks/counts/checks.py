"""What ``maskgate doctor`` checks about the store of counts."""

from __future__ import annotations

import os
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
    text = f"{path}, {free // MEBI} MiB free"
    if (exists(path) and not os.access(path, os.W_OK)) or not _can_create_in(folder):
        text = f"{path} cannot be written: visits would be lost when maskgate stops"
        yield Finding("disk", State.WARNING, text, f"sudo chown -R $USER {folder}, or set counts.path")
    elif free < LEAST_DISK:
        yield Finding("disk", State.WARNING, text, f"make room: du -xh {folder} | sort -h | tail")
    else:
        yield Finding("disk", State.OK, text)


def _can_create_in(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


CHECKS: tuple[Check, ...] = (disk,)

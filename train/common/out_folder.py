"""The folder of results: checks before a training, and messages when it cannot be written to."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from edge.errors import ConfigError
from train.common.reproducible import METRICS_FILE

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a full disk, an exceeded quota or a file-size limit."""

LEAST_FREE = 200 * 1024 * 1024
"""About the most that a training writes, in bytes."""


def check_out(out: Path, resume: bool, results: Iterable[str]) -> None:
    """Check that a training can write to its folder, before it spends an hour.

    Args:
        out: As given; made if need be.
        resume: Whether to continue the run that is there.
        results: Files that an earlier run leaves.

    Raises:
        ConfigError: It is a file, cannot be written to, has too little space, or holds an earlier run; or there is
            nothing to resume.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file: name a folder.")
    earlier = next((name for name in results if (out / name).exists()), None)
    if resume and not earlier:
        raise ConfigError(nothing_to_resume(out))
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out) as probe:
            probe.write(b"1")
        free = shutil.disk_usage(out).free
    except OSError as error:
        raise ConfigError(f"Cannot write to {out}: {error.strerror}; choose another folder with --out.") from error
    if earlier and not resume:
        raise ConfigError(
            f"{out} holds an earlier run ({earlier}): go on with --resume, name another --out, or move it away."
        )
    if free < LEAST_FREE:
        raise ConfigError(
            f"{out} has {free // 1024**2} MB of free space, and a training writes up to {LEAST_FREE // 1024**2} MB: "
            "free some, or choose another folder with --out."
        )


def nothing_to_resume(out: Path) -> str:
    """What to tell the operator where ``--resume`` finds no run."""
    return f"Nothing to resume in {out}: start without --resume, or give the --out of that run."


def stopped(out: Path) -> str:
    """What to tell the operator after Ctrl-C."""
    if (out / METRICS_FILE).exists():
        return f"stopped; finished epochs are in {out}, go on with the same command and --resume"
    return "stopped before an epoch was finished; give the same command to start again"


def disk_fault(error: OSError, out: Path) -> str:
    """What to tell the operator where a file could not be written during a training."""
    if error.errno in FULL:
        return (
            f"no space is left in {out}: what was finished is kept. Free some space, and go on with the same command "
            "and --resume"
        )
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; go on with the same command and --resume once that is put right"

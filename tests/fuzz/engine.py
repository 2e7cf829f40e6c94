"""One target under libFuzzer: ``python -m tests.fuzz.engine TARGET [libFuzzer's options]``. ``tests.fuzz`` calls it."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

from tests import fuzz

WATCHED = ["edge", "deploy", "tomllib", "paho", "h11", "uvicorn", "starlette"]
"""Packages whose branches lead the search. pydantic, OpenCV, FFmpeg and SQLite are compiled: it is blind there."""
MEMORY = Path("/dev/shm")
"""Files that are gone a moment later need no disk."""


def main() -> None:
    """Run until libFuzzer ends the process."""
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=WATCHED):
        target = fuzz.target(name)
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder, target.opened(Path(folder)) as attempt:
        atheris.Setup([sys.argv[0], *options], attempt)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

"""Keeps a runtime's own notes off the terminal: TFLite writes ``INFO: ...`` straight to file descriptor 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

NOTE = b"INFO: "


@contextmanager
def without_notes() -> Iterator[None]:
    """Hold back what native code writes to standard error, and then pass on everything but notes.

    Warnings and errors still come out, also if the block raises. A process that native code ends takes them with it.
    """
    try:
        terminal = os.dup(2)
    except OSError:  # standard error is closed: nothing to keep clean
        yield
        return
    # In memory: a door must also start where the disk is full.
    with os.fdopen(os.memfd_create("maskgate-notes"), "w+b") as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            kept = b"".join(line for line in held if not line.startswith(NOTE))
            if kept:
                os.write(2, kept)

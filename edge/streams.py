"""The standard streams of a command: they may be closed, on a full disk, or answer nothing."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as in edge/cli.py
if TYPE_CHECKING:
    from typing import Any, TextIO

YES = ("y", "yes")
FIRST_FREE = 3
"""The file descriptor after those of the three streams."""


def open_all() -> None:
    """Open what is closed, on the null device. The next file would take its number, and get what is printed."""
    while (spare := os.open(os.devnull, os.O_RDWR)) < FIRST_FREE:
        os.set_inheritable(spare, True)  # a closed stream has that number now
    os.close(spare)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # Latin-1 has no ellipsis


def confirmed(question: str) -> bool:
    """Whether the person at the terminal answers yes. Ctrl-D is no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in YES
    except EOFError:
        print()  # noqa: T201 - ends the line of the question
        return False


class Watched:
    """A text stream that remembers why it could not be written.

    Attributes:
        failure: The first error, or None.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """As the stream does."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self.failure = self.failure or error
            raise

    def flush(self) -> None:
        """As the stream does."""
        try:
            self._stream.flush()
        except OSError as error:
            self.failure = self.failure or error
            raise

    def finish(self) -> None:
        """Write what waits.

        Raises:
            OSError: Something could not be written, now or before; argparse passes that over.
        """
        self.flush()
        if self.failure:
            raise self.failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

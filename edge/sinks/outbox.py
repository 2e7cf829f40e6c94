"""Text on its way out, through a thread of its own: a full disk or a reader that stalls never holds up the loop."""

from __future__ import annotations

import errno
import os
import queue
import threading
from typing import BinaryIO

CAPACITY = 1000
"""Pieces of text that may wait; about a minute of a busy door."""
FAREWELL = 2.0
"""Longest wait at the end for a reader that stalls, in seconds."""


class Outbox:
    """Writes pieces of text to an unbuffered file, in order.

    Attributes:
        name: What the operator calls the file.
        failure: Why nothing is written any more, or None. The first failure is final.
        lost: Pieces that will not be written.
    """

    def __init__(self, stream: BinaryIO, name: str, patient: bool) -> None:
        """Start the thread.

        Args:
            stream: Open for writing, unbuffered; closed at the end.
            name: For the operator.
            patient: Whether to wait for a slow reader, as a recording can, or to lose text, as a live camera must.
        """
        self.name = name
        self.failure: OSError | None = None
        self.lost = 0
        self._stream, self._patient = stream, patient
        self._waiting: queue.Queue[str | None] = queue.Queue(CAPACITY)
        self._thread = threading.Thread(target=self._write_all, name=f"outbox {name}", daemon=True)
        self._thread.start()

    @property
    def reader_left(self) -> bool:
        """Whether this is a pipe whose reader has closed it, as ``head`` does."""
        return isinstance(self.failure, BrokenPipeError)

    def put(self, text: str) -> None:
        """Write ``text`` soon. Text that finds no room, or comes after a failure, is lost and counted."""
        if self.failure:
            self.lost += 1
            return
        try:
            self._waiting.put(text, block=self._patient)
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Write what waits, then stop."""
        try:
            self._waiting.put(None, timeout=None if self._patient else FAREWELL)
        except queue.Full:
            self.lost += self._waiting.qsize()
            return
        self._thread.join(None if self._patient else FAREWELL)

    def _write_all(self) -> None:
        while (text := self._waiting.get()) is not None:
            if self.failure:
                self.lost += 1
                continue
            try:
                _write(self._stream, text.encode())
            except OSError as error:
                self.failure = error
                self.lost += 1
        self._stream.close()


def standard_output(patient: bool) -> Outbox:
    """An outbox to standard output."""
    return _standard(1, "standard output", patient)


def standard_error(patient: bool) -> Outbox:
    """An outbox to standard error."""
    return _standard(2, "standard error", patient)


def _standard(number: int, name: str, patient: bool) -> Outbox:
    return Outbox(os.fdopen(number, "wb", buffering=0, closefd=False), name, patient)


def _write(stream: BinaryIO, text: bytes) -> None:
    left = memoryview(text)
    while left:
        written = stream.write(left)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[written:]

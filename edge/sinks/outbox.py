"""Writes text in its own thread: a full disk or a stalled reader never delays the loop."""

from __future__ import annotations

import errno
import logging
import os
import queue
from collections.abc import Callable
from typing import BinaryIO

from edge.control import Commands, Stop
from edge.messages import message
from edge.worker import Worker

CAPACITY = 1000
"""Maximum texts waiting; about a minute of a busy door."""
FAREWELL = 2.0
"""Timeout at the end for a stalled reader, in seconds."""
LOOK_AGAIN = 0.25
"""Interval at which a patient writer checks for a stop, in seconds."""

log = logging.getLogger(__name__)


class Outbox:
    """Writes pieces of text to an unbuffered file, in order.

    Attributes:
        name: What the operator calls the file.
        failure: Why nothing is written any more, or None. The first failure is final.
        lost: Pieces that will not be written.
    """

    def __init__(
        self, open_stream: Callable[[], BinaryIO], name: str, patient: bool, commands: Commands | None = None
    ) -> None:
        """Start the thread.

        Args:
            open_stream: Gives the file, unbuffered; called in the thread, because opening may wait. Closed at the end.
            name: For the operator.
            patient: Whether to wait for a slow reader, as a recording can, or to lose text, as a live camera must.
            commands: Where the run is stopped when a reader has had enough. Once it is stopped, patience ends.
        """
        self.name = name
        self.failure: OSError | None = None
        self.lost = 0
        self._open, self._patient = open_stream, patient
        self._commands = commands or Commands()
        self._waiting: queue.Queue[str | None] = queue.Queue(CAPACITY)
        self._closed = False
        self._worker = Worker(f"outbox {name}", self._write_all)

    @property
    def reader_left(self) -> bool:
        """Whether this is a pipe whose reader has closed it, as ``head`` does."""
        return isinstance(self.failure, BrokenPipeError)

    @property
    def trouble(self) -> str | None:
        """Why nothing is written any more, as a sentence; None if there is no problem, or nobody reads."""
        if self.failure is None or self.reader_left:
            return None
        why = self.failure.strerror
        return message("log.stopped", name=self.name, why=why)

    def put(self, text: str) -> None:
        """Write ``text`` soon. Text that finds no room, or comes after a failure, is lost and counted."""
        if self.failure or not self._put(text):
            self.lost += 1

    def close(self) -> None:
        """Write what waits, then stop. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        if not self._put(None, FAREWELL):
            self.lost += self._waiting.qsize()
            return
        while self._patient and not self._commands.stopped.is_set():
            if self._worker.close(within=LOOK_AGAIN):
                return
        if not self._worker.close(within=FAREWELL):
            self.lost += self._waiting.qsize()

    def _put(self, text: str | None, seconds: float = 0.0) -> bool:
        """Queue a piece, waiting at most ``seconds``, or as long as nobody stops the run where there is patience."""
        while not self._offer(text, seconds or LOOK_AGAIN if self._patient else seconds):
            if not self._patient or self._commands.stopped.is_set():
                return False
        return True

    def _offer(self, text: str | None, seconds: float) -> bool:
        try:
            self._waiting.put(text, block=seconds > 0, timeout=seconds)
        except queue.Full:
            return False
        return True

    def _write_all(self, _: Worker) -> None:
        try:
            stream = self._open()
        except OSError as error:
            self._fail(error)
            return
        while (text := self._waiting.get()) is not None:
            if self.failure:
                self.lost += 1
                continue
            try:
                _write(stream, text.encode())
            except OSError as error:
                self.lost += 1
                self._fail(error)
        stream.close()

    def _fail(self, error: OSError) -> None:
        self.failure = error
        if self.reader_left:
            self._commands.ask(Stop())
        else:
            log.warning("%s", self.trouble)


def standard_output(patient: bool, commands: Commands | None = None) -> Outbox:
    """An outbox to standard output."""
    return _standard(1, "standard output", patient, commands)


def standard_error(patient: bool, commands: Commands | None = None) -> Outbox:
    """An outbox to standard error."""
    return _standard(2, "standard error", patient, commands)


def _standard(number: int, name: str, patient: bool, commands: Commands | None) -> Outbox:
    return Outbox(lambda: os.fdopen(number, "wb", buffering=0, closefd=False), name, patient, commands)


def _write(stream: BinaryIO, text: bytes) -> None:
    left = memoryview(text)
    while left:
        written = stream.write(left)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[written:]

"""A process for code that may crash, hang or take too much memory: a driver's library, a decoder of foreign data.

    child = Child("edge.cameras.decoder")
    answer = child.ask({"open": address}, limit=10.0)

Messages are JSON over a channel; pictures and tensors go through shared memory. The child ends with its parent. Its
module takes both as open files from ``channel_and_memory``.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from edge.messages import message

MESSAGE_BYTES = 65_536
DEATH_LIMIT = 0.5
"""Timeout for the process to end, in seconds: a driver may block it in the kernel, where no signal reaches it."""


class ChildDiedError(Exception):
    """The process ended, or did not answer in time; its text says how. ``close`` it."""


class Child:
    """A child process. Not thread-safe, except for ``close``.

    Args:
        module: Of this package; its main program.
        errors: Keep what it writes on standard error, to say why it died. Not where that may hold a secret.
        environment: Variables in addition to those of this process.

    Attributes:
        memory: The shared memory, as an open file.
    """

    def __init__(self, module: str, errors: bool = True, environment: Mapping[str, str] | None = None) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.memory = os.memfd_create(f"maskgate-{module.rpartition('.')[2]}")
        self._errors = _file_for_errors() if errors else None
        output = self._errors or subprocess.DEVNULL
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this Python and this package, and no shell
                [sys.executable, "-m", module, str(theirs.fileno()), str(self.memory)],
                pass_fds=(theirs.fileno(), self.memory),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {}), "PYTHONPATH": _python_path()},
            )

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask(self, request: Mapping[str, Any], limit: float) -> dict[str, Any]:
        """Send a message and wait for the answer.

        Args:
            request: JSON-ready.
            limit: Maximum wait, in seconds.

        Raises:
            ChildDiedError: None came in time, or the process has ended.
        """
        try:
            self._channel.settimeout(limit)
            self._channel.send(json.dumps(request).encode())
            answer = self._channel.recv(MESSAGE_BYTES)
        except TimeoutError as error:
            self._process.kill()
            raise ChildDiedError(message("child.late", seconds=limit)) from error
        except OSError:
            answer = b""
        if not answer:
            raise ChildDiedError(self._death())
        said: dict[str, Any] = json.loads(answer)
        return said

    def close(self) -> None:
        """End the process, or leave it behind where it cannot be ended. Safe to call twice, and from another thread."""
        memory, self.memory = self.memory, -1
        if memory < 0:
            return
        if self._process.poll() is None:
            self._process.kill()
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(DEATH_LIMIT)
        os.close(memory)
        if self._errors:
            self._errors.close()

    def _death(self) -> str:
        try:
            code = self._process.wait(DEATH_LIMIT)
        except subprocess.TimeoutExpired:
            return message("child.deaf")
        killed = code < 0
        how = message("child.killed", name=signal.Signals(-code).name) if killed else message("child.ended", code=code)
        if self._errors is None:
            return how
        self._errors.seek(0)
        words = re.findall(r"\S.*", self._errors.read().decode("utf-8", "replace"))
        return message("child.said", how=how, words=words[-1][:200].rstrip(".")) if words else how


def _file_for_errors() -> IO[bytes] | None:
    """None where no disk has room for it."""
    try:
        return tempfile.TemporaryFile()  # closed with the process
    except OSError:
        return None


def channel_and_memory() -> tuple[socket.socket, int]:
    """What the parent gave this process, in the child."""
    return socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])


def _python_path() -> str:
    """Lets the child find this package from any working directory."""
    own = str(Path(__file__).resolve().parents[1])
    return os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH"))))

"""The door that runs on this machine, as other commands reach it.

door = find(settings)  # None: none runs
door.ask({"do": "try", "output": "led"})
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edge.config import Settings
from edge.config.place import control_path
from edge.control import RefusedError
from edge.errors import MaskgateError
from edge.values import Image

LARGEST_LINE = 64 * 1024
"""In bytes."""
LONGEST_ADDRESS = 107
"""Of a socket in the file system, in bytes (unix(7))."""
ANSWER_WITHIN = 10.0
"""In seconds."""


class UnreachableError(MaskgateError):
    """A door runs, and cannot be asked."""


class Picture(NamedTuple):
    """What the camera of a running door sees.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        camera: Its name.
    """

    image: Image
    camera: str


class RunningDoor:
    """Asks one thing per connection.

    Args:
        path: Of its socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What it answers.

        Raises:
            RefusedError: It does not do that; the text says why.
            UnreachableError: It gives no answer.
        """
        with self._asked(request) as (answer, _):
            return answer

    def picture(self) -> Picture:
        """The newest picture.

        Raises:
            RefusedError: There is none; the text says why.
            UnreachableError: It gives no answer.
        """
        with self._asked({"do": "picture"}) as (answer, connection):
            shape = (answer["height"], answer["width"], 3)
            image = np.frombuffer(_read(connection, shape[0] * shape[1] * shape[2]), np.uint8).reshape(shape)
            return Picture(image, answer["camera"])

    @contextmanager
    def _asked(self, request: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], socket.socket]]:
        try:
            with connected(self._path) as connection:
                connection.sendall(json.dumps(request).encode() + b"\n")
                answer = json.loads(read_line(connection, LARGEST_LINE))
                if "error" in answer:
                    raise RefusedError(answer["error"])
                yield answer, connection
        except (OSError, ValueError) as error:
            if isinstance(error, RefusedError):
                raise
            raise UnreachableError(f"The running maskgate gives no answer ({error}); look at its log.") from error


def find(settings: Settings) -> RunningDoor | None:
    """The door that runs with these settings' state folder; None if none does.

    Raises:
        UnreachableError: One may run, and this user may not ask it.
    """
    path = control_path(settings.config.counts)
    try:
        connected(path).close()
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return None
    except OSError as error:
        raise UnreachableError(f"The running maskgate cannot be reached at {path}: {error.strerror}.") from error
    return RunningDoor(path)


def connected(path: Path) -> socket.socket:
    """A connection to the door that listens at ``path``.

    Raises:
        OSError: None does.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(ANSWER_WITHIN)
        with short_path(path) as place:
            connection.connect(place)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """``path``; one that does not fit into a socket's address goes by way of its folder's descriptor."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def read_line(connection: socket.socket, most: int) -> bytes:
    """Up to and without the next line feed, byte by byte, so that nothing behind it is taken.

    The whole line must come within the time limit of ``connection``, not each byte.

    Raises:
        OSError: The other side is gone, or too slow.
        ValueError: The line is too long.
    """
    line, limit = bytearray(), connection.gettimeout()
    until = math.inf if limit is None else time.monotonic() + limit
    while (byte := _read(connection, 1)) != b"\n":
        line += byte
        if len(line) > most:
            raise ValueError("the line is too long")
        if time.monotonic() > until:
            raise TimeoutError("the line takes too long")
    return bytes(line)


def _read(connection: socket.socket, size: int) -> bytes:
    """Exactly ``size`` bytes.

    Raises:
        OSError: The other side is gone, or too slow.
    """
    content = bytearray()
    while len(content) < size:
        part = connection.recv(min(size - len(content), 1 << 20))
        if not part:
            raise ConnectionError("the connection ended")
        content += part
    return bytes(content)

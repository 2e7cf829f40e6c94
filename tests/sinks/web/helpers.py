"""Clients of a served door, and what they wait for."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.stand_ins.screens import Door

LONG = 20.0
"""Longest wait for what should come at once, in seconds: the machine may be busy."""


def until(condition: Callable[[], Any]) -> Any:
    """What ``condition`` says once it is true."""
    deadline = time.monotonic() + LONG
    while not (said := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)
    return said


def port_of(door: Door) -> int:
    port = urlsplit(door.url).port
    assert port
    return port


def exchange(door: Door, request: bytes) -> bytes:
    """All that is answered to raw bytes."""
    with socket.create_connection(("127.0.0.1", port_of(door)), timeout=LONG) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


class Listener:
    """Reads /events in a thread."""

    def __init__(self, door: Door, query: str = "", **headers: str | bytes) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.times: list[float] = []
        self.ended = False
        self._url, self._headers = f"{door.url}events{query}", headers
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in list(self.heard) if name == kind]

    def _listen(self) -> None:
        with httpx.stream("GET", self._url, headers=self._headers, timeout=LONG) as answer:
            kind = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.times.append(time.monotonic())
                    self.heard.append((kind, json.loads(line.removeprefix("data: "))))
        self.ended = True


@contextmanager
def idle_connections(door: Door, number: int, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """Connections from ``source`` over which nothing is said."""
    with ExitStack() as opened:
        address = ("127.0.0.1", port_of(door))
        yield [
            opened.enter_context(socket.create_connection(address, LONG, source_address=(source, 0)))
            for _ in range(number)
        ]


def is_open(connection: socket.socket) -> bool:
    """Whether the server has not ended it."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def exchange_until_cut_off(door: Door, request: bytes) -> bytes:
    """What is answered before the server ends the connection."""
    try:
        return exchange(door, request)
    except ConnectionResetError:
        return b""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port

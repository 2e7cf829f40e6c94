"""Those who look, for ``tests.bench.web``: they read and forget, now and then, and cost as little as they can."""

from __future__ import annotations

import socket
import sys
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

READ_EVERY = 0.5
"""Between two looks at the sockets, in seconds."""


def connect(url: str, path: str) -> socket.socket:
    """Ask for a stream, and see it begin."""
    connection = socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert connection.recv(12) == b"HTTP/1.1 200"
    connection.setblocking(False)
    return connection


def read_on(connections: list[socket.socket]) -> None:
    """Read and forget what has come."""
    room = bytearray(2**20)
    while True:
        time.sleep(READ_EVERY)
        for connection in connections:
            with suppress(BlockingIOError):
                while connection.recv_into(room):
                    pass


def main() -> None:
    """``URL NUMBER PATH...``: be so many clients of each path until standard input ends."""
    url, number, *paths = sys.argv[1:]
    connections = [connect(url, path) for path in paths * int(number)]
    print("ready", flush=True)
    threading.Thread(target=read_on, args=(connections,), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()

"""Those who look, for ``tests.bench.web``: they read and forget, now and then, and cost as little as they can."""

from __future__ import annotations

import heapq
import http.client
import socket
import sys
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

READ_EVERY = 0.5
"""Between two looks at the sockets, in seconds."""
ASK_EVERY = {"/api/aim": 2.0}
"""Between two requests of a page, as in its script, in seconds."""


def connect(url: str, path: str, key: str) -> socket.socket:
    """Ask for a stream, and see it begin."""
    connection = socket.create_connection((urlsplit(url).hostname or "", urlsplit(url).port or 0))
    signed = f"Authorization: Bearer {key}\r\n" if key else ""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{signed}\r\n".encode())
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


def ask_on(url: str, paths: list[str], key: str) -> None:
    """Ask for each path again and again, each over a connection of its own, as browsers do."""
    place, began = urlsplit(url).netloc, time.monotonic()
    connections = [http.client.HTTPConnection(place) for _ in paths]
    due = [(began + ASK_EVERY[path] * number / len(paths), number) for number, path in enumerate(paths)]
    heapq.heapify(due)
    while True:
        at, number = heapq.heappop(due)
        path, connection = paths[number], connections[number]
        heapq.heappush(due, (at + ASK_EVERY[path], number))
        time.sleep(max(0.0, at - time.monotonic()))
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        assert connection.getresponse().read()


def main() -> None:
    """``URL KEY NUMBER:PATH...``: be so many clients of each path until standard input ends.

    A path of ``/api/`` is asked for as often as its page does, any other is a stream.
    """
    url, key, *wanted = sys.argv[1:]
    paths = [path for one in wanted for path in [one.partition(":")[2]] * int(one.partition(":")[0])]
    asked = [path for path in paths if path.startswith("/api/")]
    connections = [connect(url, path, key) for path in paths if path not in asked]
    print("ready", flush=True)
    threading.Thread(target=read_on, args=(connections,), daemon=True).start()
    if asked:
        threading.Thread(target=ask_on, args=(url, asked, key), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()

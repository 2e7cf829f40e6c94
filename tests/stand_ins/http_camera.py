"""A network camera over HTTP that answers as it is told, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Answer = Callable[[socket.socket, bytes], None]
"""Writes to a connection what it likes, given the request."""


@contextlib.contextmanager
def http_camera(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answers each connection in a thread of its own. Gives the port; ``context`` makes it HTTPS."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            request = b""
            while b"\r\n\r\n" not in request and (received := connection.recv(4096)):
                request += received
            answer(connection, request)
        connection.close()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()

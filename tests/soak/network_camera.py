"""A network camera that breaks as it is told: multipart JPEG over HTTP, of the demo clip."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from edge.cameras.demo import DEMO_CLIP
from edge.cameras.video import VideoFile
from edge.values import Image

FIRST, PICTURES = 40, 60
"""Of the clip: the first that is shown, and how many before it begins again."""
RING = 4
"""Buffers of a driver that sends old pictures as new."""
SIZE = (640, 480)


def clip_pictures() -> list[Image]:
    """Pictures of the demo clip, (480, 640, 3) uint8 BGR."""
    clip = VideoFile(DEMO_CLIP)
    frames = [frame for frame in (clip.read() for _ in range(FIRST + PICTURES)) if frame]
    clip.close()
    return [cv2.resize(frame.image, SIZE) for frame in frames[FIRST:]]  # type: ignore[misc]


class NetworkCamera:
    """Serves pictures on a port of its own.

    Attributes:
        fault: None while it works; ``frozen``, ``ring``, ``black``, ``silent`` (connected, sends nothing), ``endless``
            (a part that announces 2 GB and does not end).
        fps: Pictures a second.
        size: Width and height, in pixels.
        sent: Pictures that went out so far.
    """

    def __init__(self, fps: float = 12.0) -> None:
        self.fault: str | None = None
        self.fps, self.size, self.sent = fps, SIZE, 0
        self._pictures = clip_pictures()
        self._rng = np.random.default_rng(0)
        self._old: list[bytes] = []
        self._connections: set[socket.socket] = set()
        self._server: http.server.ThreadingHTTPServer | None = None
        self.port = 0
        self.plug_in()

    @property
    def url(self) -> str:
        """Where it is read."""
        return f"http://127.0.0.1:{self.port}/door.mjpeg"

    def plug_in(self) -> None:
        """Serve, on the same port as before."""
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.serve(self)

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def unplug(self) -> None:
        """Break every connection, and refuse new ones."""
        server, self._server = self._server, None
        if server:
            server.shutdown()
            server.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def serve(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Send pictures until the reader leaves or the camera is unplugged."""
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        self._connections.add(request.connection)
        with contextlib.suppress(OSError):
            self._send_pictures(request)
        self._connections.discard(request.connection)
        request.close_connection = True

    def _send_pictures(self, request: http.server.BaseHTTPRequestHandler) -> None:
        due = time.monotonic()
        for number in itertools.count():
            while self.fault == "silent":
                time.sleep(0.05)
            if self.fault == "endless":
                request.wfile.write(b"--frame\r\nContent-Length: 2000000000\r\n\r\n" + self._jpeg(number)[:-2])
            while self.fault == "endless":
                request.wfile.write(bytes(1 << 18))
            jpeg = self._jpeg(number)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            request.wfile.write(head.encode() + jpeg + b"\r\n")
            self.sent += 1
            due = max(due + 1 / self.fps, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))

    def _jpeg(self, number: int) -> bytes:
        if self.fault in ("frozen", "ring") and self._old:
            return self._old[number % (1 if self.fault == "frozen" else len(self._old))]
        if self.fault == "black":
            picture: Image = self._rng.integers(0, 6, (*self.size[::-1], 3), dtype=np.uint8)
        else:
            picture = self._picture(number)
        jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
        self._old = [*self._old, jpeg][-RING:]
        return jpeg

    def _picture(self, number: int) -> Image:
        """One of the clip, with noise in a corner: no two pictures of a sensor are the same."""
        picture = self._pictures[number % PICTURES].copy()
        picture[:16, :16] = self._rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        return picture if self.size == SIZE else cv2.resize(picture, self.size)  # type: ignore[return-value]


@contextlib.contextmanager
def network_camera(fps: float = 12.0) -> Iterator[NetworkCamera]:
    """A camera that works, for as long as the block lasts."""
    camera = NetworkCamera(fps)
    try:
        yield camera
    finally:
        camera.unplug()

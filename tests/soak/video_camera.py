"""A network camera that sends H.264 in an MPEG transport stream over HTTP, in real time, of the demo clip."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from tests.soak.network_camera import SIZE, clip_pictures
from tests.stand_ins import recordings
from tests.stand_ins.http_camera import http_camera

PACKETS = 188 * 7


@contextlib.contextmanager
def video_camera(folder: Path, still: bool = False, hours_ahead: int = 0) -> Iterator[str]:
    """Its address, while the block lasts.

    Args:
        folder: Where the video is made.
        still: Whether it sends one picture again and again, as new frames.
        hours_ahead: By which the time stamps of the second half are ahead of the first, which then comes again.
    """
    pictures = clip_pictures()
    pictures = [pictures[0]] * len(pictures) if still else pictures
    ahead = hours_ahead * 3600 * recordings.FPS
    content = recordings.write(
        folder / "camera.ts",
        pictures,
        at=lambda number: number + ahead * (number >= len(pictures) // 2),
        size=SIZE,
        **recordings.SMALL,
    ).read_bytes()
    pause = PACKETS / len(content) * len(pictures) / recordings.FPS

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
        due = time.monotonic()
        while True:
            for at in range(0, len(content), PACKETS):
                connection.sendall(content[at : at + PACKETS])
                due += pause
                time.sleep(max(0.0, due - time.monotonic()))

    with http_camera(answer) as port:
        yield f"http://127.0.0.1:{port}/door.ts"

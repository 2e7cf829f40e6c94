"""The process that decodes a network stream with FFmpeg, within a limit of memory.

Started only by ``edge.cameras.stream``. It decodes one picture ahead into one half of the shared memory, while the
parent copies the other half. Its parent ends it where it hangs.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.cameras.interlaced import Complaints
from edge.cameras.video import as_bgr
from edge.child import MESSAGE_BYTES, channel_and_memory
from edge.values import Image

MOST_PIXELS = 4096 * 4096
"""Maximum pixels of a frame: the largest that a camera can be asked for. Several frames are held at a time."""
MOST_MEMORY = 400 * 2**20
"""Memory limit of the process, in bytes: FFmpeg allocates whatever a stream announces."""
HALVES = 2


def main() -> int:
    """Serve until the parent closes the connection; the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # are for the parent, with which this process ends
        signal.signal(number, signal.SIG_IGN)
    channel, memory = channel_and_memory()
    order = json.loads(channel.recv(MESSAGE_BYTES))
    complaints = Complaints()
    limit_memory(MOST_MEMORY)
    go_first()
    capture = cv2.VideoCapture(
        order["url"],
        cv2.CAP_FFMPEG,
        [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            round(order["open_timeout"] * 1000),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            round(order["read_timeout"] * 1000),
        ],
    )
    if not capture.isOpened():
        _send(channel, {"trouble": "closed"})
    elif capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT) > MOST_PIXELS:
        _send(channel, {"trouble": "large"})
    else:
        _send(channel, {})
        _serve(channel, capture, Halves(memory), complaints)
    return 0


class Halves:
    """Two places in shared memory for one picture each, as large as the largest so far."""

    def __init__(self, memory: int) -> None:
        self._memory, self._size, self._next = memory, 0, 0
        self._view: mmap.mmap | None = None

    def put(self, image: Image) -> dict[str, int]:
        """Store a frame in the half that was not used last, and say where."""
        if image.nbytes > self._size or self._view is None:
            self._size = image.nbytes
            os.truncate(self._memory, HALVES * self._size)
            self._view = mmap.mmap(self._memory, HALVES * self._size)
        offset, self._next = self._next * self._size, 1 - self._next
        np.frombuffer(self._view, np.uint8, image.nbytes, offset).reshape(image.shape)[:] = image
        return {"height": image.shape[0], "width": image.shape[1], "offset": offset, "size": HALVES * self._size}


def limit_memory(most: int) -> None:
    """Make allocations of this process fail beyond this many bytes of data."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def go_first() -> None:
    """Let the kernel end this process before the main one where memory runs out."""
    with suppress(OSError):  # some containers do not allow it, and nothing depends on it
        Path("/proc/self/oom_score_adj").write_text("800")


def _serve(channel: socket.socket, capture: cv2.VideoCapture, halves: Halves, complaints: Complaints) -> None:
    """Answer each message with the next frame, until the end."""
    while True:
        said = _next(capture, halves, complaints)
        if not channel.recv(MESSAGE_BYTES):
            return
        _send(channel, said)
        if "trouble" in said:
            return


def _next(capture: cv2.VideoCapture, halves: Halves, complaints: Complaints) -> dict[str, Any]:
    try:
        decoded, image = capture.read()
    except (cv2.error, MemoryError):  # what OpenCV raises where memory is refused
        return {"trouble": "memory"}
    if not decoded:
        return {"trouble": "end"}
    if complaints.complains():
        return {"trouble": "interlaced"}
    picture = as_bgr(image)
    if picture.shape[0] * picture.shape[1] > MOST_PIXELS:
        return {"trouble": "large"}
    return {**halves.put(picture), "stamp": capture.get(cv2.CAP_PROP_POS_MSEC) / 1000}


def _send(channel: socket.socket, said: Mapping[str, Any]) -> None:
    channel.send(json.dumps(said).encode())


if __name__ == "__main__":
    sys.exit(main())

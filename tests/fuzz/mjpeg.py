"""What a network camera sends over HTTP: pictures as they were, however the bytes come, and never more than is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from edge.cameras.jpegs import BEGIN, END, MOST_BYTES, JpegSplitter, TooLargeError
from edge.cameras.login import User, answer

ABOUT = "MJPEG over HTTP, and requests for a login, as network cameras send them"
LONGEST = 8192
WORDS = (
    BEGIN,
    END,
    b"\xff\xda",
    b"\xff\xd0",
    b"\xff\xff",
    b"--frame\r\n",
    b"Content-Length: ",
    b"X-Timestamp: ",
    b"Digest ",
    b"Basic ",
    b"qop=",
    b"algorithm=SHA-256",
)
PIECE = 61


def seeds() -> list[bytes]:
    """A few pictures with delimiters before, after and without, and two logins."""
    ramp = np.arange(16 * 12 * 3, dtype=np.uint8).reshape(12, 16, 3)
    one = cv2.imencode(".jpg", ramp)[1].tobytes()
    other = cv2.imencode(".jpg", ramp, (cv2.IMWRITE_JPEG_PROGRESSIVE, 1))[1].tobytes()
    part = b"Content-Type: image/jpeg\r\nX-Timestamp: 1.5\r\n\r\n"
    return [
        b"--frame\r\n" + part + one + b"\r\n--frame\r\n" + part + other,
        part + one + b"\r\n--frame\r\n" + one,
        one + other,
        b'Digest realm="a", nonce="b", qop="auth,auth-int", algorithm=MD5, opaque="c"',
        b'Basic realm="a", Digest realm="b", nonce="c"',
    ]


@contextmanager
def opened(_: Path) -> Iterator[Callable[[bytes], None]]:
    """Try one."""

    def attempt(data: bytes) -> None:
        whole = _pictures([data])
        assert whole == _pictures([data[at : at + PIECE] for at in range(0, len(data), PIECE)])
        assert all(picture.startswith(BEGIN) and picture.endswith(END) for picture in whole)
        said = answer(User("door", "secret"), [data.decode("latin-1")], "GET", "/")
        assert said is None or said.startswith(("Basic ", "Digest "))
        assert said is None or "\n" not in said
        assert said is None or not said.startswith("Digest ") or "secret" not in said

    yield attempt


def _pictures(pieces: list[bytes]) -> list[bytes]:
    splitter, found = JpegSplitter(), []
    try:
        for piece in pieces:
            splitter.feed(piece)
            while (picture := splitter.next()) is not None:
                found.append(picture)
    except TooLargeError:
        assert sum(map(len, pieces)) > MOST_BYTES
    return found

"""Odd and hostile inputs, and what becomes of each. ``python -m tests.cameras.odd_inputs`` prints the table of them.

Each is opened as ``maskgate run --source`` opens it, and played to its end or its first error.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from edge.cameras.choose import open_camera
from edge.cameras.recording import Recording
from edge.clock import SystemClock
from edge.config import CameraSettings
from edge.errors import MaskgateError
from edge.worker import Flag
from tests.stand_ins import memory, recordings
from tests.stand_ins.http_camera import Answer, http_camera

MOST_FRAMES = 200
MULTIPART = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\n"

Make = Callable[[Path], "contextlib.AbstractContextManager[str]"]


@dataclass(frozen=True, slots=True)
class Odd:
    """An input.

    Attributes:
        what: In words.
        make: Makes it in an empty folder, and says how ``camera.source`` names it.
        expected: A pattern of the outcome.
    """

    what: str
    make: Make
    expected: str


ODD: list[Odd] = []


def file(what: str, expected: str, name: str = "a.mp4") -> Callable[[Callable[[Path], None]], None]:
    """An input that is a file of that name."""

    def add(write: Callable[[Path], None]) -> None:
        @contextlib.contextmanager
        def make(folder: Path) -> Iterator[str]:
            write(folder / name)
            yield str(folder / name)

        ODD.append(Odd(what, make, expected))

    return add


def server(what: str, expected: str, path: str = "/video", host: str = "127.0.0.1") -> Callable[[Answer], None]:
    """An input that a web server sends."""

    def add(answer: Answer) -> None:
        @contextlib.contextmanager
        def make(_: Path) -> Iterator[str]:
            with http_camera(answer) as port:
                yield f"http://{host}:{port}{path}"

        ODD.append(Odd(what, make, expected))

    return add


def outcome(source: str) -> str:
    """What becomes of a source: ``5 frames``, then what is said."""
    frames, said = 0, ""
    try:
        camera = open_camera(CameraSettings(source=source), SystemClock()).camera
        with contextlib.closing(camera):
            if camera.live:
                while frames < MOST_FRAMES and camera.read():
                    frames += 1
            else:
                frames, said = _recorded(Recording(camera, SystemClock(), False, _Never()))
    except MaskgateError as error:
        said = str(error)
    counted = f"{frames} frame{'s' * (frames != 1)}"
    return f"{counted}; {said}" if said else counted


class _Never(Flag):
    """A stop signal that does not come."""

    def wait(self, timeout: float | None = None) -> bool:
        return False


def _recorded(source: Recording) -> tuple[int, str]:
    frames = 0
    while frames < MOST_FRAMES and source.next(0.0):
        frames += 1
    return frames, source.trouble or ""


def jpeg(width: int = 64, height: int = 48, *options: int) -> bytes:
    """A noisy picture."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", image, options)[1].tobytes()


def video(path: Path, frames: int = 10, **options: str) -> bytes:
    """The content of a small H.264 recording."""
    recordings.write(path, (recordings.picture(n, n) for n in range(frames)), **(recordings.SMALL | options))
    return path.read_bytes()


# Recordings


@file("an empty file", "is not a video, or is damaged")
def _(path: Path) -> None:
    path.touch()


@file("random bytes named .mp4", "is not a video, or is damaged")
def _(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(100_000))


@file("an MP4 cut off before its index", "is not a video, or is damaged")
def _(path: Path) -> None:
    content = video(path)
    path.write_bytes(content[: content.rindex(b"moov") - 4])


@file("an MP4 whose index comes first, cut in half", r"[1-9]\d* frames; \d+ frames of 100 .* could not be decoded")
def _(path: Path) -> None:
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=recordings.FPS, options=recordings.SMALL)
        stream.width, stream.height, stream.pix_fmt = *recordings.SIZE, "yuv420p"
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(recordings.picture(number, number), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, recordings.FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@file("sound without pictures", "is not a video|contains no picture", "a.wav")
def _(path: Path) -> None:
    rate = 8000
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + rate, b"WAVE", b"fmt ", 16, 1, 1, rate, rate, 1, 8, b"data", rate
    )
    path.write_bytes(head + bytes(rate))


@file("one frame", r"^1 frame$")
def _(path: Path) -> None:
    video(path, 1)


@file("H.264 without a container", "^10 frames", "a.h264")
def _(path: Path) -> None:
    video(path)


@file("two sizes in one recording", r"^20 frames", "a.ts")
def _(path: Path) -> None:
    first = video(path)
    recordings.write(
        path, (cv2.resize(recordings.picture(n), (320, 240)) for n in range(10)), size=(320, 240), **recordings.SMALL
    )
    path.write_bytes(first + path.read_bytes())


@file("ten bits a colour", "^10 frames", "a.mkv")
def _(path: Path) -> None:
    recordings.write(path, (recordings.picture(n) for n in range(10)), "ffv1", pixels="yuv420p10le")


@file("grey", "^10 frames", "a.mkv")
def _(path: Path) -> None:
    recordings.write(path, (recordings.picture(n) for n in range(10)), "ffv1", pixels="gray")


@file("with an alpha channel", "^10 frames", "a.mov")
def _(path: Path) -> None:
    recordings.write(path, (recordings.picture(n) for n in range(10)), "png", pixels="rgba")


@file("an animated GIF", "GIF pictures are not supported", "a.gif")
def _(path: Path) -> None:
    recordings.write(path, (recordings.picture(n) for n in range(10)), "gif", pixels="rgb8")


@file("a codec that does not exist", "is not a video|contains no picture", "a.avi")
def _(path: Path) -> None:
    recordings.write(path, (recordings.picture(n) for n in range(10)), "mjpeg", pixels="yuvj420p")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZZ99"))


@file("a chunk that announces 2 GB", r"frames?; .*could not be decoded|^[1-9]\d* frames", "a.avi")
def _(path: Path) -> None:
    recordings.write(path, (recordings.picture(n) for n in range(10)), "mjpeg", pixels="yuvj420p")
    content = bytearray(path.read_bytes())
    at = content.index(b"00dc", content.index(b"movi") + 2000)
    content[at + 4 : at + 8] = struct.pack("<I", 2_000_000_000)
    path.write_bytes(content)


@file("a folder named like a video", r"holds no image")
def _(path: Path) -> None:
    path.mkdir()


@file("a link to itself", "cannot be read: Too many levels of symbolic links|There is no file")
def _(path: Path) -> None:
    path.symlink_to(path)


@file("a pipe to which nobody writes", "There is no video file")
def _(path: Path) -> None:
    os.mkfifo(path)


@file("a link to /dev/zero", "is a device, but not a camera")
def _(path: Path) -> None:
    path.symlink_to("/dev/zero")


# Images


@file("a web page named .png", "0 frames; .*cannot be read", "a.png")
def _(path: Path) -> None:
    path.write_text("<html>not found</html>")


@file("a PNG with a wrong checksum", "^1 frame$|cannot be read", "a.png")
def _(path: Path) -> None:
    content = bytearray(cv2.imencode(".png", recordings.picture(0))[1].tobytes())
    content[content.index(b"IDAT") + 40] ^= 255
    path.write_bytes(content)


@file("a PNG with 50 MB of text that compresses to 50 kB", "^1 frame$", "a.png")
def _(path: Path) -> None:
    content = cv2.imencode(".png", recordings.picture(0))[1].tobytes()
    body = b"zTXtComment\0\0" + zlib.compress(bytes(50 << 20), 9)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(content[:33] + chunk + content[33:])


@file("a JPEG of 65,500 x 1 pixels", "^1 frame$", "a.jpg")
def _(path: Path) -> None:
    path.write_bytes(jpeg(65_500, 1))


@file("a JPEG whose EXIF orientation is 200", "^1 frame$", "a.jpg")
def _(path: Path) -> None:
    exif = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, 200, 0, 0)
    whole = jpeg()
    path.write_bytes(whole[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif + whole[2:])


@file("a JPEG that is cut off in the middle", "0 frames; .*cannot be read: the file is damaged: it breaks off", "a.jpg")
def _(path: Path) -> None:
    whole = jpeg(640, 480)
    path.write_bytes(whole[: len(whole) // 2])


@file("a TIFF directory that points at itself", "^1 frame$|cannot be read", "a.tif")
def _(path: Path) -> None:
    content = bytearray(cv2.imencode(".tif", recordings.picture(0))[1].tobytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, start)
    struct.pack_into("<I", content, start + 2 + 12 * entries, start)
    path.write_bytes(content)


# Streams


@server("headers without an end", "no answer in time|is not HTTP")
def _(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"a" * 1000 + b"\r\n")


@server("a chunk of 16 EB, then garbage", "sends no more pictures")
def _(connection: socket.socket, _: bytes) -> None:
    head = MULTIPART.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.sendall(head + b"ffffffffffffffff\r\n--a\r\n" + np.random.default_rng(0).bytes(100_000))


@server("a chunk whose size is a word", "sends no more pictures")
def _(connection: socket.socket, _: bytes) -> None:
    head = MULTIPART.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.sendall(head + b"many\r\n--a\r\n" + jpeg())


@server("MJPEG compressed with gzip", "sends no more pictures")
def _(connection: socket.socket, _: bytes) -> None:
    head = MULTIPART.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    connection.sendall(head + gzip.compress((b"--a\r\n\r\n" + jpeg()) * 5))


@server("MJPEG whose size changes with each picture", "^5 frames; .*hung up")
def _(connection: socket.socket, _: bytes) -> None:
    connection.sendall(MULTIPART + b"".join(b"--a\r\n\r\n" + jpeg(64 * n, 48 * n) for n in range(1, 6)))


@server("a JPEG header that promises 65,500 x 65,500 pixels", "0 frames; .*too many pixels|hung up")
def _(connection: socket.socket, _: bytes) -> None:
    whole = bytearray(jpeg())
    struct.pack_into(">HH", whole, whole.index(b"\xff\xc0") + 5, 65_500, 65_500)
    connection.sendall(MULTIPART + b"--a\r\n\r\n" + bytes(whole))


@server("100 Continue before the answer", "^5 frames")
def _(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" + MULTIPART + (b"--a\r\n\r\n" + jpeg()) * 5)


@server("a redirection to a file of this machine", "redirects to something that is not a web address")
def _(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n")


@server("a playlist that names a file of this machine", "No stream can be read", "/a.m3u8")
def _(connection: socket.socket, _: bytes) -> None:
    text = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    connection.sendall(OK % b"application/vnd.apple.mpegurl" + text)


@server("random bytes as MPEG-TS", "No stream can be read|sends no more pictures")
def _(connection: socket.socket, _: bytes) -> None:
    connection.sendall(OK % b"video/mp2t" + np.random.default_rng(0).bytes(1_000_000))


@server("a video, then random bytes", r"^[1-9]\d* frames?; .*no more pictures")
def _(connection: socket.socket, _: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        content = video(Path(folder, "a.ts"), 60)
    connection.sendall(OK % b"video/mp2t" + content + np.random.default_rng(0).bytes(500_000))


@server("a page that asks for a login in HTML", "is a web page")
def _(connection: socket.socket, _: bytes) -> None:
    connection.sendall(OK % b"text/html; charset=utf-8" + b"<form action=login>")


@server("an endless text", "No stream can be read|sends no", "/log")
def _(connection: socket.socket, _: bytes) -> None:
    connection.sendall(OK % b"text/plain")
    while True:
        connection.sendall(b"all is well\n" * 1000)


def main() -> int:
    """Try each, and print a row of the table: outcome, seconds, memory."""
    for odd in ODD:
        with tempfile.TemporaryDirectory() as folder, odd.make(Path(folder)) as source:
            memory.forget_peak()
            before, began = memory.resident(), time.monotonic()
            said = outcome(source).replace(folder + "/", "")
            taken = (memory.peak() - before) >> 20
            print(f"| {odd.what} | {said} | {time.monotonic() - began:.1f} s | {taken} MB |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

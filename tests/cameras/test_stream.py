"""Network streams through FFmpeg, in a process of their own."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras import interlaced
from edge.cameras.decoder import MOST_MEMORY
from edge.cameras.http import open_stream
from edge.cameras.source import LatestFrame
from edge.cameras.stream import Stream
from edge.clock import SystemClock
from edge.errors import CameraError
from edge.values import EventKind, Image
from tests.nonempty import some
from tests.stand_ins import recordings
from tests.stand_ins.clock import ManualClock
from tests.stand_ins.http_camera import Answer, http_camera

MJPG, RAW = cv2.VideoWriter_fourcc(*"MJPG"), 0
VIDEO = b"HTTP/1.1 200 OK\r\nContent-Type: video/avi\r\nConnection: close\r\n\r\n"


def noise(number: int, width: int = 64, height: int = 48) -> Image:
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)


def avi(folder: Path, frames: int = 5, code: int = MJPG) -> bytes:
    path = folder / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 25, (64, 48))
    for number in range(frames):
        writer.write(noise(number))
    writer.release()
    return path.read_bytes()


def sends(content: bytes, endless: bytes = b"") -> Answer:
    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(VIDEO + content)
        while endless:
            connection.sendall(endless)

    return answer


def opened(port: int) -> Stream:
    stream = open_stream(f"http://door:secret@127.0.0.1:{port}/video", ManualClock(), 5.0, 2.0)
    assert isinstance(stream, Stream)
    return stream


def test_videos_decode_in_another_process(tmp_path: Path) -> None:
    with http_camera(sends(avi(tmp_path))) as port:
        stream = opened(port)
        frames = [stream.read() for _ in range(5)]
        with pytest.raises(CameraError, match="sends no more pictures"):
            stream.read()
        pid = stream.decoder
        stream.close()
        stream.close()
    assert pid != os.getpid()
    assert [frame.sequence for frame in frames] == list(range(5))
    assert [frame.stamp for frame in frames] == pytest.approx([number / 25 for number in range(5)])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_pictures_arrive_unchanged(tmp_path: Path) -> None:
    content = avi(tmp_path)
    here = cv2.VideoCapture(str(tmp_path / "a.avi"), cv2.CAP_FFMPEG)
    expected = [here.read()[1] for _ in range(5)]
    with http_camera(sends(content)) as port:
        stream = opened(port)
        frames = [stream.read() for _ in range(5)]
        stream.close()
    assert all(np.array_equal(frame.image, image) for frame, image in some(zip(frames, expected, strict=True)))


def test_process_lists_hide_the_address(tmp_path: Path) -> None:
    with http_camera(sends(avi(tmp_path))) as port:
        stream = opened(port)
        said = (
            Path(f"/proc/{stream.decoder}/cmdline").read_bytes() + Path(f"/proc/{stream.decoder}/environ").read_bytes()
        )
        stream.close()
    assert b"secret" not in said


def test_a_dead_decoder_is_reopened(tmp_path: Path) -> None:
    content = avi(tmp_path, 200)

    def slowly(connection: socket.socket, _: bytes) -> None:
        connection.sendall(VIDEO)
        for at in range(0, len(content), 5000):
            connection.sendall(content[at : at + 5000])
            time.sleep(0.02)

    streams: list[Stream] = []

    with http_camera(slowly) as port:

        def reopen() -> Stream:
            streams.append(opened(port))
            return streams[-1]

        source = LatestFrame(reopen(), reopen, SystemClock(), stale_after=0.3, reopen_after=0.05)
        assert source.next(10.0) is not None
        os.kill(streams[0].decoder, signal.SIGSEGV)
        deadline = time.monotonic() + 20
        while len(streams) < 2 and time.monotonic() < deadline:
            source.next(0.05)
        frame = source.next(10.0)
        source.close()
    assert len(streams) == 2
    assert frame is not None


def test_announced_gigabytes_hit_the_limit(tmp_path: Path) -> None:
    content = avi(tmp_path, 2)
    at = content.rindex(b"00dc", 0, content.index(b"idx1"))
    endless = content[:at] + b"00dc" + struct.pack("<I", 2_000_000_000)
    with http_camera(sends(endless, bytes(1 << 20))) as port:
        stream = opened(port)
        most = _watch(stream.decoder)
        with pytest.raises(CameraError):
            for _ in range(3):
                stream.read()
        stream.close()
    assert most
    assert max(most) < MOST_MEMORY + 100 * 2**20


def _watch(pid: int) -> list[int]:
    """Bytes in memory of a process, as long as it runs."""
    seen: list[int] = []

    def watch() -> None:
        path = Path(f"/proc/{pid}/statm")
        while path.exists() and (said := path.read_text().split()):
            seen.append(int(said[1]) * os.sysconf("SC_PAGE_SIZE"))
            time.sleep(0.01)

    threading.Thread(target=watch, daemon=True).start()
    return seen


def test_oversized_pictures_are_refused(tmp_path: Path) -> None:
    content = bytearray(avi(tmp_path, 2, RAW))
    struct.pack_into("<II", content, content.index(b"avih") + 40, 9_000, 9_000)
    struct.pack_into("<ii", content, content.index(b"strf") + 12, 9_000, 9_000)
    with http_camera(sends(bytes(content))) as port, pytest.raises(CameraError, match="too many pixels"):
        opened(port)


def test_closing_ignores_a_silent_camera() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live"
        began = time.monotonic()
        with pytest.raises(CameraError, match="No stream can be read"):
            Stream(url, ManualClock(), open_timeout=0.5)
        assert time.monotonic() - began < 10


def test_interlaced_streams_are_read_or_refused(tmp_path: Path) -> None:
    content = recordings.interlaced(tmp_path / "a.ts").read_bytes()
    with http_camera(sends(content)) as port:
        stream = opened(port)
        if interlaced.fails():
            with pytest.raises(CameraError, match="is interlaced, which this OpenCV cannot convert; set the camera"):
                stream.read()
        else:
            assert stream.read().image.mean() == pytest.approx(recordings.picture(0).mean(), abs=8)
        stream.close()


class TestQuietScene:
    """An encoder with long groups of pictures sends an empty hall as the same pixels, at new times."""

    def watched(self, port: int, seconds: float) -> tuple[list[EventKind], int]:
        source = LatestFrame(
            opened(port), lambda: opened(port), SystemClock(), stale_after=2.0, reopen_after=0.05, frozen_after=0.3
        )
        events, frames = [], 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            frames += source.next(0.05) is not None
            events += [event.kind for event in source.events()]
        source.close()
        return events, frames

    def test_it_is_no_frozen_camera(self, tmp_path: Path) -> None:
        quiet = [recordings.picture(0)] * 200
        content = recordings.write(tmp_path / "a.ts", quiet, "mpeg4", g="200").read_bytes()

        def in_real_time(connection: socket.socket, _: bytes) -> None:
            connection.sendall(VIDEO + content[: len(content) // 2])
            for at in range(len(content) // 2, len(content), 376):
                connection.sendall(content[at : at + 376])
                time.sleep(0.02)

        with http_camera(in_real_time) as port:
            events, frames = self.watched(port, 2.0)
        assert events == []
        assert frames > 10

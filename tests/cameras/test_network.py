"""Network cameras through FFmpeg and over HTTP."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator

import cv2
import pytest

from edge.cameras.stream import OPEN_TIMEOUT, Stream
from edge.errors import CameraError
from tests.cameras.helpers import plain
from tests.stand_ins.clock import ManualClock


class MjpegCamera(http.server.BaseHTTPRequestHandler):
    """A network camera that sends five pictures as multipart JPEG, then hangs up."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for level in range(5):
            _, jpeg = cv2.imencode(".jpg", plain((level * 40, 0, 200)))
            part = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(part.encode() + jpeg.tobytes() + b"\r\n")

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def network_camera() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), MjpegCamera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


class TestStream:
    def test_http_videos_are_read_whole(self, network_camera: int) -> None:
        stream = Stream(f"http://door:secret@127.0.0.1:{network_camera}/video.mjpg", ManualClock(), read_timeout=2.0)
        assert stream.live
        assert stream.read().image.shape == (48, 64, 3)
        with pytest.raises(CameraError, match="no more pictures") as raised:
            for _ in range(10):
                stream.read()
        assert "secret" not in str(raised.value) + stream.name

    def test_absent_cameras_hide_the_password(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        with pytest.raises(CameraError, match="No stream can be read") as raised:
            Stream(f"rtsp://door:secret@127.0.0.1:{port}/live", ManualClock(), open_timeout=2.0)
        assert "secret" not in str(raised.value)
        assert f"127.0.0.1:{port}" in str(raised.value)

    def test_silent_cameras_time_out(self) -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            began = time.monotonic()
            with pytest.raises(CameraError):
                Stream(f"http://127.0.0.1:{silent.getsockname()[1]}/", ManualClock(), open_timeout=0.5)
            assert time.monotonic() - began < OPEN_TIMEOUT

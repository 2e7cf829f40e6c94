"""Network cameras over HTTP: every way to send MJPEG that was seen, logins, and answers that are no video."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.cameras.http import MjpegCamera, open_stream
from edge.cameras.jpegs import MOST_BYTES, JpegSplitter, TooLargeError
from edge.cameras.login import User, answer
from edge.errors import CameraError, ConfigError
from edge.values import Frame
from tests.nonempty import some
from tests.stand_ins import memory
from tests.stand_ins.clock import ManualClock
from tests.stand_ins.http_camera import Answer, http_camera

PICTURES = 5
REPLACE = "multipart/x-mixed-replace"
CHUNK = 700


def jpeg(number: int, *options: int) -> bytes:
    """A picture whose blue tells its number."""
    return cv2.imencode(".jpg", np.full((48, 64, 3), (number * 40, 0, 200), np.uint8), options)[1].tobytes()


def response(
    kind: str | None = "multipart/x-mixed-replace; boundary=frame", protocol: str = "HTTP/1.1", more: str = ""
) -> bytes:
    said = f"Content-Type: {kind}\r\n" if kind else ""
    return f"{protocol} 200 OK\r\n{said}{more}\r\n".encode()


def part(picture: bytes, length: int | None = None) -> bytes:
    said = len(picture) if length is None else length
    return b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % said + picture + b"\r\n"


def chunked(body: bytes) -> bytes:
    pieces = [body[at : at + CHUNK] for at in range(0, len(body), CHUNK)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def each(wrap: Callable[[bytes], bytes]) -> bytes:
    return b"".join(wrap(jpeg(number)) for number in range(PICTURES))


def with_thumbnail(picture: bytes) -> bytes:
    inside = jpeg(6)
    return picture[:2] + b"\xff\xe1" + (len(inside) + 2).to_bytes(2, "big") + inside + picture[2:]


BEFORE = each(lambda picture: b"--frame\r\n" + part(picture))
AUDIO = b"--frame\r\nContent-Type: audio/basic\r\n\r\n\xff\xd8\xff\x01\r\n"
PROGRESSIVE, RESTARTS = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 1)
WAYS = {
    "delimiter before": response() + BEFORE,
    "delimiter after (ESP32)": response() + each(lambda picture: part(picture) + b"--frame\r\n"),
    "without dashes": response() + each(lambda picture: b"frame\r\n" + part(picture)),
    "four dashes": response(f"{REPLACE};boundary=--frame") + each(lambda picture: b"----frame\r\n" + part(picture)),
    "quoted boundary": response(f'{REPLACE}; boundary="a b"') + each(lambda picture: b"--a b\r\n" + part(picture)),
    "no boundary named": response(REPLACE) + BEFORE,
    "multipart/mixed": response("multipart/mixed; boundary=frame") + BEFORE,
    "Multipart/Related": response("Multipart/Related; boundary=frame") + BEFORE,
    "parts without headers": response() + each(lambda picture: b"--frame\r\n\r\n" + picture),
    "no delimiters at all": response() + each(lambda picture: picture),
    "lines end with a line feed": response() + BEFORE.replace(b"\r\n", b"\n"),
    "a length that is too small": response() + each(lambda picture: b"--frame\r\n" + part(picture, 7)),
    "a length that is too large": response() + each(lambda picture: b"--frame\r\n" + part(picture, 2_000_000_000)),
    "a length that is none": response() + BEFORE.replace(b"Content-Length: ", b"Content-Length: -"),
    "chunked": response(more="Transfer-Encoding: chunked\r\n") + chunked(BEFORE),
    "HTTP/1.0": response(protocol="HTTP/1.0") + BEFORE,
    "image/jpeg without an end": response("image/jpeg") + each(lambda picture: picture),
    "no content type": response(None) + BEFORE,
    "application/octet-stream": response("application/octet-stream") + each(lambda picture: picture),
    "text/plain": response("text/plain") + BEFORE,
    "parts of other kinds between": response() + BEFORE.replace(b"--frame", AUDIO + b"--frame"),
    "a damaged picture between": response() + b"--frame\r\n" + part(jpeg(9)[:200]) + BEFORE,
    "progressive pictures": response() + b"".join(part(jpeg(n, *PROGRESSIVE)) for n in range(PICTURES)),
    "restart markers": response() + b"".join(part(jpeg(n, *RESTARTS)) for n in range(PICTURES)),
    "fill bytes before markers": response() + BEFORE.replace(b"\xff\xc0", b"\xff\xff\xff\xc0"),
    "a picture in a picture's header": response() + each(lambda picture: part(with_thumbnail(picture))),
}  # fmt: skip


def says(content: bytes, then: float = 0.0) -> Answer:
    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(content)
        time.sleep(then)

    return answer


def url(port: int, user: str = "") -> str:
    return f"http://{user}127.0.0.1:{port}/video"


def opened(address: str, **timeouts: float) -> Any:
    return open_stream(address, ManualClock(), **({"open_timeout": 3.0, "read_timeout": 2.0} | timeouts))


def numbers(camera: Any) -> list[int]:
    """Which pictures come until the camera hangs up."""
    frames: list[Frame] = []
    with pytest.raises(CameraError, match=r"hung up|hangs up"):
        while True:
            frames.append(camera.read())
    camera.close()
    return [round(int(frame.image[20, 20, 0]) / 40) for frame in frames]


@pytest.mark.parametrize("way", WAYS)
def test_every_mjpeg_form_is_read(way: str) -> None:
    with http_camera(says(WAYS[way])) as port:
        camera = opened(url(port))
        assert isinstance(camera, MjpegCamera)
        assert numbers(camera) == list(range(PICTURES))


def test_bytes_may_come_one_by_one() -> None:
    splitter = JpegSplitter()
    found = []
    for byte in BEFORE:
        splitter.feed(bytes([byte]))
        if picture := splitter.next():
            found.append(picture)
    assert found == [jpeg(number) for number in range(PICTURES)]


def test_time_stamps_before_pictures_are_read() -> None:
    splitter = JpegSplitter()
    splitter.feed(b"--frame\r\nX-Timestamp: 12.500000\r\n" + part(jpeg(0)) + b"--frame\r\n" + part(jpeg(1)))
    stamps = [(splitter.next(), splitter.stamp)[1] for _ in range(2)]
    assert stamps == [12.5, None]


CLOSES_IN_TIME = """
from tests.cameras import test_http
with test_http.http_camera(test_http.says(next(iter(test_http.WAYS.values())), then=1.0)) as port:
    camera = test_http.opened(test_http.url(port))
    camera.read()
    camera.close()
    del camera
"""


def test_closing_leaves_nothing_behind() -> None:
    """Python 3.13 prints what fails while an object is cleared away; before, only its development mode does."""
    command = [sys.executable, "-X", "dev", "-W", "ignore", "-c", CLOSES_IN_TIME]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class TestMemory:
    def test_an_announced_gigabyte_takes_no_memory(self) -> None:
        endless = b"Content-Type: image/jpeg\r\nContent-Length: 2000000000\r\n\r\n" + jpeg(0)[:-2]

        def answer(connection: socket.socket, _: bytes) -> None:
            connection.sendall(response() + b"--frame\r\n" + endless)
            while True:
                connection.sendall(bytes(1 << 20))

        with http_camera(answer) as port:
            camera = opened(url(port), read_timeout=20.0)
            before = memory.resident()
            memory.forget_peak()
            with pytest.raises(CameraError, match=r"a picture of (over|more than) 16 MB"):
                camera.read()
            camera.close()
            assert memory.peak() - before < 3 * MOST_BYTES

    def test_bytes_without_pictures_are_dropped(self) -> None:
        splitter = JpegSplitter()
        before = memory.resident()
        for _ in range(40):
            splitter.feed(bytes(1 << 20))
            assert splitter.next() is None
        assert memory.resident() - before < MOST_BYTES

    def test_an_endless_picture_is_refused(self) -> None:
        splitter = JpegSplitter()
        splitter.feed(jpeg(0)[:-2] + bytes(MOST_BYTES))
        with pytest.raises(TooLargeError):
            splitter.next()


class TestTime:
    def test_dripping_cameras_are_given_up(self) -> None:
        def answer(connection: socket.socket, _: bytes) -> None:
            for byte in response():
                connection.sendall(bytes([byte]))
                time.sleep(0.3)

        with http_camera(answer) as port:
            began = time.monotonic()
            with pytest.raises(CameraError, match="no answer in time"):
                opened(url(port), open_timeout=1.0)
            assert time.monotonic() - began < 0.3 * len(response())

    @pytest.mark.parametrize("sent", [b"", BEFORE[:300]], ids=["nothing", "half a picture"])
    def test_stalled_cameras_are_given_up(self, sent: bytes) -> None:
        with http_camera(says(response() + sent, then=60)) as port:
            camera = opened(url(port), read_timeout=0.5)
            with pytest.raises(CameraError, match="no more pictures: no answer in time"):
                camera.read()
            camera.close()

    def test_undecodable_pictures_are_named(self) -> None:
        broken = jpeg(0).replace(b"\xff\xc0\x00\x11", b"\xff\xc3\x00\x11")
        stop = threading.Event()

        def answer(connection: socket.socket, _: bytes) -> None:
            connection.sendall(response())
            while not stop.wait(0.05):
                connection.sendall(part(broken))

        with http_camera(answer) as port:
            camera = opened(url(port), read_timeout=0.6)
            with pytest.raises(CameraError, match=r"sends no picture that can be decoded"):
                camera.read()
            stop.set()
            camera.close()


class TestLogin:
    BASIC = 'Basic realm="door"'
    DIGEST = 'Digest realm="door", nonce="n0", qop="auth", opaque="o"'

    def camera(self, challenge: str, right: Callable[[str], bool], asked: list[str]) -> Answer:
        def answer(connection: socket.socket, request: bytes) -> None:
            found = [line[15:] for line in request.decode().split("\r\n") if line.startswith("Authorization: ")]
            asked.append(found[0] if found else "")
            if found and right(found[0]):
                connection.sendall(response() + BEFORE)
            else:
                connection.sendall(f"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\n\r\n".encode())

        return answer

    def test_basic(self) -> None:
        wanted = "Basic " + base64.b64encode(b"door:p w/#").decode()
        asked: list[str] = []
        with http_camera(self.camera(self.BASIC, lambda said: said == wanted, asked)) as port:
            assert numbers(opened(url(port, "door:p%20w%2F%23@"))) == list(range(PICTURES))
        assert asked == ["", wanted]

    def test_digest_is_preferred_to_basic(self) -> None:
        asked: list[str] = []
        both = f"{self.BASIC}\r\nWWW-Authenticate: {self.DIGEST}"
        with http_camera(self.camera(both, lambda said: 'username="door"' in said, asked)) as port:
            assert numbers(opened(url(port, "door:secret@"))) == list(range(PICTURES))
        assert asked[1].startswith("Digest ")
        assert "secret" not in asked[1]

    def test_logins_may_hold_any_character(self) -> None:
        asked: list[str] = []
        with http_camera(self.camera(self.DIGEST, lambda said: 'username="tür"' in said, asked)) as port:
            assert numbers(opened(url(port, "t%C3%BCr:s%E2%82%AC@"))) == list(range(PICTURES))

    def test_an_unknown_login_scheme_is_named(self) -> None:
        camera = self.camera("Negotiate", lambda _: True, [])
        with http_camera(camera) as port, pytest.raises(CameraError, match="a login method that maskgate does not"):
            opened(url(port, "door:secret@"))

    def test_a_wrong_password_stays_hidden(self) -> None:
        camera = self.camera(self.DIGEST, lambda _: False, [])
        with http_camera(camera) as port, pytest.raises(CameraError, match="refuses the user and pass") as raised:
            opened(url(port, "door:secret@"))
        assert "secret" not in str(raised.value)

    def test_a_missing_login_explains_itself(self) -> None:
        camera = self.camera(self.DIGEST, lambda _: True, [])
        with http_camera(camera) as port, pytest.raises(CameraError, match=r"write http://USER:PASSWORD@"):
            opened(url(port))

    @pytest.mark.parametrize(
        ("algorithm", "expected"),
        [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ],
    )
    def test_digest_is_that_of_the_standard(self, algorithm: str, expected: str) -> None:
        """The examples of RFC 7616, section 3.9.1."""
        challenge = (
            f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
            'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
            'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        )
        user = User("Mufasa", "Circle of Life")
        said = answer(user, [challenge], "GET", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
        assert said is not None
        assert f'response="{expected}"' in said

    def test_the_older_digest_is_known(self) -> None:
        """The example of RFC 2069 as corrected by its errata."""
        challenge = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
        said = answer(User("Mufasa", "CircleOfLife"), [challenge], "GET", "/dir/index.html")
        assert said is not None
        assert 'response="1949323746fe6a43ef61f9606e7febea"' in said


class TestAnswers:
    def test_redirections_keep_the_password_home(self) -> None:
        asked: list[bytes] = []

        def target(connection: socket.socket, request: bytes) -> None:
            asked.append(request)
            connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=a\r\n\r\n")

        with http_camera(target) as other:
            to = f"HTTP/1.1 302 Found\r\nLocation: http://localhost:{other}/video\r\n\r\n".encode()
            with http_camera(says(to)) as port, pytest.raises(CameraError, match="refuses"):
                opened(url(port, "door:secret@"))
        assert asked
        assert all(b"Authorization" not in request for request in some(asked))

    def test_local_redirections_are_followed(self) -> None:
        def answer(connection: socket.socket, request: bytes) -> None:
            first = request.startswith(b"GET /video ")
            connection.sendall(b"HTTP/1.1 301 Moved\r\nLocation: /mjpeg\r\n\r\n" if first else response() + BEFORE)

        with http_camera(answer) as port:
            assert numbers(opened(url(port))) == list(range(PICTURES))

    def test_a_circle_of_redirections_ends(self) -> None:
        circle = says(b"HTTP/1.1 302 Found\r\nLocation: /video\r\n\r\n")
        with http_camera(circle) as port, pytest.raises(CameraError, match="redirects too often"):
            opened(url(port))

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "answers 404 Not Found; check the address's path"),
            (b"HTTP/1.1 503 \x1b[31mbusy\r\n\r\n", r"answers 503 \[31mbusy"),
            (response("text/html") + b"<html>login</html>", "is a web page"),
            (response(None) + b"<!DOCTYPE html><html>", "is a web page"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "is not HTTP"),
            (b"", "is not HTTP"),
        ],
        ids=[
            "404",
            "503 with control characters",
            "a web page",
            "a web page without a type",
            "another server",
            "nothing",
        ],
    )
    def test_what_is_no_video_is_named(self, content: bytes, said: str) -> None:
        with http_camera(says(content)) as port, pytest.raises(CameraError, match=said):
            opened(url(port))

    def test_a_snapshot_is_named(self) -> None:
        with http_camera(says(response("image/jpeg") + jpeg(1))) as port:
            camera = opened(url(port))
            camera.read()
            with pytest.raises(CameraError, match="the address of its video, not of a snapshot"):
                camera.read()
            camera.close()

    def test_an_address_needs_a_host(self) -> None:
        with pytest.raises(ConfigError, match="has no host"):
            opened("http:///video")

    def test_self_signed_cameras_are_reported(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        files = [str(tmp_path / name) for name in ("key.pem", "cert.pem")]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=camera", "-days", "2"]
        subprocess.run([*command, "-keyout", files[0], "-out", files[1]], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files[1], files[0])
        with http_camera(says(response() + BEFORE), context) as port:
            camera = opened(f"https://127.0.0.1:{port}/video")
            assert numbers(camera) == list(range(PICTURES))
        assert f"The certificate of https://127.0.0.1:{port} is not trusted" in caplog.text

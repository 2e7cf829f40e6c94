"""Stopping while a camera keeps the process waiting: at once, with exit code 0, and never by an abort."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras.choose import Choice
from edge.cameras.opening import StoppedError, open_unless_stopped
from edge.errors import CameraError
from edge.worker import Flag
from tests.stand_ins.http_camera import http_camera

MOST_SECONDS = 4.0
"""From the signal to the end: less than any wait for a camera, and more than ending takes on a busy machine."""
TRIES = 3
"""A busy machine may delay one end; waiting for the camera delays each of them."""
PATIENCE = 60.0


@contextlib.contextmanager
def running(folder: Path, source: str, *program: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "MASKGATE_COUNTS_PATH": str(folder / "counts.db"),
        "MASKGATE_ALERTS_OUTPUT": "none",
        "MASKGATE_WEB_ENABLED": "false",
    }
    command = [sys.executable, *(program or ("-m", "edge")), "run", "--source", source, "--quiet"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> float:
    """Ask for a clean end, without a last word; the seconds that took."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (0, "")
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_signals_interrupt_opening_a_camera(tmp_path: Path, scheme: str) -> None:
    assert min(ended_while_opening(tmp_path, scheme) for _ in range(TRIES)) < MOST_SECONDS


def ended_while_opening(folder: Path, scheme: str) -> float:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/live"
        with running(folder, source) as process:
            silent.settimeout(PATIENCE)
            connection, _ = silent.accept()
            with connection:
                return end(process)


@pytest.mark.slow
def test_silent_cameras_never_delay_stopping(tmp_path: Path) -> None:
    assert min(ended_while_silent(tmp_path, 0.2 * attempt) for attempt in range(TRIES)) < MOST_SECONDS


def ended_while_silent(folder: Path, after: float) -> float:
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    silent, over = threading.Event(), threading.Event()

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=a\r\n\r\n" + jpeg)
        silent.set()
        over.wait(PATIENCE)

    with http_camera(answer) as port, running(folder, f"http://127.0.0.1:{port}/") as process:
        assert silent.wait(PATIENCE)
        time.sleep(after)
        took = end(process)
        over.set()
    return took


IN_C = """
import ctypes, sys
from edge import cli
from edge.cameras.http import MjpegCamera

class Library:
    '''Uses itself once more in a thread of C++ after the interpreter is gone, as a driver's library does.'''
    def read(self):
        print("hangs", flush=True)
        ctypes.CDLL(None).sleep(1000)

MjpegCamera.read = lambda camera: Library().read()
import atexit
atexit.register(lambda: ctypes.CDLL(None).abort())
cli.end_process(cli.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_hanging_threads_keep_their_libraries(tmp_path: Path) -> None:
    over = threading.Event()

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=a\r\n\r\n")
        over.wait(PATIENCE)

    with http_camera(answer) as port, running(tmp_path, f"http://127.0.0.1:{port}/", "-c", IN_C) as process:
        assert process.stdout
        assert process.stdout.readline() == "hangs\n"
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        over.set()
    assert process.returncode == 0


class TestOpening:
    def test_what_is_opened_is_given(self) -> None:
        choice = Choice(None, lambda: None, ())  # type: ignore[arg-type]
        assert open_unless_stopped(lambda: choice, Flag()) is choice

    def test_why_it_fails_is_raised(self) -> None:
        def fail() -> Choice:
            raise CameraError("unplugged")

        with pytest.raises(CameraError, match="unplugged"):
            open_unless_stopped(fail, Flag())

    def test_a_stop_does_not_wait(self) -> None:
        stopped, release = Flag(), threading.Event()
        threading.Timer(0.05, stopped.set).start()
        with pytest.raises(StoppedError):
            open_unless_stopped(lambda: release.wait(20), stopped)  # type: ignore[arg-type,return-value]
        release.set()

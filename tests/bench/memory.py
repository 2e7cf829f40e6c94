"""Memory of the whole process with the screens looked at and a broker told, over a while."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np

from tests.bench.results import Options, Section, Table
from tests.bench.scenes import demo
from tests.bench.web import clients

ROOT = Path(__file__).parents[2]
SETTLING = 10.0
"""Seconds until everything has been asked for once."""
PAGES = ("", "operator", "api/status", "metrics", "health")


def run(options: Options) -> Section:
    """Watch both kinds of picture source for a while, and read /proc."""
    section, rows = Section(), []
    with tempfile.TemporaryDirectory() as folder, _broker() as broker:
        if broker is None:
            section.notes.append("No broker is told: mosquitto is not installed.")
        for number, image in enumerate(frame.image for frame in demo(60)):
            cv2.imwrite(f"{folder}/{number:03}.jpg", image)
        for name, source in (("JPEG pictures, as a USB camera sends them", folder), ("the demo clip (FFmpeg)", "demo")):
            measured = _measure(source, options.some(90, 8), broker)
            section.data[name] = measured
            rows.append((name, *(f"{measured[key]:.1f}" for key in ("peak", "shared")), f"{measured['growth']:+.2f}"))
    head = ("looking at", "peak, MB (VmHWM)", "of it shared files, MB", "growth once settled, MB a minute")
    about = "The whole of `maskgate run`, screens served to 5 listeners and read, broker told:"
    section.tables.append(Table(about, head, rows))
    return section


def _measure(source: str, seconds: int, broker: int | None) -> dict[str, float]:
    """Megabytes: the peak, what of the memory are files that others can share, and growth a minute; open files."""
    port = _free_port()
    with (
        tempfile.TemporaryDirectory() as home,
        _appliance(source, Path(home), port, broker) as process,
        clients(f"http://127.0.0.1:{port}/", "", ["5:/events"]),
    ):
        resident, handles = _watch(process.pid, port, seconds)
        peak, shared = _status(process.pid, "VmHWM"), _status(process.pid, "RssFile")
    later = [(at, size) for at, size in resident if at >= min(SETTLING, seconds / 2)]
    growth = float(np.polyfit(*zip(*later, strict=True), 1)[0]) * 60
    return {"peak": peak, "shared": shared, "growth": growth, "files_first": handles[0], "files_last": handles[-1]}


def _watch(pid: int, port: int, seconds: float) -> tuple[list[tuple[float, float]], list[int]]:
    """(second, megabytes) and open files, once a second, every page asked for in between."""
    begin, resident, handles = time.monotonic(), [], []
    while (now := time.monotonic() - begin) < seconds:
        for page in PAGES:
            with urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5) as answer:
                answer.read()
        resident.append((now, _status(pid, "VmRSS")))
        handles.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
        time.sleep(1)
    return resident, handles


@contextmanager
def _appliance(source: str, home: Path, port: int, broker: int | None) -> Iterator[subprocess.Popen[bytes]]:
    told = {"CAMERA_LOOP": "true", "WEB_PORT": str(port)}
    if broker:
        told |= {"MQTT_HOST": "127.0.0.1", "MQTT_PORT": str(broker)}
    own = {f"MASKGATE_{key}": value for key, value in told.items()}
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **own}
    command = [sys.executable, "-m", "edge", "run", "--source", source, "--quiet"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            _await_page(f"http://127.0.0.1:{port}/health")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


@contextmanager
def _broker() -> Iterator[int | None]:
    """The port of a broker of our own; None where there is none to start."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        yield None
        return
    port = _free_port()
    with subprocess.Popen([program, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.terminate()


def _await_page(url: str, limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        with suppress(OSError), urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    raise SystemExit(f"{url} did not answer within {limit:.0f} s.")


def _status(pid: int, key: str) -> float:
    """A line of /proc/PID/status, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{key}:"))
    return int(kilobytes) * 1024 / 1e6


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

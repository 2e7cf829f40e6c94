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

import numpy as np

from tests.bench.results import Options, Section, Table
from tests.bench.web import clients

ROOT = Path(__file__).parents[2]
SETTLING = 10.0
"""Seconds until everything has been asked for once."""
PAGES = ("", "operator", "api/status", "metrics", "health")


def run(options: Options) -> Section:
    """Play the demo clip in a loop, as a kiosk does, and read /proc."""
    section = Section()
    seconds = options.some(90, 8)
    settling = min(SETTLING, seconds / 2)
    with tempfile.TemporaryDirectory() as home, _broker() as broker:
        if broker is None:
            section.notes.append("No broker is told: mosquitto is not installed.")
        port = _free_port()
        with _appliance(Path(home), port, broker) as process, clients(f"http://127.0.0.1:{port}/", ["/events"], 5):
            resident, handles = _watch(process.pid, port, seconds)
            peak = _status(process.pid, "VmHWM")
            shared = _status(process.pid, "RssFile")
    later = [(at, size) for at, size in resident if at >= settling]
    slope = float(np.polyfit(*zip(*later, strict=True), 1)[0]) * 60
    rows = [
        ("peak, all of it (VmHWM)", f"{peak:.0f} MB"),
        ("of it files that other processes can share (RssFile)", f"{shared:.0f} MB"),
        (f"growth from second {settling:.0f} to {seconds}", f"{slope:+.2f} MB a minute"),
        ("open files, then and now", f"{handles[0]}, {handles[-1]}"),
    ]
    section.tables.append(
        Table("`maskgate run` on the looped demo clip, screens served to 5 listeners, broker told:", ("", ""), rows)
    )
    section.data = {"peak_mb": peak, "shared_mb": shared, "mb_a_minute": slope, "broker": broker is not None}
    return section


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
def _appliance(home: Path, port: int, broker: int | None) -> Iterator[subprocess.Popen[bytes]]:
    told = {"CAMERA_LOOP": "true", "WEB_PORT": str(port)}
    if broker:
        told |= {"MQTT_HOST": "127.0.0.1", "MQTT_PORT": str(broker)}
    own = {f"MASKGATE_{key}": value for key, value in told.items()}
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **own}
    command = [sys.executable, "-m", "edge", "run", "--source", "demo", "--quiet"]
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
        yield port
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

"""What the running program opens to others: docs/evidence/security.md lists it, and here the kernel does."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.stand_ins.broker import MOSQUITTO, Broker, free_port, wait_for
from tests.stand_ins.sockets import Socket, family, sockets, unix_listeners

LOOPBACK = "127.0.0.1"
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts ``maskgate run`` on the demo clip, over and over, with MASKGATE_ variables as given."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**variables: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "HOME": str(tmp_path), "MASKGATE_CAMERA_LOOP": "true"}
        environment |= {f"MASKGATE_{name.upper()}": value for name, value in variables.items()}
        command = [sys.executable, "-m", "edge", "run", "--source", "demo", "--quiet"]
        started.append(subprocess.Popen(command, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def page(port: int, path: str) -> bytes:
    """What is served there; nothing while nobody serves yet."""
    try:
        return httpx.get(f"http://{LOOPBACK}:{port}{path}").content
    except httpx.TransportError:
        return b""


def open_to_others(process: subprocess.Popen[bytes]) -> list[Socket]:
    return [one for one in sockets(process.pid) if one.is_open]


def reached(process: subprocess.Popen[bytes]) -> set[tuple[str, int]]:
    """Whom it has called. paho-mqtt wakes itself through a pair of sockets of its own, which reaches nobody."""
    held = sockets(process.pid)
    own = {(one.address, one.port) for one in held}
    served = {(one.address, one.port) for one in held if one.is_open}
    calls = [one for one in held if one.peer_port and (one.address, one.port) not in served]
    return {(one.peer, one.peer_port) for one in calls} - own


def only_its_user_asks(process: subprocess.Popen[bytes], folder: Path) -> bool:
    """Whether other commands reach the door over one socket, which only its own user and root open."""
    path = folder / "control"
    wait_for(lambda: unix_listeners(process.pid))
    return unix_listeners(process.pid) == [str(path)] and stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(MOSQUITTO is None, reason="needs a broker: apt install mosquitto")
@pytest.mark.slow
def test_one_local_port_is_open(start: Start, tmp_path: Path) -> None:
    broker, port = Broker(tmp_path).start(), free_port()
    try:
        process = start(web_port=str(port), mqtt_host=LOOPBACK, mqtt_port=str(broker.port), web_live_picture="true")
        wait_for(lambda: b"mqtt_connected 1" in page(port, "/metrics"))
        assert [(one.kind, one.address, one.port) for one in open_to_others(process)] == [("tcp", LOOPBACK, port)]
        assert reached(process) == {(LOOPBACK, broker.port)}
        assert only_its_user_asks(process, tmp_path / ".local/state/maskgate")
        assert family(process.pid) == [process.pid]
    finally:
        broker.stop()


@pytest.mark.slow
def test_without_pages_no_socket_is_open(start: Start, tmp_path: Path) -> None:
    process = start(web_enabled="false", counts_path=str(tmp_path / "counts.db"), counts_recordings="true")
    wait_for(lambda: (tmp_path / "counts.db").exists() or process.poll() is not None)
    assert process.poll() is None
    assert sockets(process.pid) == []
    assert only_its_user_asks(process, tmp_path)


def test_the_listing_sees_what_is_open() -> None:
    with (
        socket.create_server((LOOPBACK, 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as local,
    ):
        udp.bind((LOOPBACK, 0))
        local.bind("\0maskgate-test")
        local.listen()
        seen = {(one.kind, one.address, one.port) for one in sockets(os.getpid()) if one.is_open}
        assert {("tcp", LOOPBACK, tcp.getsockname()[1]), ("udp", LOOPBACK, udp.getsockname()[1])} <= seen
        assert "@maskgate-test" in unix_listeners(os.getpid())

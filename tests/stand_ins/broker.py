"""A real MQTT broker, Debian's mosquitto, and somebody who hears all that is said there."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
PATIENCE = 30.0
"""How long a busy machine may take for what takes a moment, in seconds."""


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What ``condition`` says as soon as that is true of anything."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port that is taken and refuses. Who dials a free one again and again may be given it, and reach itself."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


@dataclass
class Broker:
    """A mosquitto on a port of its own that can be stopped and started again."""

    folder: Path
    options: str = "allow_anonymous true"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Broker:
        file = self.folder / "mosquitto.conf"
        file.write_text(f"listener {self.port} 127.0.0.1\nuser root\n{self.options}\n")
        self.process = subprocess.Popen([str(MOSQUITTO), "-c", file], stderr=subprocess.DEVNULL)
        wait_for(self.listens)
        return self

    def listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


class Listener:
    """Hears everything at a broker, and remembers the latest of each topic and how often each was heard."""

    def __init__(self, port: int, **account: str) -> None:
        self.latest: dict[str, str] = {}
        self.retained: dict[str, bool] = {}
        self.heard: list[tuple[str, str]] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        if account:
            self._client.username_pw_set(**account)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        payload = message.payload.decode(errors="replace")
        self.latest[message.topic] = payload
        self.retained[message.topic] = message.retain
        self.heard.append((message.topic, payload))

    def say(self, topic: str, payload: str | bytes) -> None:
        self._client.publish(topic, payload, 1).wait_for_publish(PATIENCE)

    def send(self, topic: str, payload: str | bytes) -> None:
        """The same, without waiting until the broker has it."""
        self._client.publish(topic, payload, 1)

    def retain(self, topic: str, payload: str) -> None:
        self._client.publish(topic, payload, 1, retain=True).wait_for_publish(PATIENCE)

    def times(self, topic: str) -> int:
        return sum(heard == topic for heard, _ in self.heard)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class StuckBroker:
    """Accepts connections and answers pings and subscriptions; acknowledges messages only when told to."""

    def __init__(self) -> None:
        self.acknowledges = False
        self.connected_at: list[float] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])

    @property
    def connections(self) -> int:
        return len(self.connected_at)

    def __enter__(self) -> StuckBroker:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.connected_at.append(time.monotonic())
                threading.Thread(target=self._speak, args=(connection.makefile("rwb"),), daemon=True).start()

    def _speak(self, stream: BinaryIO) -> None:
        with stream, contextlib.suppress(OSError):
            while head := stream.read(1):
                body = stream.read(_length(stream))
                stream.write(self._answer(head[0] >> 4, body))
                stream.flush()

    def _answer(self, kind: int, body: bytes) -> bytes:
        connect, publish, subscribe, ping = 1, 3, 8, 12
        if kind == publish:
            number = body[2 + int.from_bytes(body[:2], "big") :][:2]
            return b"\x40\x02" + number if self.acknowledges else b""
        fixed = {connect: b"\x20\x02\0\0", subscribe: b"\x90\x03" + body[:2] + b"\1", ping: b"\xd0\0"}
        return fixed.get(kind, b"")


def _length(stream: BinaryIO) -> int:
    """Of an MQTT packet: seven bits a byte, the lowest first."""
    length = shift = 0
    while byte := stream.read(1):
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            break
    return length

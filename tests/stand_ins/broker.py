"""A real MQTT broker, Debian's mosquitto, and somebody who hears all that is said there."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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

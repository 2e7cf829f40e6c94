"""What an MQTT broker sends: the connection goes on or ends with one sentence, whatever it is.

The first byte chooses how far the broker plays along: odd, it accepts the door before it sends the rest.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from edge.clock import SystemClock
from edge.config import load
from edge.sinks.mqtt.account import BrokerError
from edge.sinks.mqtt.link import Link
from edge.sinks.mqtt.topics import topics

ABOUT = "what an MQTT broker sends"
LONGEST = 1024
ACCEPTED = b"\x20\x02\x00\x00"
GRANTED = b"\x90\x03\x00\x01\x01"
WORDS = (
    ACCEPTED,
    GRANTED,
    b"\x40\x02\0\x02",
    b"\xd0\0",
    b"homeassistant/status",
    b"online",
    b"\x30",
    b"\x32",
    b"\x34",
    b"\xff\xff\xff\x7f",
)
PASSES = 4
"""Over the socket, of at most a moment each."""
MOMENT = 0.005


def seeds() -> list[bytes]:
    """A broker as it should be that says that Home Assistant has started; one that refuses; one that is none."""
    birth = published(b"homeassistant/status", b"online")
    return [
        b"\x01" + GRANTED + birth + b"\x40\x02\0\x02\xd0\0",
        b"\x01" + published(b"homeassistant/status", b"offline", quality=1) + published(b"\xff\xfe", b"", quality=2),
        b"\x00\x20\x02\x00\x05",
        b"\x00HTTP/1.1 400 Bad Request\r\n\r\n",
    ]


def published(topic: bytes, payload: bytes, quality: int = 0) -> bytes:
    """A PUBLISH packet of fewer than 128 bytes."""
    number = b"\0\7" if quality else b""
    body = struct.pack(">H", len(topic)) + topic + number + payload
    return bytes([0x30 | quality << 1, len(body)]) + body


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Try one."""
    del folder

    def attempt(data: bytes) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            broker = Thread(target=_serve, args=(listener, data))
            broker.start()
            try:
                _listen(listener.getsockname()[1])
            finally:
                broker.join()

    yield attempt


def _listen(port: int) -> None:
    address = {"mqtt.host": "127.0.0.1", "mqtt.port": port, "mqtt.door": "front"}
    settings = load(environment={"HOME": "/nowhere"}, overrides=address).config.mqtt
    link = Link(settings, topics(settings), SystemClock())
    try:
        link.open()
        for _ in range(PASSES):
            link.send("maskgate/front/people", "1", retain=True)
            link.attend(MOMENT)
    except BrokerError as error:
        assert str(error)
    finally:
        link.close()


def _serve(listener: socket.socket, data: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(0.1)
        connection.recv(4096)
        plays_along = data[:1] and data[0] & 1
        try:
            connection.sendall((ACCEPTED if plays_along else b"") + data[1:])
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
        except OSError:  # the door has left
            return

"""Bytes to the HTTP server, from the device itself and from the network: it answers as documented, and goes on.

The first byte chooses the door: odd, one that is open to the network, to which every request is a stranger's.
"""

from __future__ import annotations

import itertools
import logging
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from edge.sinks.web import server as _loaded_to_be_watched  # noqa: F401
from edge.sinks.web import token
from edge.sinks.web.app import STATIC
from edge.sinks.web.gate import HEADERS
from tests.stand_ins.screens import Door, open_door

ABOUT = "bytes to the HTTP server, as the device itself and as a stranger"
LONGEST = 2048
WORDS = (
    *(b"GET ", b"POST ", b"HEAD ", b" HTTP/1.1\r\n", b"Host: localhost\r\n", b"Content-Length: "),
    *(b"/operator", b"/login", b"/events", b"/health", b"/api/status", b"/static/", b"/metrics", b"?lang=", b"token="),
    *(b"Authorization: Bearer ", b"Cookie: maskgate_session=", b"Origin: http://localhost", b"X-Forwarded-For: "),
    *(b"Accept-Language: ", b"Accept: text/html", b"Last-Event-ID: ", b"Expect: 100-continue\r\n", b"%00"),
    *(b"Upgrade: websocket\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"),
)
ANSWER_WITHIN = 0.05
"""A request that is not complete has no answer, which is not waited for longer, in seconds."""
LONGEST_ANSWER = 2**20
HEALTH_EVERY = 16
"""Inputs until the server is asked again how it is."""
STRANGER = "192.0.2.7"
TERSE = re.compile(rb'\{"status":"(ok|degraded|starting|out of service)"\}')


class Answer(NamedTuple):
    """One answer: its code, its head in small letters, its body as far as it came, and whether that is all of it."""

    code: int
    head: bytes
    body: bytes
    whole: bool


def seeds() -> list[bytes]:
    """One of each kind of request, to either door."""
    requests = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Language: fr;q=0.9, en\r\n\r\n",
        b"GET /operator?lang=fr HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept: text/html\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nContent-Length: 11\r\n\r\ntoken=wrong",
        b"POST /login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ntoken\r\n2\r\n=x\r\n0\r\n\r\n",
        b"GET /events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 3\r\n\r\n",
        b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\n\r\n",
        b"HEAD /static/kiosk.js HTTP/1.1\r\nHost: [::1]\r\nCookie: maskgate_session=0; a=b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\nGET /login HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]
    return [door + request for door in (b"\0", b"\1") for request in requests]


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Try one."""
    secret = token.make(folder / "token").encode()
    faults = Faults()
    with ExitStack() as stack:
        for name in ("edge.sinks.web", "asyncio"):
            logging.getLogger(name).addHandler(faults)
            stack.callback(logging.getLogger(name).removeHandler, faults)
        home = stack.enter_context(open_door(folder, extra={"/metrics": _metrics}))
        network = {"web.host": "0.0.0.0", "web.token_file": str(folder / "token")}
        lan = stack.enter_context(open_door(folder, network, extra={"/metrics": _metrics}))
        _see_strangers(lan)
        home.tell_a_day()
        lan.tell_a_day()

        numbers = itertools.count()

        def attempt(data: bytes) -> None:
            door = lan if data[:1] and data[0] & 1 else home
            for answer in _exchange(door, data[1:]):
                _check(answer)
                assert secret not in answer.body
                if door is lan:
                    _check_that_nothing_is_shown(answer)
            assert not faults.said, faults.said
            if next(numbers) % HEALTH_EVERY == 0:
                (health,) = _exchange(home, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", patience=10)
                assert health.code in (200, 503)

        yield attempt


class Faults(logging.Handler):
    """Remembers what goes wrong behind an answer."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Remember it."""
        self.said.append(record.getMessage())


def _metrics() -> tuple[bytes, str]:
    return b"frames 7\n", "text/plain; version=0.0.4"


def _see_strangers(door: Door) -> None:
    """Let the door take every request for one from elsewhere in the building."""
    guard = door.screens._guard
    judge = guard.visitor
    guard.visitor = lambda peer, *rest: judge(STRANGER, *rest)  # type: ignore[method-assign]


def _check(answer: Answer) -> None:
    assert answer.code < 500 or answer.code == 503, answer
    assert b"Traceback" not in answer.body
    if answer.code >= 200 and not _by_the_protocol(answer):
        missing = [name for name in HEADERS if f"\r\n{name}: ".encode() not in answer.head]
        assert not missing, f"{answer.code} without {missing}"


def _by_the_protocol(answer: Answer) -> bool:
    """Said before there is a request that a page could answer: fixed words of plain text, without our headers."""
    return (answer.code == 400 and b"\r\ncontent-length:" not in answer.head) or answer.body == b"Service Unavailable"


def _check_that_nothing_is_shown(answer: Answer) -> None:
    """To a stranger only what the form needs, and health in a word."""
    if answer.code == 200 and answer.body and answer.whole:
        static = answer.body in {path.read_bytes() for path in STATIC.iterdir()}
        assert static or TERSE.fullmatch(answer.body) or b'action="login' in answer.body, answer.body[:200]


def _exchange(door: Door, data: bytes, patience: float = ANSWER_WITHIN) -> list[Answer]:
    """What is answered, until it is whole or nothing comes for a moment."""
    port = urlsplit(door.url).port
    received = b""
    answers: list[Answer] = []
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(data)
        connection.settimeout(patience)
        try:
            while len(received) < LONGEST_ANSWER and (chunk := connection.recv(65536)):
                received += chunk
                answers = _answers(received)
                if answers[-1].whole:
                    break
        except (TimeoutError, ConnectionError):
            pass
    return answers


def _answers(received: bytes) -> list[Answer]:
    answers = []
    while received:
        assert received.startswith(b"HTTP/1.1 "), received[:80]
        head, _, rest = received.partition(b"\r\n\r\n")
        head = b"\r\n".join([b"", *head.lower().split(b"\r\n")[1:]])
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        end = int(length[1]) if length and not rest.startswith(b"HTTP/1.1 ") else len(rest) if not length else 0
        answers.append(Answer(int(received[9:12]), head, rest[:end], bool(length) and len(rest) >= end))
        received = rest[end:]
    return answers

"""One GET of a network camera's address: with its login, a few redirections, and a deadline for every byte."""

from __future__ import annotations

import http.client
import io
import logging
import socket
import ssl
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from edge.cameras.address import HIDDEN, HOW_TO_WRITE, normal, shown
from edge.cameras.login import User, answer
from edge.errors import CameraError
from edge.messages import message, together
from edge.pacing import SayOnce

MOST_REDIRECTIONS = 3
SAFE = "/%:=&?~+!$,;'@()*[]-._|"
"""Characters of a path and a query that are sent unescaped."""
WEB = ("http", "https")
REDIRECTIONS = frozenset({301, 302, 303, 307, 308})

say = SayOnce(logging.getLogger(__name__))


class _DeadlineSocket(io.RawIOBase):
    """A socket whose bytes, however slowly they drip, must have come by ``deadline``, in monotonic seconds."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self.deadline = deadline
        self._socket = connected

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._socket.settimeout(self._left())
        return self._socket.recv_into(buffer)

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(self._left())
        self._socket.sendall(data)

    def makefile(self, _mode: str, *_: object) -> io.BufferedReader:
        return io.BufferedReader(self, 65536)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


@dataclass(slots=True)
class Answer:
    """What a camera answers: its kind of content, in lower case, and the bytes as they come."""

    kind: str
    _response: http.client.HTTPResponse
    _socket: _DeadlineSocket

    def receive(self, within: float) -> bytes:
        """Some bytes; none at the end.

        Raises:
            OSError: None came within this many seconds, or the connection broke.
            http.client.HTTPException: What came is no HTTP.
        """
        self._socket.deadline = time.monotonic() + within
        return self._response.read1(65536)

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._socket.close()
        # When it is cleared away, the response would flush what is closed already.
        self._response.fp = None  # type: ignore[assignment]


def get(url: str, timeout: float) -> Answer:
    """Ask for an address.

    Args:
        url: ``http://`` or ``https://``, with user and password where needed.
        timeout: Until the answer begins, redirections and login included, in seconds.

    Raises:
        CameraError: Nothing answers, or not what a camera answers.
    """
    name = shown(url)
    deadline = time.monotonic() + timeout
    try:
        target = urlsplit(normal(url))
        user = User(unquote(target.username), unquote(target.password or "")) if target.username else None
        for _ in range(MOST_REDIRECTIONS + 1):
            response, connected = _logged_in(target, user, name, deadline)
            if response.status not in REDIRECTIONS:
                return _checked(response, connected, name)
            connected.close()
            following = urlsplit(urljoin(target.geturl(), response.headers.get("Location", "")))
            if following.scheme not in WEB:
                raise CameraError(message("network.no_web_address", camera=name))
            user = user if following.hostname == target.hostname else None
            target = following
    except ValueError as error:
        raise CameraError(message("network.address", camera=name, how=HOW_TO_WRITE)) from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, CameraError):
            raise
        raise CameraError(with_hint(message("network.no_stream", camera=name, reason=reason(error)), name)) from error
    raise CameraError(message("network.redirects", camera=name))


def with_hint(sentence: str, name: str) -> str:
    """A sentence about an address, and how to write one where part of it is not shown."""
    return together([sentence, message("network.characters", how=HOW_TO_WRITE)]) if HIDDEN in name else sentence


def reason(error: Exception) -> str:
    """Why a connection failed, in a few words."""
    if isinstance(error, TimeoutError):
        return message("network.late")
    if isinstance(error, http.client.HTTPException):
        return message("network.no_http")
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _logged_in(
    target: SplitResult, user: User | None, name: str, deadline: float
) -> tuple[http.client.HTTPResponse, _DeadlineSocket]:
    response, connected = _ask(target, name, deadline, None)
    if response.status != http.client.UNAUTHORIZED or user is None:
        return response, connected
    challenges = response.headers.get_all("WWW-Authenticate", [])
    connected.close()
    login = answer(user, challenges, "GET", _path(target))
    if login is None:
        raise CameraError(message("network.login_method", camera=name))
    return _ask(target, name, deadline, login)


def _ask(
    target: SplitResult, name: str, deadline: float, login: str | None
) -> tuple[http.client.HTTPResponse, _DeadlineSocket]:
    if target.scheme not in WEB or not target.hostname:
        raise ValueError("not the address of a web server")
    secure = target.scheme == "https"
    port = target.port or (443 if secure else 80)
    plain = socket.create_connection((target.hostname, port), max(0.1, deadline - time.monotonic()))
    try:
        encrypted = _encrypted(plain, target.hostname, name, deadline, port) if secure else plain
        connected = _DeadlineSocket(encrypted, deadline)
        connection = http.client.HTTPConnection(target.hostname, port)
        connection.sock = connected
        headers = {"Accept": "*/*", "User-Agent": "maskgate", "Connection": "close"}
        connection.request("GET", _path(target), headers=headers | ({"Authorization": login} if login else {}))
        response = http.client.HTTPResponse(connected, method="GET")  # type: ignore[arg-type]
        response.begin()
    except BaseException:
        plain.close()
        raise
    return response, connected


def _encrypted(plain: socket.socket, host: str, name: str, deadline: float, port: int) -> socket.socket:
    """TLS. Cameras sign their certificates themselves, so one that is not trusted is used, and that is said."""
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        say.warn(
            f"The certificate of {name} is not trusted ({error.verify_message}): its pictures may be somebody else's,"
            " and somebody else may read its password."
        )
    again = socket.create_connection((host, port), max(0.1, deadline - time.monotonic()))
    unproved = ssl.create_default_context()
    unproved.check_hostname, unproved.verify_mode = False, ssl.CERT_NONE
    return unproved.wrap_socket(again, server_hostname=host)


def _checked(response: http.client.HTTPResponse, connected: _DeadlineSocket, name: str) -> Answer:
    if response.status == http.client.OK:
        return Answer(response.headers.get_content_type().lower(), response, connected)
    connected.close()
    if response.status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        raise CameraError(message("network.login", camera=name))
    raise CameraError(message("network.answers", camera=name, code=response.status, reason=_printable(response.reason)))


def _printable(text: str) -> str:
    return "".join(letter for letter in text[:60] if letter.isprintable())


def _path(target: SplitResult) -> str:
    path = quote(target.path or "/", SAFE)
    return f"{path}?{quote(target.query, SAFE)}" if target.query else path

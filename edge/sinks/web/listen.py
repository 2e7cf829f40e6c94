"""The address that the screens are served at: how it is taken, and what is wrong when it cannot be."""

from __future__ import annotations

import errno
import os
import socket
from typing import NamedTuple

from edge.messages import message
from edge.sinks.web.loopback import is_loopback_name

READ_WITHIN = 15_000
"""Timeout in milliseconds after which the kernel drops a browser that reads nothing."""
BACKLOG = 64
ANSWER_WITHIN = 2.0
"""Timeout for the answer of the program that has the port, in seconds."""
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - a token is asked for


class Hindrance(NamedTuple):
    """Why an address is not available, and what to do."""

    problem: str
    remedy: str


def is_open(host: str) -> bool:
    """Whether other machines reach what listens at ``host``."""
    return not is_loopback_name(_for_url(host))


def own_url(host: str, port: int) -> str:
    """What the device's own browser opens."""
    return url_of("127.0.0.1" if host in EVERYWHERE else host, port)


def url_of(host: str, port: int) -> str:
    """The address of the kiosk page at ``host``, a name or an IP address."""
    return f"http://{_for_url(host)}:{port}/"


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Names are not looked up: that could take as long as the network likes.

    Raises:
        OSError: The address is not available.
    """
    numeric = 0 if host == "localhost" else socket.AI_NUMERICHOST
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | numeric)
    except socket.gaierror as error:
        raise OSError(errno.EADDRNOTAVAIL, error.strerror) from error
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, READ_WITHIN)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def hindrance(host: str, port: int, error: OSError) -> Hindrance:
    """What ``error`` of ``bound`` means to the operator."""
    known = {
        errno.EADDRINUSE: ("screens.port_in_use", "screens.free_the_port"),
        errno.EADDRNOTAVAIL: ("screens.no_such_address", "screens.set_host"),
        errno.EACCES: ("screens.port_for_root", "screens.set_port"),
    }
    problem, remedy = known.get(error.errno or 0, ("screens.not_bound", "screens.set_both"))
    reason = os.strerror(error.errno) if error.errno else str(error)
    return Hindrance(message(problem, host=host, port=port, reason=reason), message(remedy))


def is_served(host: str, port: int) -> bool:
    """Whether a maskgate answers there."""
    import http.client
    import json

    address = "127.0.0.1" if host in EVERYWHERE else host
    connection = http.client.HTTPConnection(address, port, timeout=ANSWER_WITHIN)
    try:
        connection.request("GET", "/health")
        said = json.loads(connection.getresponse().read(4096))
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return isinstance(said, dict) and "status" in said


def _for_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host

"""The address at which other machines reach the screens."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edge.sinks.web.listen import EVERYWHERE, is_open, url_of
from edge.sinks.web.loopback import is_loopback

SIOCGIFADDR = 0x8915
"""ioctl that reads the IPv4 address of an interface (netdevice(7))."""
INTERFACE_REQUEST = 256
"""Buffer size, larger than any ``struct ifreq``, in bytes."""
ADDRESS_AT = slice(20, 24)
"""Position of the IPv4 address in the answer."""
ROUTES = Path("/proc/net/route")


def lan_url(host: str, port: int) -> str | None:
    """Where others open what listens at ``host``; None if only this machine can.

    While the network gives no address, it is named by the name of this machine.
    """
    if not is_open(host):
        return None
    return url_of(host if host not in EVERYWHERE else lan_address() or socket.gethostname(), port)


def lan_address(routes: Path = ROUTES) -> str | None:
    """This machine's IPv4 address, on the interface of the default route if there is one; None without a network."""
    first = _with_default_route(routes)
    names = sorted((name for _, name in socket.if_nameindex()), key=lambda name: name != first)
    return next((address for address in _addresses(names) if not is_loopback(address)), None)


def _addresses(interfaces: list[str]) -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for name in interfaces:
            request = struct.pack(f"{INTERFACE_REQUEST}s", name.encode()[:15])
            with suppress(OSError):  # an interface without an IPv4 address
                yield socket.inet_ntoa(fcntl.ioctl(any_socket, SIOCGIFADDR, request)[ADDRESS_AT])


def _with_default_route(routes: Path) -> str | None:
    """The interface through which everything else is reached."""
    try:
        rows = [line.split() for line in routes.read_text("ascii").splitlines()[1:]]
    except OSError:
        return None
    return next((row[0] for row in rows if row[1] == "00000000"), None)

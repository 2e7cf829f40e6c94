"""The device itself: its loopback names and addresses, and which of its users made a connection.

A proxy on the device connects from a loopback address for everyone it serves, so that address proves nothing. The
kernel knows more: it lists each connection with the user who made it (proc(5), ``/proc/net/tcp``).
"""

from __future__ import annotations

import ipaddress
import pwd
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

TABLES = Path("/proc/net")


class End(NamedTuple):
    """One end of a connection."""

    address: str
    port: int


def is_loopback_name(host: str) -> bool:
    """Whether a Host header, with or without a port, names this very machine."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name == "localhost" or (name is not None and is_loopback(name))


def is_loopback(address: str) -> bool:
    """Whether an address is this very machine's own."""
    try:
        return _plain(address).is_loopback
    except ValueError:
        return False


def user_id(name: str) -> int | None:
    """The number of the user ``name``; None if there is no such user here."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def made_by(client: End, server: End, tables: Path = TABLES) -> int | None:
    """The number of the user whose program holds the ``client`` end.

    None if the kernel does not list it: it is on another machine, or closed.
    """
    try:
        table, wanted = _table(client.address), [_listed(client), _listed(server)]
        text = (tables / table).read_text("ascii")
    except (OSError, ValueError):
        return None
    for line in text.splitlines()[1:]:
        _, local, remote, _, _, _, _, user, _, inode, *_ = line.split()
        # A closed connection belongs to no file any more, and is listed as root's.
        if [local, remote] == wanted and inode != "0":
            return int(user)
    return None


def _table(address: str) -> str:
    return "tcp" if _plain(address).version == 4 else "tcp6"  # noqa: PLR2004


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


def _listed(end: End) -> str:
    """As the table spells it: words of four bytes in the machine's own order, in hexadecimal."""
    packed = _plain(end.address).packed
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return f"{''.join(f'{word:08X}' for word in words)}:{end.port:04X}"

"""Sockets of a process and its children, as the kernel lists them (proc(5), net/tcp)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LISTENING = "0A"
NOWHERE = 0


class Socket(NamedTuple):
    """One socket of the internet: ``tcp`` or ``udp``, its own end, the other end (port 0 for none), its state."""

    kind: str
    address: str
    port: int
    peer: str
    peer_port: int
    state: str

    @property
    def is_open(self) -> bool:
        """Whether others can send to it unasked: TCP that listens, UDP that is bound to nobody in particular."""
        return self.state == LISTENING if self.kind == "tcp" else self.peer_port == NOWHERE


def sockets(pid: int) -> list[Socket]:
    """Every socket of the internet that the process or one of its children holds."""
    held = {inode for process in family(pid) for inode in _inodes(process)}
    return [
        Socket(kind.rstrip("6"), *_end(local), *_end(remote), state)
        for kind in ("tcp", "tcp6", "udp", "udp6")
        for local, remote, state, inode in _table(pid, kind)
        if inode in held
    ]


def unix_listeners(pid: int) -> list[str]:
    """Paths of the Unix sockets on which they listen; abstract ones begin with ``@``."""
    held = {inode for process in family(pid) for inode in _inodes(process)}
    lines = [line.split() for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]]
    accepts = [fields for fields in lines if int(fields[3], 16) & 0x10000 and fields[6] in held]
    return [fields[7] if len(fields) > 7 else "" for fields in accepts]


def family(pid: int) -> list[int]:
    """The process, its children, theirs and so on."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(one for file in children for child in file.read_text().split() for one in family(int(child)))]


def _inodes(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            if found := re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink())):
                yield found[1]


def _table(pid: int, kind: str) -> Iterator[tuple[str, str, str, str]]:
    path = Path(f"/proc/{pid}/net/{kind}")
    for line in path.read_text("ascii").splitlines()[1:] if path.exists() else []:
        _, local, remote, state, _, _, _, _, _, inode, *_ = line.split()
        yield local, remote, state, inode


def _end(text: str) -> tuple[str, int]:
    """Address and port of, for example, ``0100007F:1F90``: words of four bytes in the machine's order."""
    address, port = text.split(":")
    packed = bytes.fromhex(address)
    turned = b"".join(packed[at : at + 4][::-1] for at in range(0, len(packed), 4))
    return str(ipaddress.ip_address(turned)), int(port, 16)

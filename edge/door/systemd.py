"""Telling systemd that the service is ready and alive (sd_notify).

Protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import TextIO


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether ``stream`` leads to systemd's journal: then ``JOURNAL_STREAM`` names its device and inode."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class Notifier:
    """Sends states to the service manager; says nothing where there is none."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Find the manager's socket in ``environment``, the process's own unless given."""
        address = (os.environ if environment is None else environment).get("NOTIFY_SOCKET", "")
        self._socket = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
            self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self, status: str) -> None:
        """The service is up."""
        self._send(f"READY=1\nSTATUS={status}")

    def alive(self) -> None:
        """A frame was processed: feed the watchdog."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._send(f"STATUS={text}")

    def stopping(self) -> None:
        """The service is about to end."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if self._socket:
            # A manager that is restarting, or slow, is no reason to stop watching the door.
            with contextlib.suppress(OSError):
                self._socket.sendto(message.encode(), self._address)

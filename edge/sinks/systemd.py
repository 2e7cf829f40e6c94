"""Telling systemd that the service is ready and alive (sd_notify).

Protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import TextIO

from edge.sinks import Sink
from edge.sinks.registry import Opening
from edge.status import CameraState, Status, Summary
from edge.values import StageTimes
from edge.verdicts import counted

STATUS_EVERY = 10.0
"""Interval between status lines, in seconds."""
PATIENCE = 600.0
"""While the camera is lost, the watchdog waits this long for a frame, in seconds: the pages stay up and say what is
wrong. While its driver hangs, which only a new process may repair, the watchdog keeps the unit's limit."""


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether ``stream`` leads to systemd's journal: then ``JOURNAL_STREAM`` names its device and inode."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def open_sink(_: Opening) -> Sink:
    """Find the manager of this process."""
    return Notifier()


class Notifier(Sink):
    """Sends states to the service manager, if there is one."""

    name = "systemd"
    every = STATUS_EVERY

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Find the manager's socket in ``environment``, the process's own by default."""
        self._ready = self._patient = False
        environment = os.environ if environment is None else environment
        limit = environment.get("WATCHDOG_USEC", "")
        self._limit = int(limit) if limit.isascii() and limit.isdigit() else 0
        address = environment.get("NOTIFY_SOCKET", "")
        self._socket = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
            self._address = "\0" + address[1:] if address.startswith("@") else address

    def frame(self, times: StageTimes) -> None:
        """Feed the watchdog: only processed frames do."""
        del times
        self._send("WATCHDOG=1")

    def show(self, status: Status) -> None:
        """Say at first that the service is up, then one line for ``systemctl status``."""
        if self._ready:
            self._send(f"STATUS={status.frames} frames; {counted(status.totals)}")
        else:
            self._ready = True
            self._send(f"READY=1\nSTATUS=Watching through {status.camera.name}")
        self._set_patience(status.camera)

    def finish(self, summary: Summary) -> None:
        """Say that the service is about to end."""
        del summary
        self._send("STOPPING=1")

    def _set_patience(self, camera: CameraState) -> None:
        patient = camera.trouble is not None and not camera.hung
        if self._limit and patient != self._patient:
            self._patient = patient
            self._send(f"WATCHDOG_USEC={max(self._limit, round(PATIENCE * 1e6)) if patient else self._limit}")

    def _send(self, message: str) -> None:
        if self._socket:
            # A manager that is restarting, or slow, is no reason to stop watching the door.
            with contextlib.suppress(OSError):
                self._socket.sendto(message.encode(), self._address)

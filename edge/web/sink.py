"""The screens as the loop sees them: a sink that never waits, and a thread that serves."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.clock import Clock
from edge.config import Config
from edge.status import Status
from edge.values import Event
from edge.web import texts, token
from edge.web.feed import Feed
from edge.web.guard import Guard, is_loopback_name

if TYPE_CHECKING:
    from edge.web.app import Extra
    from edge.web.server import Server

FIRST_FRAME_WITHIN = 3.0
"""The server is loaded when the first frame has been processed, so as not to slow it down, or after so long."""
RETRY_EVERY = 15.0
"""Between attempts to take a port that is in use, or an address that the network has not given yet, in seconds."""
READ_WITHIN = 15_000
"""A browser that reads nothing for so long, in milliseconds, is cut off by the kernel."""
FAREWELL = 3.0
"""Longest wait for the server to stop, in seconds."""
BACKLOG = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the screens show beside the status.

    Attributes:
        runtime: Tells what runs the models now, for people.
        counts: The store of visits; None where this run's visits are not stored.
        extra: Further addresses and what answers them, such as ``/metrics``.
    """

    runtime: Callable[[], str]
    counts: Path | None
    extra: Mapping[str, Extra]


class WebScreens:
    """A sink that people look at.

    Attributes:
        url: Where the kiosk page is, for the device's own browser; None while the port cannot be had.
        trouble: Why nothing is served, as a sentence; None while all is well.
    """

    def __init__(self, config: Config, clock: Clock, shown: Shown, retry_every: float = RETRY_EVERY) -> None:
        """Take the port, and serve as soon as the first frame has been processed.

        Args:
            config: The effective settings.
            clock: The machine's.
            shown: What is shown beside the status.
            retry_every: Between attempts to take a port that cannot be had, in seconds.

        Raises:
            ConfigError: The screens are open to the network without a token, or the language does not exist.
        """
        texts.check_language(config.web.language)
        self._guard = Guard(_secret(config), clock)
        self._config, self._clock, self._shown, self._retry_every = config, clock, shown, retry_every
        self._feed = Feed()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._server: Server | None = None
        self.trouble: str | None = None
        self.url: str | None = None
        self._listener = self._listen()
        if self.trouble:
            log.warning("%s", self.trouble)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()

    def tell(self, events: Sequence[Event]) -> None:
        """Keep the events for those who look."""
        self._feed.tell(events)

    def show(self, status: Status) -> None:
        """Keep the status for those who look."""
        self._feed.show(status)
        if status.frames and not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Tell the pages, and stop serving; safe to call twice."""
        self._closing.set()
        self._wake.set()
        server = self._server
        if server:
            server.should_exit = True
        self._thread.join(FAREWELL)

    def _run(self) -> None:
        self._wake.wait(FIRST_FRAME_WITHIN)
        while self._listener is None and not self._closing.wait(self._retry_every):
            self._listener = self._listen()
        if self._listener is None or self._closing.is_set():
            if self._listener:
                self._listener.close()
            return
        try:
            self._serve(self._listener)
        except Exception as error:  # the door is watched without screens, too; the operator hears why
            self.trouble, self.url = f"The screens failed ({type(error).__name__}: {error}); restart maskgate.", None
            log.warning("%s", self.trouble)
            log.debug("How it failed:", exc_info=error)

    def _serve(self, listener: socket.socket) -> None:
        make: Callable[..., Server] = importlib.import_module("edge.web.server").make_server
        self._server = make(self._config, self._clock, self._feed, self._guard, self._shown)
        if self._closing.is_set():
            self._server.should_exit = True
        self._server.serve_on(listener)

    def _listen(self) -> socket.socket | None:
        """A socket that listens, or None and the reason in ``trouble``."""
        host, port = self._config.web.host, self._config.web.port
        try:
            listener = _bound(host, port)
        except OSError as error:
            self.trouble = _why_not(host, port, error)
            return None
        if self.trouble:
            log.info("The screens are served now.")
        port = listener.getsockname()[1]
        self.trouble, self.url = None, f"http://{_name_for_url(host)}:{port}/"
        return listener


def _secret(config: Config) -> token.Secret | None:
    """What opens the screens to the network; None where they are not open to it."""
    if is_loopback_name(f"[{config.web.host}]" if ":" in config.web.host else config.web.host):
        return None
    path = token.token_path(config.web, config.counts)
    secret = token.read(path, config.web.host)
    if warning := token.exposed(path):
        log.warning("%s", warning)
    return secret


def _bound(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
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


def _why_not(host: str, port: int, error: OSError) -> str:
    remedies = {
        errno.EADDRINUSE: f"port {port} is in use; stop the other program (`ss -ltnp` names it), or set web.port",
        errno.EADDRNOTAVAIL: f"{host} is no address of this machine; set web.host to one that `ip addr` lists",
        errno.EACCES: f"port {port} is for root; set web.port to 1024 or higher",
    }
    reason = os.strerror(error.errno) if error.errno else str(error)
    why = remedies.get(error.errno or 0, f"{host} port {port} cannot be had ({reason}); set web.host and web.port")
    return f"The screens are not served: {why}. Alerts go on."


def _name_for_url(host: str) -> str:
    """What the device's own browser asks for."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host

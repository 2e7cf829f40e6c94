"""The screens as the loop sees them: a sink that never waits, and a thread that serves."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edge.clock import Clock
from edge.config import Config
from edge.control import Commands
from edge.messages import message
from edge.sinks import Page, Sink
from edge.sinks.registry import Opening
from edge.sinks.web.feed import Feed
from edge.sinks.web.guard import Guard
from edge.sinks.web.keys import Keys
from edge.sinks.web.lan import lan_url
from edge.sinks.web.listen import bound, hindrance, own_url
from edge.sinks.web.loopback import user_id
from edge.sinks.web.uses import Uses
from edge.status import Status
from edge.values import Event
from edge.worker import Worker

if TYPE_CHECKING:
    from edge.sinks.web.server import Server

FIRST_FRAME_WITHIN = 3.0
"""The server is loaded after the first frame, so as not to delay it, or after this many seconds."""
RETRY_EVERY = 15.0
"""Pause between attempts to open a port in use or an address that does not exist yet, in seconds."""
LOOK_EVERY = 0.1
"""Interval between statuses while a page shows movements, in seconds."""
GLANCE_EVERY = 0.25
"""Interval between statuses while no such page is open, in seconds."""
FAREWELL = 3.0
"""Timeout for the server to stop, in seconds."""

log = logging.getLogger(__name__)


def open_sink(opening: Opening) -> Sink:
    """Take the port, and serve what the sinks before offer.

    Raises:
        ConfigError: The screens are open to the network without a token, or the language does not exist.
    """
    pages = {address: page for sink in opening.before for address, page in sink.pages.items()}
    return WebScreens(opening.config, opening.clock, opening.commands, pages)


class WebScreens(Sink):
    """The sink behind the pages.

    Attributes:
        url: Where the kiosk page is, for the device's own browser; None while the port is not available.
        trouble: Why nothing is served, as a sentence; None if it is.
    """

    name = "the screens"

    def __init__(
        self,
        config: Config,
        clock: Clock,
        commands: Commands,
        extra: Mapping[str, Page],
        retry_every: float = RETRY_EVERY,
    ) -> None:
        """Open the port, and serve after the first frame.

        Args:
            config: The effective settings.
            clock: The machine's.
            commands: Carries what operators ask to the loop.
            extra: Further addresses and what answers them, such as ``/metrics``.
            retry_every: Between attempts to take a port that is not available, in seconds.

        Raises:
            ConfigError: The screens are open to the network without a token, or the language does not exist.
        """
        self._uses = Uses(config.counts, clock)
        self._guard = Guard(Keys(config.web, config.counts, self._uses), clock, user_id(config.web.kiosk_user))
        self._config, self._clock, self._extra, self._retry_every = config, clock, extra, retry_every
        self._commands = commands
        self._feed = Feed()
        self._wake = threading.Event()
        self._server: Server | None = None
        self.trouble: str | None = None
        self.url: str | None = None
        self._port = config.web.port
        self._listener = self._listen()
        if self.trouble:
            log.warning("%s", self.trouble)
        self._worker = Worker("web", self._run)
        self._uses.start()

    @property
    def every(self) -> float:  # type: ignore[override]
        """Often while a page shows movements; always well within the age at which a frame is stale."""
        looked_at = self._server is not None and self._server.is_watched
        return min(LOOK_EVERY if looked_at else GLANCE_EVERY, self._config.camera.stale_after / 4)

    @property
    def greeting(self) -> str | None:  # type: ignore[override]
        """Where to look, here and from other machines."""
        if not self.url:
            return None
        there = lan_url(self._config.web.host, self._port)
        others = f" From other machines: {there} (they need a token)." if there else ""
        return f"Watch it at {self.url} (for visitors) and {self.url}operator (for you). Ctrl-C ends it.{others}"

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
        self._worker.ask_to_end()
        self._wake.set()
        server = self._server
        if server:
            server.should_exit = True
        self._worker.close(within=FAREWELL)
        self._uses.close()

    def _run(self, worker: Worker) -> None:
        self._wake.wait(FIRST_FRAME_WITHIN)
        while self._listener is None and not worker.wait(self._retry_every):
            self._listener = self._listen()
        if self._listener is None or worker.closing:
            if self._listener:
                self._listener.close()
            return
        try:
            self._serve(self._listener, worker)
        except Exception as error:  # the door is watched without screens, too; the operator hears why
            reason = f"{type(error).__name__}: {error}"
            self.trouble, self.url = message("screens.failed", reason=reason), None
            log.warning("%s", self.trouble)
            log.debug("How it failed:", exc_info=error)

    def _serve(self, listener: socket.socket, worker: Worker) -> None:
        from edge.sinks.web.server import make_server

        self._server = make_server(
            self._config, self._clock, self._feed, self._guard, commands=self._commands, extra=self._extra
        )
        if worker.closing:
            self._server.should_exit = True
        self._server.serve_on(listener)

    def _listen(self) -> socket.socket | None:
        """A socket that listens, or None and the reason in ``trouble``."""
        host, port = self._config.web.host, self._config.web.port
        try:
            listener = bound(host, port)
        except OSError as error:
            why = hindrance(host, port, error)
            self.trouble = message("screens.unserved", problem=why.problem, remedy=why.remedy)
            return None
        if self.trouble:
            log.info("The screens are served now.")
        self._port = port = listener.getsockname()[1]
        self.trouble, self.url = None, own_url(host, port)
        return listener

"""The HTTP server: uvicorn in its own thread. Imported there, and nowhere else."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from edge.clock import Clock
from edge.config import Config
from edge.control import Commands
from edge.sinks import Page
from edge.sinks.web.app import Screens, Site
from edge.sinks.web.feed import Feed
from edge.sinks.web.gate import KIOSK
from edge.sinks.web.guard import Guard
from edge.sinks.web.listen import BACKLOG
from edge.sinks.web.loopback import End
from edge.sinks.web.own import OwnFolder, folder_of
from edge.sinks.web.report import About
from edge.vision.models.about import installed_version, models_in_use

REQUEST_WITHIN = 10.0
"""Timeout from connection to first byte, and from first byte to the complete request, in seconds."""
LARGEST_HEAD = 16 * 1024
"""Maximum size of a request's line and headers, in bytes."""
MOST_CONNECTIONS = 128
"""Connections above which requests from the network are refused for now."""
MOST_OPEN = 256
"""Connections above which new ones are closed: each takes a file descriptor, and camera and counts need some, too."""
RESERVED = 32
"""Extra connections for the device's own kiosk, so that others cannot block it."""
PATROL_EVERY = 1.0
"""Interval between checks for new or revoked tokens, in seconds."""
THREADS = 8
"""For reading the disk, encoding pictures and waiting for the loop."""
FAREWELL = 1
"""Timeout for streams to end when the server stops, in seconds."""


class Connection(H11Protocol):
    """uvicorn's, which would wait for ever for a request that never ends, and for as many as come."""

    def __init__(self, *args: Any, guard: Guard, **kwargs: Any) -> None:
        """Make a connection whose owner ``guard`` tells."""
        super().__init__(*args, **kwargs)
        self._guard = guard

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request, where there is room for another connection."""
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        room = MOST_OPEN
        kiosk = self._is_kiosks()
        self.app_state = {**self.app_state, KIOSK: kiosk}
        if kiosk:
            room = self.limit_concurrency = MOST_OPEN + RESERVED
        if len(self.connections) > room:
            self.transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Take in bytes; a request that is complete ends the wait, the beginning of another starts one."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._unwatch()

    def send_400_response(self, msg: str) -> None:
        """Refuse anything but HTTP. If a request is under way, cancel its answer."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if cycle and cycle.response_started and not cycle.response_complete:
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def _is_kiosks(self) -> bool:
        if self.client is None or self.server is None or self.server[1] is None:
            return False
        return self._guard.is_kiosk(End(*self.client), End(self.server[0], self.server[1]))

    def _watch(self) -> None:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle and not cycle.response_complete:
            self._unwatch()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_WITHIN, self.transport.abort)

    def _unwatch(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None


class Server(uvicorn.Server):
    """Serves until ``should_exit`` is set, from any thread."""

    def __init__(self, screens: Screens) -> None:
        """Make the pages of ``screens``."""
        self._site, self._guard = Site(screens), screens.guard
        super().__init__(
            uvicorn.Config(
                self._site.app,
                loop="asyncio",
                http=cast("type[asyncio.Protocol]", functools.partial(Connection, guard=screens.guard)),
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=logging.CRITICAL,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                backlog=BACKLOG,
                timeout_graceful_shutdown=FAREWELL,
                h11_max_incomplete_event_size=LARGEST_HEAD,
            )
        )

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees each movement: at the kiosk page or through the camera."""
        return any(stream.audience.size > stream.audience.calm for stream in self._site.streams)

    def serve_on(self, listener: socket.socket) -> None:
        """Serve on ``listener``, which is bound and listens; closed at the end."""
        asyncio.run(self._serve_on(listener))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Bid those who look farewell, then stop."""
        for stream in self._site.streams:
            stream.audience.close()
        await super().shutdown(sockets)

    async def _serve_on(self, listener: socket.socket) -> None:
        asyncio.get_running_loop().set_default_executor(started_pool(THREADS))
        streams = [asyncio.create_task(stream.run()) for stream in self._site.streams]
        patrol = asyncio.create_task(self._patrol())
        await self.serve(sockets=[listener])
        patrol.cancel()
        await asyncio.gather(*streams)

    async def _patrol(self) -> None:
        """Cut streams off soon after their token was revoked, also if nobody asks for anything."""
        while True:
            await asyncio.sleep(PATROL_EVERY)
            self._guard.refresh()


def started_pool(threads: int) -> ThreadPoolExecutor:
    """Threads for what may wait, all of them running: a machine that can start no more later still answers.

    Raises:
        RuntimeError: It cannot start them.
    """
    pool = ThreadPoolExecutor(threads, "web")
    together = threading.Barrier(threads)  # each waits for the others, so that each is a thread
    try:
        wait([pool.submit(together.wait) for _ in range(threads)])
    except RuntimeError:
        together.abort()
        pool.shutdown(wait=False)
        raise
    return pool


def make_server(
    config: Config, clock: Clock, feed: Feed, guard: Guard, *, commands: Commands, extra: Mapping[str, Page]
) -> Server:
    """The server of the screens, as configured."""
    return Server(
        Screens(
            feed=feed,
            clock=clock,
            guard=guard,
            commands=commands,
            about=About(
                version=installed_version(),
                models=tuple(
                    {"task": task, "name": model.title, "sha256": model.entry.sha256}
                    for task, model in models_in_use(config).items()
                ),
                stale_after=config.camera.stale_after,
                door=config.mqtt.door_name,
            ),
            web=config.web,
            own=OwnFolder(folder_of(config.counts), clock.monotonic),
            extra=extra,
        )
    )

"""Streams to browsers: server-sent events, and the live picture if it is allowed.

Work is done once for all viewers, and only while there is one. No backlog is kept: a slow reader gets the newest state
and picture next, and the kernel ends the connection of a viewer that does not read at all (``server.READ_WITHIN``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import cv2

from edge.clock import Clock
from edge.sinks.event_log import fields
from edge.sinks.web.feed import Feed, Told
from edge.sinks.web.state import snapshot
from edge.sinks.web.statuses import Statuses
from edge.sinks.web.texts import FALLBACK, languages
from edge.status import Status
from edge.values import Image

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

LOOK_EVERY = 0.1
"""Interval between checks of the slot, in seconds: at most ten states per second are sent."""
CALM = b"calm"
"""Query of the address with which a page asks for fewer states."""
FOLLOW = "status"
"""The same for the language in which a page follows the status, instead of states."""
CALM_EVERY = 0.5
"""The same for pages that only follow what happens, such as an operator's: at most two per second."""
HEARTBEAT = 1.0
"""Maximum interval between states, in seconds, even if nothing changed: silence means that the server is gone."""
MOST_LISTENERS = 64
MOST_VIEWERS = 32
KIOSKS = 4
"""Of these, the number reserved for the device's own kiosk."""
RECONNECT_MS = 2000
PICTURE_EVERY = 0.125
"""Interval between frames, in seconds."""
PICTURE_WIDTH = 640
"""Maximum width of a frame that is sent, in pixels."""
JPEG_QUALITY = 75
BOUNDARY = "maskgate-picture"

Headers = list[tuple[bytes, bytes]]


class Audience:
    """Those who listen to a stream, woken together; the calm among them less often.

    Attributes:
        size: How many they are.
        calm: How many of them are calm.
        closed: Whether they have to leave.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._woken = {calm: asyncio.Event() for calm in (False, True)}
        self._occupied = asyncio.Event()
        self.size = self.calm = 0
        self.closed = False

    def has_room(self, kiosk: bool) -> bool:
        """Whether one more fits in; the last places are the kiosk's."""
        return self.size < self._most - (0 if kiosk else KIOSKS)

    @asynccontextmanager
    async def member(self, calm: bool = False) -> AsyncIterator[None]:
        """Count somebody in while the stream lasts."""
        self.size += 1
        self.calm += calm
        self._occupied.set()
        try:
            yield
        finally:
            self.size -= 1
            self.calm -= calm
            if not self.size:
                self._occupied.clear()

    async def assembled(self) -> bool:
        """Wait for somebody: without anybody there is no work. Returns whether they may stay."""
        if not self.closed:
            await self._occupied.wait()
        return not self.closed

    async def wait(self, calm: bool = False) -> None:
        """Until the next ``wake``."""
        await self._woken[calm].wait()

    def wake(self, calm: bool = True) -> None:
        """Let everybody look, or only those who are not ``calm``."""
        for one in (False, True) if calm else (False,):
            woken, self._woken[one] = self._woken[one], asyncio.Event()
            woken.set()

    def close(self) -> None:
        """Let everybody leave."""
        self.closed = True
        self._occupied.set()
        self.wake()


class Events:
    """The stream of states and events.

    Args:
        feed: Where the loop leaves them.
        clock: Tells what is stale, and when things happened.
        stale_after: Maximum age of a current frame, in seconds.
        release: Tells that of the pages, so that one that is open for months takes the new ones.
        statuses: For listeners who follow the status instead of every state.
    """

    def __init__(
        self, feed: Feed, clock: Clock, stale_after: float, release: Callable[[], str], statuses: Statuses
    ) -> None:
        self.audience = Audience(MOST_LISTENERS)
        self._feed, self._clock, self._stale_after, self._release = feed, clock, stale_after, release
        self._statuses = statuses
        self._state = b""
        self._sent_at = 0.0
        self._calm_at, self._waiting = 0.0, False
        self._told: list[tuple[int, bytes]] = []
        self._newest = 0

    async def run(self) -> None:
        """Check the slot while somebody listens, and wake the listeners when something changed."""
        while await self.audience.assembled():
            self._tell(await self._statuses.renew() | self.look())
            hurry = self.audience.size > self.audience.calm
            await asyncio.sleep(LOOK_EVERY if hurry else CALM_EVERY / 2)

    def _tell(self, changed: bool) -> None:
        """Wake the listeners; the calm ones only now and then, as long as there are some."""
        now = self._clock.monotonic()
        self._waiting |= changed
        calm = self._waiting and now - self._calm_at >= CALM_EVERY
        if calm:
            self._calm_at, self._waiting = now, False
        if changed or calm:
            self.audience.wake(calm)

    def look(self) -> bool:
        """Take in what is new. Returns whether it should be sent."""
        now = self._clock.monotonic()
        state = self._encode_state(now)
        news = self._feed.since(self._newest)
        if news:
            self._newest = news[-1].number
            self._told = [(told.number, self._encode(told)) for told in self._feed.since(0)]
        if state == self._state and not news and now - self._sent_at < HEARTBEAT:
            return False
        self._state, self._sent_at = state, now
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one listener."""
        language = _followed(scope)
        calm = language is not None or scope["query_string"] == CALM
        async with self.audience.member(calm), _left(receive) as left:
            with self._statuses.follower(language):
                self._tell(self.look())
                await _start(send, b"text/event-stream")
                await send(_part(f"retry: {RECONNECT_MS}\n\n".encode()))
                seen, known = _last_event_id(scope, self._newest), 0
                while not self.audience.closed and not left():
                    part, known = self._part(seen, language, known)
                    if part:
                        await send(_part(part))
                    seen = self._newest
                    await self.audience.wait(calm)
            await send({"type": "http.response.body", "body": b"event: bye\ndata: {}\n\n", "more_body": False})

    def _part(self, seen: int, language: str | None, known: int) -> tuple[bytes, int]:
        """What is new to a listener, who may follow the status and know that with a number; and its number now."""
        events = self._since(seen)
        if language is None:
            return events + self._state, known
        issue = self._statuses.newest(language)
        return (events if issue.number == known else events + issue.part + self._state), issue.number

    def _since(self, seen: int) -> bytes:
        return b"".join(text for number, text in self._told if number > seen) if self._newest > seen else b""

    def _encode_state(self, now: float) -> bytes:
        state = snapshot(self._feed.status, now, self._stale_after) | {"release": self._release()}
        return f"event: state\ndata: {json.dumps(state, separators=(',', ':'))}\n\n".encode()

    def _encode(self, told: Told) -> bytes:
        said = {"number": told.number, **fields(told.event, self._clock)}
        return f"id: {told.number}\nevent: happened\ndata: {json.dumps(said)}\n\n".encode()


class Pictures:
    """The live picture: JPEG, encoded once for all who look.

    Args:
        feed: Where the loop leaves it.
        every: Between two pictures, in seconds.
        draw: Draws on a copy of the picture before it is encoded, or None.
    """

    def __init__(
        self, feed: Feed, every: float = PICTURE_EVERY, draw: Callable[[Image, Status], Image] | None = None
    ) -> None:
        self.audience = Audience(MOST_VIEWERS)
        self._feed, self._every, self._draw = feed, every, draw
        self._shown: Image | None = None
        self._part = b""

    async def run(self) -> None:
        """Encode the newest picture while somebody looks; without one, let viewers see now and then who has left."""
        woken_at = 0.0
        while await self.audience.assembled():
            now = asyncio.get_running_loop().time()
            if await self._take() or now - woken_at >= HEARTBEAT:
                woken_at = now
                self.audience.wake()
            await asyncio.sleep(self._every)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one viewer."""
        del scope
        async with self.audience.member(), _left(receive) as left:
            await _start(send, f"multipart/x-mixed-replace; boundary={BOUNDARY}".encode())
            await send(_part(f"--{BOUNDARY}\r\n".encode()))
            seen = self._part
            while not self.audience.closed and not left():
                await self.audience.wait()
                if self._part is not seen:
                    seen = self._part
                    await send(_part(seen))
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _take(self) -> bool:
        """Encode the newest picture. Returns whether there was a new one."""
        status = self._feed.status
        image = status.image if status else None
        if status is None or image is None or image is self._shown:
            return False
        self._shown = image
        self._part = await asyncio.to_thread(self._encode, image, status)
        return True

    def _encode(self, image: Image, status: Status) -> bytes:
        small = _smaller(image)
        return _encode_picture(self._draw(small, status) if self._draw else small)


def framed(image: Image, status: Status, language: str) -> Image:
    """The picture, which may be smaller than the frame, with everyone's box, verdict and face size in the frame."""
    from edge.sinks.draw import annotate

    people = status.in_sight
    sizes = [f"{person.bbox.short_side:.0f} px" for person in people]
    scale = image.shape[1] / status.image.shape[1] if status.image is not None else 1.0
    return annotate(image, people, notes=sizes, scale=scale, language=language)


def _smaller(image: Image) -> Image:
    """As wide as is sent at most: drawing on it costs less, and letters stay sharp."""
    height, width = image.shape[:2]
    if width <= PICTURE_WIDTH:
        return image
    size = (PICTURE_WIDTH, round(height * PICTURE_WIDTH / width))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _encode_picture(image: Image) -> bytes:
    """A part of the stream, its boundary behind it: a browser shows a part when it has seen the boundary."""
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
    return b"".join((head, jpeg, f"\r\n--{BOUNDARY}\r\n".encode()))


def _followed(scope: Scope) -> str | None:
    """The language in which a listener follows the status (``/events?status=fr``); None for one who does not."""
    language = parse_qs(scope["query_string"].decode("latin-1")).get(FOLLOW, [None])[-1]
    return language if language is None or language in languages() else FALLBACK


def _last_event_id(scope: Scope, newest: int) -> int:
    """The event after which a reconnecting listener continues; a new one starts with the next event."""
    text = dict(scope["headers"]).get(b"last-event-id", b"")
    digits = text.lstrip(b"0")
    # Longer ones we never gave, and Python refuses to read a number of thousands of digits.
    known = text.isdigit() and len(digits) <= len(str(newest))
    return min(int(digits or b"0"), newest) if known else newest


@asynccontextmanager
async def _left(receive: Receive) -> AsyncIterator[Callable[[], bool]]:
    """Whether the browser is gone."""

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    gone = asyncio.create_task(wait())
    try:
        yield gone.done
    finally:
        gone.cancel()


async def _start(send: Send, content_type: bytes) -> None:
    headers: Headers = [(b"content-type", content_type), (b"x-accel-buffering", b"no")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


def _part(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}

"""Who may look: the Host and Origin checks, the token, and the limit on guesses.

- Where no token was made, only the device itself is served: loopback connections that ask for a loopback name. The name
  is checked because a web page from elsewhere could point its own name at 127.0.0.1.
- Where a token was made, everyone needs one, as ``Authorization: Bearer`` or as the cookie that ``/login`` sets. A
  loopback address is no exception, since a proxy on the device has one, too. Only the kiosk's own browser is: the
  kernel says which user made a connection.
- A token that is made or revoked counts at once. Whatever is being answered to somebody who may not look any more, such
  as a stream, is cut off.
- A right token is accepted at once. After several wrong ones an address is told to wait, twice as long each time.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from edge.clock import Clock
from edge.sinks.web.keys import Keys
from edge.sinks.web.loopback import End, is_loopback, is_loopback_name, made_by
from edge.sinks.web.token import Secret

FREE_TRIES = 5
"""Wrong tokens from one address before it has to wait."""
LONGEST_WAIT = 300.0
"""In seconds."""
MOST_ADDRESSES = 1024
"""Maximum addresses remembered; the one whose last guess is oldest is forgotten first."""
FORGOTTEN_AFTER = 900.0
"""After this long without a guess, an address is forgotten, in seconds."""
GLOBAL_TRIES = 60
"""Wrong tokens from all addresses together ..."""
GLOBAL_PERIOD = 60.0
"""... within this many seconds; beyond that, every wrong token has to wait."""


@dataclass(slots=True)
class _Record:
    wrong: int = 0
    last_at: float = 0.0
    blocked_until: float = 0.0


class Limiter:
    """Slows guessing, per address and in all, in bounded memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._period_began = clock.monotonic()
        self._wrong_in_period = 0

    def wait(self, address: str) -> float:
        """Seconds until ``address`` may try a token; 0 if it may now."""
        now, key = self._clock.monotonic(), _network(address)
        self._renew_period(now)
        record = self._records.get(key)
        own = record.blocked_until - now if record else 0.0
        everybodys = self._period_began + GLOBAL_PERIOD - now if self._wrong_in_period >= GLOBAL_TRIES else 0.0
        return max(own, everybodys, 0.0)

    def wrong(self, address: str) -> None:
        """Remember a wrong token."""
        now, key = self._clock.monotonic(), _network(address)
        self._renew_period(now)
        self._wrong_in_period += 1
        record = self._records.pop(key, None)
        if record is None or now - record.last_at > FORGOTTEN_AFTER:
            record = _Record()
        record.wrong += 1
        record.last_at = now
        if record.wrong >= FREE_TRIES:
            doubled: float = 2.0 ** min(record.wrong - FREE_TRIES, 16)
            record.blocked_until = now + min(LONGEST_WAIT, doubled)
        self._records[key] = record
        if len(self._records) > MOST_ADDRESSES:
            self._records.popitem(last=False)

    def right(self, address: str) -> None:
        """Forget the wrong tokens of an address that knows the right one."""
        self._records.pop(_network(address), None)

    def _renew_period(self, now: float) -> None:
        if now - self._period_began >= GLOBAL_PERIOD:
            self._period_began, self._wrong_in_period = now, 0


class Standing(Enum):
    """What a visitor is."""

    TRUSTED = "trusted"
    UNKNOWN = "unknown"
    """No token, or an invalid cookie."""
    WRONG = "wrong"
    BLOCKED = "blocked"


class Visitor(NamedTuple):
    """What a visitor is.

    Attributes:
        standing: Whether they may look.
        wait: How long one that is blocked has to wait, in seconds.
        secret: Of the token that they showed, now or when they signed in, so that they may change the door.
        token_exists: Whether any token exists.
        kiosk: Whether they may look because they are the device's own kiosk.
    """

    standing: Standing
    wait: float = 0.0
    secret: Secret | None = None
    token_exists: bool = False
    kiosk: bool = False

    @property
    def signed_in(self) -> bool:
        """Whether they showed a token."""
        return self.secret is not None


class LockedOutError(Exception):
    """Somebody who was being answered may not look any more."""


class Guard:
    """Authorises requests. One instance per server.

    Args:
        keys: The tokens in force.
        clock: Limits the rate of guesses.
        kiosk_user: The user whose browser needs no token; None if there is none.
    """

    def __init__(self, keys: Keys, clock: Clock, kiosk_user: int | None = None) -> None:
        self._keys = keys
        self._kiosk_user = kiosk_user
        self._limiter = Limiter(clock)
        self._answering: dict[asyncio.Task[Any], Visitor] = {}

    @property
    def locked(self) -> bool:
        """Whether a token is needed."""
        return self._keys.locked

    def host_is_ours(self, host: str) -> bool:
        """Whether a request for the name ``host`` is meant for us. On the network a name proves nothing."""
        return self.locked or is_loopback_name(host)

    def is_kiosk(self, client: End, server: End) -> bool:
        """Whether the device's own kiosk made a connection."""
        user = self._kiosk_user
        return user is not None and is_loopback(client.address) and made_by(client, server) == user

    def visitor(self, peer: str, host: str, kiosk: bool, bearer: str | None, session: str | None) -> Visitor:
        """What the sender of a request is.

        Args:
            peer: Its address.
            host: The name it asked for.
            kiosk: Whether it came from the kiosk itself.
            bearer: The token it shows, if any.
            session: The cookie it shows, if any.
        """
        if not self.locked:
            return Visitor(Standing.TRUSTED)
        if bearer is not None:
            return self.judge(peer, bearer)
        secret = self._keys.of_session(session) if session is not None else None
        at_kiosk = kiosk and is_loopback_name(host)
        standing = Standing.TRUSTED if secret or at_kiosk else Standing.UNKNOWN
        return Visitor(standing, secret=secret, token_exists=True, kiosk=at_kiosk)

    def judge(self, peer: str, token: str) -> Visitor:
        """Whether ``token`` is right. It is checked first: behind a proxy all visitors share one address."""
        if not self.locked:
            return Visitor(Standing.TRUSTED)
        secret = self._keys.opened_by(token)
        if secret:
            self._limiter.right(peer)
            return Visitor(Standing.TRUSTED, secret=secret, token_exists=True)
        wait = self._limiter.wait(peer)
        if wait > 0:
            return Visitor(Standing.BLOCKED, wait)
        self._limiter.wrong(peer)
        return Visitor(Standing.WRONG)

    @contextmanager
    def answering(self, visitor: Visitor) -> Iterator[None]:
        """While a request is answered: the answer ends when its sender may not look any more.

        Raises:
            LockedOutError: That happened.
        """
        task = asyncio.current_task()
        assert task, "requests are answered in a task"
        self._answering[task] = visitor
        try:
            yield
        except asyncio.CancelledError:
            if self._still_welcome(visitor):
                raise
            raise LockedOutError from None
        finally:
            del self._answering[task]

    def refresh(self) -> None:
        """Take in tokens that were made or revoked, and cut off those who may not look any more."""
        self._keys.refresh()
        for task, visitor in list(self._answering.items()):
            if not self._still_welcome(visitor):
                task.cancel()

    def _still_welcome(self, visitor: Visitor) -> bool:
        if visitor.secret:
            return self._keys.holds(visitor.secret)
        return visitor.standing is not Standing.TRUSTED or visitor.kiosk or not self.locked


def same_origin(origin: str | None, host: str) -> bool:
    """Whether a form was sent from a page of ours: its Origin names the Host that was asked; tools send none."""
    return origin is None or origin in (f"http://{host}", f"https://{host}")


def _network(address: str) -> str:
    """The address of one guesser: an IPv4 address, or the /64 network that one IPv6 host can use freely."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
    return address

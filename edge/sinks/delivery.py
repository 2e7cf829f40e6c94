"""How notifications leave the device: a plain webhook, or any service that Apprise knows. No address is ever shown."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from edge.cameras.address import shown
from edge.clock import Clock
from edge.config.sections.notify import NotifySettings
from edge.errors import ConfigError, MaskgateError
from edge.messages import message, numbered, together
from edge.pacing import Backoff
from edge.worker import Worker

TIMEOUT = 10.0
"""Timeout of a service at each step, in seconds."""
WHOLE_TIMEOUT = 30.0
"""Timeout of a service for a whole notice, however its bytes drip, in seconds."""
FIRST_PAUSE = 5.0
"""Pause before a service is tried again, in seconds; doubles up to ``LONGEST_PAUSE``."""
LONGEST_PAUSE = 900.0
MOST_WAITING = 100
"""Maximum notices waiting for a service; then the oldest are dropped and counted."""
LOOK_EVERY = 0.5
"""Interval between checks for waiting notices, in seconds."""
NEVER_TAKEN = frozenset({400, 413, 415, 422})
"""HTTP codes that refuse the notice itself: it is dropped, not sent again."""
LATE = message("notify.late")

log = logging.getLogger(__name__)


class DeliveryError(MaskgateError, OSError):
    """A service did not take a notice; the text says why, without its address.

    Attributes:
        final: Whether it would never take it.
    """

    def __init__(self, reason: str, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification.

    Attributes:
        event: What happened: ``camera_lost`` and so on.
        time: RFC 3339.
        door: Its name.
        title: A few words.
        text: A sentence or two.
        details: Further fields, JSON-ready.
    """

    event: str
    time: str
    door: str
    title: str
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """JSON-ready."""
        said = {"event": self.event, "time": self.time, "door": self.door, "title": self.title, "text": self.text}
        return said | dict(self.details)


class Way(Protocol):
    """A service.

    Attributes:
        name: For people, without anything that could be secret.
    """

    name: str

    def send(self, notice: Notice) -> None:
        """Send, and wait for the answer.

        Raises:
            DeliveryError: It was not taken.
        """
        ...


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A notice that is sent on elsewhere could end as a GET without its content."""

    def redirect_request(self, *_: object) -> None:
        """Do not follow: the answer counts as an error."""


class _Deadline(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Connections that are cut ``WHOLE_TIMEOUT`` after ``start``, whatever they are waiting for."""

    expired = False
    _connection: http.client.HTTPConnection | None = None

    def start(self) -> threading.Timer:
        """The running timer; cancel it when the answer is there."""
        self.expired, self._connection = False, None
        timer = threading.Timer(WHOLE_TIMEOUT, self._cut)
        timer.daemon = True
        timer.start()
        return timer

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._plain, request)  # type: ignore[arg-type]

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._encrypted, request)  # type: ignore[arg-type]

    def _plain(self, host: str, timeout: float) -> http.client.HTTPConnection:
        self._connection = http.client.HTTPConnection(host, timeout=timeout)
        return self._connection

    def _encrypted(self, host: str, timeout: float) -> http.client.HTTPConnection:
        self._connection = http.client.HTTPSConnection(host, timeout=timeout)
        return self._connection

    def _cut(self) -> None:
        self.expired = True
        connected = self._connection and self._connection.sock
        if connected:
            with suppress(OSError):  # closed meanwhile
                socket.socket.shutdown(connected, socket.SHUT_RDWR)


class Webhook:
    """An address that takes JSON."""

    def __init__(self, url: str) -> None:
        self.name = shown(url)
        self._url = url
        self._deadline = _Deadline()
        self._opener = urllib.request.build_opener(_NoRedirect, self._deadline)

    def send(self, notice: Notice) -> None:
        """POST the notice's fields."""
        headers = {"Content-Type": "application/json", "User-Agent": "maskgate"}
        request = urllib.request.Request(self._url, json.dumps(notice.fields()).encode(), headers, method="POST")  # noqa: S310 - http or https, checked with the settings
        timer = self._deadline.start()
        try:
            self._post(request)
        except DeliveryError:
            if not self._deadline.expired:
                raise
        finally:
            timer.cancel()
        if self._deadline.expired:  # also where the headers that were cut off still read as an answer
            raise DeliveryError(LATE)

    def _post(self, request: urllib.request.Request) -> None:
        try:
            self._opener.open(request, timeout=TIMEOUT).close()
        except urllib.error.HTTPError as error:
            error.close()
            raise DeliveryError(message("notify.http", code=error.code), error.code in NEVER_TAKEN) from None
        except (OSError, ValueError) as error:  # whose text may hold the address
            raise DeliveryError(_reason(error)) from None
        except Exception as error:  # a server that does not speak HTTP
            raise DeliveryError(message("notify.no_http", error=type(error).__name__)) from None


class Apprise:
    """A service that Apprise knows. It is loaded with the first notice, in the thread that sends."""

    def __init__(self, url: str) -> None:
        self.name = f"{url.partition('://')[0]}://***"
        self._url = url
        self._client: Any = None

    def send(self, notice: Notice) -> None:
        """Send title and text."""
        if self._client is None:
            self._client = self._load()
        try:
            taken = self._client.notify(title=f"{notice.door}: {notice.title}", body=f"{notice.text} ({notice.time})")
        except Exception as error:  # of whichever of its many services
            raise DeliveryError(message("notify.apprise_failed", error=type(error).__name__)) from None
        if not taken:
            raise DeliveryError(message("notify.apprise_refused"))

    def _load(self) -> Any:
        try:
            import apprise
        except ImportError:
            raise DeliveryError(message("notify.no_apprise")) from None
        for library in ("apprise", "urllib3", "requests"):  # they would log addresses
            logging.getLogger(library).setLevel(logging.CRITICAL + 1)
        client = apprise.Apprise()
        if not client.add(self._url):
            raise DeliveryError(message("notify.unknown_service"))
        return client


def ways(settings: NotifySettings) -> Iterator[Way]:
    """Every service that the settings name.

    Raises:
        ConfigError: Apprise is needed and not installed.
    """
    if settings.webhook:
        yield Webhook(settings.webhook.get_secret_value())
    if settings.urls:
        _require_apprise()
    yield from (Apprise(url.get_secret_value()) for url in settings.urls)


def _require_apprise() -> None:
    import importlib.util

    if importlib.util.find_spec("apprise") is None:
        raise ConfigError("notify.urls needs Apprise; run: pip install 'maskgate[notify]', or use notify.webhook.")


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return LATE
    if isinstance(cause, OSError) and cause.strerror:
        return message("notify.unreachable", reason=cause.strerror)
    return message("notify.unreachable", reason=type(cause).__name__)


class Mailbox:
    """Delivers notices to one service, in order, in its own thread.

    Args:
        way: The service.
        clock: Measures how long a notice takes.

    Attributes:
        dropped: Notices that were dropped because too many waited, or that the service refused.
    """

    def __init__(self, way: Way, clock: Clock) -> None:
        self.dropped = 0
        self._way, self._clock = way, clock
        self._waiting: deque[Notice] = deque()
        self._failing: str | None = None
        self._sending_since: float | None = None
        self._worker = Worker(f"notify {way.name}", self._run)

    @property
    def waiting(self) -> int:
        """Notices that are not delivered yet."""
        return len(self._waiting)

    @property
    def trouble(self) -> str | None:
        """Why notices are not delivered, as a sentence; None while they are."""
        why = self._failing or self._late()
        if why is None:
            return None
        undelivered = message("notify.undelivered", service=self._way.name, why=why)
        return together([undelivered, numbered("notify.dropped", self.dropped)] if self.dropped else [undelivered])

    def _late(self) -> str | None:
        """Why a notice that is being sent counts as not delivered: Apprise's services have no time limit for it all."""
        since = self._sending_since
        return LATE if since is not None and self._clock.monotonic() - since > 2 * WHOLE_TIMEOUT else None

    def put(self, notice: Notice) -> None:
        """Leave a notice; returns immediately."""
        self._waiting.append(notice)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self.dropped += 1

    def close(self, within: float) -> None:
        """Stop; what was not delivered is given up."""
        self._worker.close(within)

    def _run(self, worker: Worker) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, jitter=0.5)
        while not worker.closing:
            if not self._waiting:
                worker.wait(LOOK_EVERY)
            elif self._deliver(self._waiting[0]):
                backoff.reset()
            else:
                worker.wait(backoff.next())

    def _deliver(self, notice: Notice) -> bool:
        """Whether a notice is dealt with."""
        self._sending_since = self._clock.monotonic()
        try:
            self._way.send(notice)
        except DeliveryError as error:
            self._fail(str(error))
            if not error.final:
                return False
            self.dropped += 1
        else:
            if self._failing:
                log.info("Notifications to %s are delivered again.", self._way.name)
            self._failing = None
        finally:
            self._sending_since = None
        if self._waiting and self._waiting[0] is notice:  # it may have been dropped while it was sent
            self._waiting.popleft()
        return True

    def _fail(self, reason: str) -> None:
        if reason != self._failing:
            log.warning("Notifications to %s are not delivered: %s. maskgate keeps trying.", self._way.name, reason)
        self._failing = reason

"""The pages and their addresses."""

from __future__ import annotations

import asyncio
import hashlib
import html
import json
import logging
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from edge.clock import Clock
from edge.sinks.web import state, texts, verdicts
from edge.sinks.web.feed import Feed
from edge.sinks.web.guard import Guard, Standing, Visitor, same_origin
from edge.sinks.web.report import About, Report
from edge.sinks.web.streams import Events, Pictures

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGES = Path(__file__).parent / "pages"
STATIC = Path(__file__).parent / "static"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
OPEN_TO_ALL = re.compile(r"/health|/login|/static/[\w.-]+")
"""What needs no token: health, terse then; the form to show the token in; what the form looks like."""
METHODS = ("GET", "HEAD", "POST")
COOKIE = "maskgate_session"
COOKIE_DAYS = 30
LONGEST_FORM = 4096
"""In bytes."""
FORM_WITHIN = 5.0
"""A form that takes longer to arrive is refused, in seconds."""
CROWDED = "Too many are looking at once; close a page that is not needed."
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), display-capture=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
STRICT = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

Extra = Callable[[], tuple[bytes, str]]
"""Answers a GET with a body and its content type. Called in a worker thread."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Screens:
    """What the pages are made of.

    Attributes:
        feed: Where the loop leaves its status and events.
        clock: The machine's.
        guard: Decides who may look.
        about: What does not change during a run.
        live_picture: Whether pictures are shown and served.
        language: Of the pages, or ``auto``.
        extra: Further addresses, such as ``/metrics``.
    """

    feed: Feed
    clock: Clock
    guard: Guard
    about: About
    live_picture: bool = False
    language: str = texts.FALLBACK
    extra: Mapping[str, Extra] | None = None


class Site:
    """The application, and the streams that flow through it."""

    def __init__(self, screens: Screens) -> None:
        self._screens = screens
        self._static = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir())}
        self._static[verdicts.STYLESHEET] = verdicts.stylesheet().encode()
        self._pages = {path.stem: path.read_text("utf-8") for path in sorted(PAGES.glob("*.html"))}
        self.release = _release(self._static, self._pages, screens)
        stale_after = screens.about.stale_after
        self.events = Events(screens.feed, screens.clock, stale_after, self.release)
        self.pictures = Pictures(screens.feed)
        self.streams = (self.events, self.pictures)
        self._report = Report(screens.feed, screens.clock, screens.about)
        self.app = Gate(Starlette(routes=self._routes(), exception_handlers={404: self._absent}), screens.guard)

    def _routes(self) -> list[Route]:
        routes = [
            Route("/", self._kiosk),
            Route("/operator", self._operator),
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/events", self._stream_of(self.events)),
            Route("/api/status", self._status),
            Route("/health", self._health),
            Route("/static/{name}", self._asset),
        ]
        if self._screens.live_picture:
            routes.append(Route("/picture", self._stream_of(self.pictures)))
        extra = self._screens.extra or {}
        return routes + [Route(path, _answered_by(answer)) for path, answer in extra.items()]

    async def _kiosk(self, request: Request) -> Response:
        return self._page("kiosk", request)

    async def _operator(self, request: Request) -> Response:
        return self._page("operator", request)

    async def _status(self, request: Request) -> Response:
        del request
        return JSONResponse(await self._report.full())

    async def _health(self, request: Request) -> Response:
        """For machines: 200 while the door is watched, else 503. Why is told only to those who may know."""
        now = self._screens.clock.monotonic()
        health, reasons = state.health(self._screens.feed.status, now, self._screens.about.stale_after)
        said: dict[str, Any] = {"status": str(health)}
        if reasons and request.scope["visitor"].standing is Standing.TRUSTED:
            said["reasons"] = list(reasons)
        return JSONResponse(said, 200 if health.serving else 503)

    async def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            return await self._absent(request, None)
        return Response(self._static[name], headers={"content-type": CONTENT_TYPES[Path(name).suffix]})

    async def _login(self, request: Request) -> Response:
        if request.method != "POST":
            return self._page("login", request, error="")
        token = await _token_in(request)
        if token is None:
            return Response("This is not the form of the login page.\n", 400)
        visitor = self._screens.guard.judge(_peer(request.scope), token)
        if visitor.standing is not Standing.TRUSTED:
            return self._refused(request, visitor)
        response = RedirectResponse("/operator", 303)
        if secret := self._screens.guard.secret:
            response.set_cookie(
                COOKIE, secret.session, max_age=COOKIE_DAYS * 86400, httponly=True, samesite="strict", path="/"
            )
        return response

    def _refused(self, request: Request, visitor: Visitor) -> Response:
        words = texts.texts(self._language(request))
        if visitor.standing is Standing.BLOCKED:
            seconds = math.ceil(visitor.wait)
            page = self._page("login", request, error=words["login.wait"].format(seconds=seconds), code=429)
            page.headers["retry-after"] = str(seconds)
            return page
        return self._page("login", request, error=words["login.wrong"], code=401)

    async def _absent(self, request: Request, error: Exception | None) -> Response:
        del request, error
        return Response("There is no such page; there are / and /operator.\n", 404, media_type="text/plain")

    def _stream_of(self, stream: Events | Pictures) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if request.method == "HEAD":
                return Response()
            if stream.audience.full:
                return Response(CROWDED + "\n", 503, {"retry-after": "10"}, "text/plain")
            return stream  # type: ignore[return-value]

        return answer

    def _language(self, request: Request) -> str:
        accepted = request.headers.get("accept-language", "")
        return texts.choose(self._screens.language, request.query_params.get("lang"), accepted)

    def _page(self, name: str, request: Request, error: str | None = None, code: int = 200) -> Response:
        language = self._language(request)
        words = texts.texts(language)
        values = {
            **words,
            "lang": language,
            "release": self.release,
            "version": self._screens.about.version,
            "privacy": words["kiosk.privacy.picture" if self._screens.live_picture else "kiosk.privacy.silhouette"],
            "picture": "on" if self._screens.live_picture else "off",
            "error": error or "",
            "texts": json.dumps(words, ensure_ascii=False),
            "verdicts": json.dumps(verdicts.drawings()),
        }
        return Response(fill(self._pages[name], values), code, media_type="text/html")


class Gate:
    """In front of the application: who may look, strict headers on every answer, no traceback to anybody."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app, self._guard = app, guard
        self._said: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        started = False

        async def send_strictly(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message.get("headers", []), *STRICT]}
            await send(message)

        try:
            answer = self._refusal(scope) or self._app
            await answer(scope, receive, send_strictly)
        except Exception as error:  # a fault in a page must not reach the others, and ends as one sentence
            self._say(scope["path"], error)
            if not started:
                await Response("This page failed; the log says why.\n", 500)(scope, receive, send_strictly)

    def _refusal(self, scope: Scope) -> Response | None:
        """Why a request is not answered, or None; the visitor is noted in the scope."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if scope["method"] not in METHODS:
            return Response("Only GET, HEAD and POST are understood.\n", 405, {"allow": ", ".join(METHODS)})
        if not self._guard.host_is_ours(host):
            return Response("This server answers only to localhost and 127.0.0.1.\n", 421)
        if scope["method"] == "POST" and not same_origin(headers.get("origin"), host):
            return Response("This form was sent from another site.\n", 403)
        visitor = self._guard.visitor(
            _peer(scope), host, _forwarded(headers), _bearer(headers), Request(scope).cookies.get(COOKIE)
        )
        scope["visitor"] = visitor
        if visitor.standing is Standing.TRUSTED:
            return None
        if visitor.standing is Standing.UNKNOWN and OPEN_TO_ALL.fullmatch(scope["path"]):
            return None
        return _unwelcome(visitor, "text/html" in headers.get("accept", "") and scope["method"] == "GET")

    def _say(self, path: str, error: Exception) -> None:
        what = f"{type(error).__name__}: {error}"
        if what not in self._said:
            self._said.add(what)
            line = path.encode("unicode_escape").decode(
                "ascii"
            )  # a log takes one line, of the operator's and no other's
            log.warning("The page %s failed (%s); the door is watched all the same.", line, what)
            log.debug("How it failed:", exc_info=error)


def fill(page: str, values: Mapping[str, str]) -> str:
    """Put ``values`` in place of ``{{name}}``, escaped; ``{{{name}}}`` becomes JSON that cannot end its element.

    Raises:
        KeyError: The page names a value that is not there.
    """
    page = re.sub(r"\{\{\{(\w+)\}\}\}", lambda found: values[found[1]].replace("<", "\\u003c"), page)
    return re.sub(r"\{\{([\w.]+)\}\}", lambda found: html.escape(values[found[1]]), page)


def _unwelcome(visitor: Visitor, browser: bool) -> Response:
    if visitor.standing is Standing.BLOCKED:
        seconds = math.ceil(visitor.wait)
        headers = {"retry-after": str(seconds)}
        return Response(f"Too many wrong tokens; wait {seconds} s.\n", 429, headers, "text/plain")
    if visitor.standing is Standing.UNKNOWN and browser:
        return RedirectResponse("/login", 303)
    word = "wrong" if visitor.standing is Standing.WRONG else "missing"
    headers = {"www-authenticate": "Bearer"}
    return Response(f"The token is {word}; `maskgate token` on the device makes one.\n", 401, headers, "text/plain")


def _answered_by(answer: Extra) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        del request
        body, content_type = await asyncio.to_thread(answer)
        return Response(body, headers={"content-type": content_type})

    return respond


async def _token_in(request: Request) -> str | None:
    """The field of the login form; None for anything else, or too much of it."""
    try:
        body = await asyncio.wait_for(_short_body(request), FORM_WITHIN)
        return parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=4)["token"][0]
    except (asyncio.TimeoutError, ClientDisconnect, ValueError, KeyError):
        return None


async def _short_body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            raise ValueError("longer than any token")
    return body


def _peer(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


def _forwarded(headers: Mapping[str, str]) -> bool:
    return any(name in headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via"))


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _release(static: Mapping[str, bytes], pages: Mapping[str, str], screens: Screens) -> str:
    """Changes when a kiosk that is open should load its page anew."""
    parts = [*static.values(), *(page.encode() for page in pages.values())]
    parts += [json.dumps(texts.texts(language)).encode() for language in texts.languages()]
    parts.append(f"{screens.language} {screens.live_picture}".encode())
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]

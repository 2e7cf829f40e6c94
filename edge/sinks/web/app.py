"""The pages and their addresses."""

from __future__ import annotations

import asyncio
import hashlib
import html
import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from edge.clock import Clock
from edge.config import WebSettings
from edge.control import Commands
from edge.messages import message, translated
from edge.sinks import Page
from edge.sinks.web import header, state, texts, verdicts
from edge.sinks.web.body import read_body
from edge.sinks.web.feed import Feed
from edge.sinks.web.gate import Gate, is_kiosk, peer, to_root
from edge.sinks.web.guard import Guard, Standing, Visitor
from edge.sinks.web.history import History
from edge.sinks.web.own import OwnFolder
from edge.sinks.web.report import About, Report
from edge.sinks.web.sentences import asked_in, plain
from edge.sinks.web.statuses import Statuses
from edge.sinks.web.steer import Steering, may_not
from edge.sinks.web.streams import Events, Pictures, framed

PAGES = Path(__file__).parent / "pages"
STATIC = Path(__file__).parent / "static"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
LONGEST_FORM = 4096
"""In bytes."""
PREVIEW_EVERY = 0.2
"""Interval between frames of the operator's preview, in seconds."""
CROWDED = message("access.crowded")


@dataclass(frozen=True, slots=True)
class Screens:
    """What the pages are made of.

    Attributes:
        feed: Where the loop leaves its status and events.
        clock: The machine's.
        guard: Decides who may look.
        commands: Carries what operators ask to the loop.
        about: What does not change during a run.
        web: As the door was opened with; an operator may change language and name.
        own: The door's own words and logo for the kiosk.
        extra: Further addresses, such as ``/metrics``.
    """

    feed: Feed
    clock: Clock
    guard: Guard
    commands: Commands
    about: About
    own: OwnFolder
    web: WebSettings = field(default_factory=WebSettings)
    extra: Mapping[str, Page] | None = None


class Site:
    """The application, and the streams that flow through it."""

    def __init__(self, screens: Screens) -> None:
        self._screens = screens
        self._static = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir())}
        self._static[verdicts.STYLESHEET] = verdicts.stylesheet().encode()
        self._pages = _pages()
        self._content = _digest(self._static, self._pages)
        stale_after = screens.about.stale_after
        self._report = Report(screens.feed, screens.clock, screens.about)
        statuses = Statuses(self._report.body, screens.feed, screens.clock)
        self.events = Events(screens.feed, screens.clock, stale_after, self._release, statuses)
        self.pictures = Pictures(screens.feed)
        self.previews = {
            language: Pictures(screens.feed, every=PREVIEW_EVERY, draw=partial(framed, language=language))
            for language in texts.languages()
        }
        self.streams: tuple[Events | Pictures, ...] = (self.events, self.pictures, *self.previews.values())
        self._steering = Steering(screens.feed, screens.commands, screens.clock.monotonic)
        self._history = History(screens.feed, screens.clock, screens.about.door)
        app = Starlette(routes=self._routes(), exception_handlers={404: self._absent, 500: self._failed})
        self.app = Gate(app, screens.guard, self._sentence, screens.web.frame_ancestors)

    def _routes(self) -> list[Route]:
        routes = [
            Route("/", self._kiosk),
            Route("/operator", self._operator),
            Route("/setup", self._setup),
            Route("/camera/preview", self._look),
            *self._steering.routes(),
            Route("/history", self._history_page),
            *self._history.routes(),
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", header.logout, methods=["POST"]),
            Route("/events", self._stream_of(self.events)),
            Route("/api/status", self._status),
            Route("/health", self._health),
            Route("/static/{name}", self._asset),
            Route("/kiosk/logo", self._logo),
        ]
        if self._screens.web.live_picture:
            routes.append(Route("/picture", self._stream_of(self.pictures)))
        extra = self._screens.extra or {}
        return routes + [Route(path, _answered_by(answer)) for path, answer in extra.items()]

    async def _kiosk(self, request: Request) -> Response:
        return self._page("kiosk", request)

    async def _operator(self, request: Request) -> Response:
        return self._page("operator", request)

    async def _setup(self, request: Request) -> Response:
        return self._page("setup", request)

    async def _look(self, request: Request) -> Response:
        """What the camera sees, for signed-in operators."""
        return may_not(request) or await self._stream_of(self.previews[self._language(request)])(request)

    async def _history_page(self, request: Request) -> Response:
        return self._page("history", request)

    async def _status(self, request: Request) -> Response:
        asked = asked_in(request)
        language = asked if asked in texts.languages() else texts.FALLBACK
        return Response(await self._report.body(language), media_type="application/json")

    async def _health(self, request: Request) -> Response:
        """For machines: 200 while the door is watched, else 503. Only authorised clients get the reason."""
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

    async def _logo(self, request: Request) -> Response:
        logo = self._screens.own.now.logo
        if logo is None:
            return await self._absent(request, None)
        return Response(logo.content, headers={"content-type": logo.content_type})

    async def _login(self, request: Request) -> Response:
        if request.method != "POST":
            return self._page("login", request, error="")
        token = await _token_in(request)
        if token is None:
            return self._sentence(message("access.not_the_form"), request, 400)
        visitor = self._screens.guard.judge(peer(request.scope), token)
        if visitor.standing is not Standing.TRUSTED:
            return self._refused(request, visitor)
        response = RedirectResponse(header.wanted_page(request), 303)
        if visitor.secret:
            header.sign_in(response, request, visitor.secret.session, framed=bool(self._web.frame_ancestors))
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
        del error
        if "text/html" in request.headers.get("accept", ""):
            return self._page("absent", request, code=404)
        return plain(message("access.no_such_page"), self._language(request), 404)

    async def _failed(self, request: Request, error: Exception) -> Response:
        del error  # the gate logs it
        return self._sentence(message("access.failed"), request, 500)

    def _sentence(
        self, sentence: str, request: Request, code: int, headers: Mapping[str, str] | None = None
    ) -> Response:
        """A sentence in place of a page: to a browser as a page that tells nothing of this door, else as text."""
        language = self._language(request)
        if "text/html" not in request.headers.get("accept", ""):
            return plain(sentence, language, code, headers)
        values = {
            **texts.texts(language),
            "lang": language,
            "root": to_root(request.scope),
            "error": translated(sentence, language),
        }
        return Response(fill(self._pages["refused"], values), code, headers, "text/html")

    def _stream_of(self, stream: Events | Pictures) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if request.method == "HEAD":
                return Response()
            if not stream.audience.has_room(is_kiosk(request.scope)):
                return plain(CROWDED, self._language(request), 503, {"retry-after": "10"})
            return stream  # type: ignore[return-value]

        return answer

    @property
    def _web(self) -> WebSettings:
        """The current settings: an operator may have changed some."""
        status = self._screens.feed.status
        return status.settings.config.web if status and status.settings else self._screens.web

    def _release(self) -> str:
        """``<version>.<settings>``: changes when pages that are open should be loaded again."""
        web = self._web
        chosen = (web.language, web.kiosk_languages, web.live_picture, web.door_name)
        shown = f"{chosen} {self._screens.own.now.digest}"
        return f"{self._content[:12]}.{hashlib.sha256(shown.encode()).hexdigest()[:12]}"

    def _language(self, request: Request) -> str:
        accepted = request.headers.get("accept-language", "")
        return texts.choose(self._web.language, request.query_params.get("lang"), accepted)

    def _page(self, name: str, request: Request, error: str | None = None, code: int = 200) -> Response:
        language = self._language(request)
        words = texts.texts(language)
        values = {
            **words,
            **header.values(language, self._screens.clock, self._screens.guard),
            "kept": header.kept(request, page=True),
            "lang": language,
            "release": self._release(),
            "version": self._screens.about.version,
            "door": self._web.door_name or "maskgate",
            "picture": "on" if self._web.live_picture else "off",
            "error": error or "",
            "root": to_root(request.scope),
            "texts": json.dumps(words, ensure_ascii=False),
            **self._kiosks(request, language),
            "verdicts": json.dumps(verdicts.drawings()),
        }
        return Response(fill(self._pages[name], values), code, media_type="text/html")

    def _kiosks(self, request: Request, language: str) -> Mapping[str, str]:
        """For the kiosk page: its languages in turn, with the door's own words, name and logo."""
        own, turns = self._screens.own.now, self._web.kiosk_languages
        spoken = [language] if request.query_params.get("lang") in texts.languages() else (turns or [language])
        words = {one: {**texts.texts(one), **own.words.get(one, {})} for one in spoken}
        return {
            "spoken": json.dumps(words, ensure_ascii=False),
            "first": spoken[0],
            "owner": own.name,
            "logo": f"kiosk/logo?{own.digest}" if own.logo else "",
        }


def fill(page: str, values: Mapping[str, str]) -> str:
    """Put ``values`` in place of ``{{name}}``, escaped; ``{{{name}}}`` becomes JSON that cannot end its element.

    Raises:
        KeyError: The page names a value that is not there.
    """
    page = re.sub(r"\{\{\{(\w+)\}\}\}", lambda found: values[found[1]].replace("<", "\\u003c"), page)
    return re.sub(r"\{\{([\w.]+)\}\}", lambda found: html.escape(values[found[1]]), page)


def _pages() -> dict[str, str]:
    """The templates by name; ``{{>name}}`` stands for a part that several share."""
    parts = {path.stem: path.read_text("utf-8") for path in sorted(PAGES.glob("parts/*.html"))}
    pages = {path.stem: path.read_text("utf-8") for path in sorted(PAGES.glob("*.html"))}
    return {name: re.sub(r"\{\{>(\w+)\}\}", lambda found: parts[found[1]], page) for name, page in pages.items()}


def _answered_by(answer: Page) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        del request
        body, content_type = await asyncio.to_thread(answer)
        return Response(body, headers={"content-type": content_type})

    return respond


async def _token_in(request: Request) -> str | None:
    """The field of the login form; None for anything else, or too much of it."""
    try:
        body = await read_body(request, LONGEST_FORM)
        return parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=4)["token"][0]
    except (ValueError, KeyError):
        return None


def _digest(static: Mapping[str, bytes], pages: Mapping[str, str]) -> str:
    """Of all that the pages are made of."""
    parts = [*static.values(), *(page.encode() for page in pages.values())]
    parts += [json.dumps(texts.texts(language)).encode() for language in texts.languages()]
    return hashlib.sha256(b"".join(parts)).hexdigest()

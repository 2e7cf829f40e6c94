"""In front of the pages: who may look, and strict headers on every answer."""

from __future__ import annotations

import logging
import math
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge.messages import message
from edge.sinks.web.guard import Guard, LockedOutError, Standing, Visitor, same_origin

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC = re.compile(r"/static/[\w.-]+")
"""What pages look like, also those that refuse: the same for every door."""
OPEN_TO_ALL = re.compile(rf"/health|/login|{STATIC.pattern}")
"""What needs no token: health, terse then; the form to show the token in; what the form looks like."""
METHODS = ("GET", "HEAD", "POST")
KIOSK = "kiosk"
"""Key of a request's state: whether its connection is the kiosk's."""
COOKIE = "maskgate_session"
STRANGER = Visitor(Standing.UNKNOWN)
PAGES = {"kiosk": "./", "operator": "operator", "setup": "setup", "history": "history"}
"""Relative addresses of the pages that a browser opens, and returns to after signing in."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors "
)
HEADERS = {
    "content-security-policy": f"{POLICY}'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), display-capture=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

Refuse = Callable[[str, Request, int, Mapping[str, str] | None], Response]
"""Makes an answer of a sentence, a code and headers."""

log = logging.getLogger(__name__)


class Gate:
    """In front of the application: who may look, strict headers on every answer, no traceback to anybody."""

    def __init__(self, app: ASGIApp, guard: Guard, refuse: Refuse, frame_ancestors: Sequence[str] = ()) -> None:
        """Stand in front of ``app``; ``refuse`` makes the answers to what does not reach it."""
        self._app, self._guard, self._refuse = app, guard, refuse
        self._headers = [(name.encode(), value.encode()) for name, value in _headers(frame_ancestors).items()]
        self._said: set[tuple[str, int | None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        started = False

        async def send_strictly(sent: Message) -> None:
            nonlocal started
            if sent["type"] == "http.response.start":
                started = True
                sent = {**sent, "headers": [*sent.get("headers", []), *self._headers]}
            await send(sent)

        try:
            self._guard.refresh()
            answer = self._refusal(scope) or self._app
            with self._guard.answering(scope.get("visitor", STRANGER)):
                await answer(scope, receive, send_strictly)
        except LockedOutError:  # without an end of the answer the server closes the connection
            log.info("A visitor with a revoked token was disconnected.")
        except Exception as error:  # a fault in a page must not reach the others, and ends as one sentence
            self._say(scope["path"], error)
            if not started:
                await self._refused("access.failed", scope, 500)(scope, receive, send_strictly)

    def _refusal(self, scope: Scope) -> Response | None:
        """Why a request is not answered, or None; the visitor is noted in the scope."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return self._not_for_us(scope, headers) or self._not_for_them(scope, headers)

    def _not_for_us(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        host = headers.get("host", "")
        if scope["method"] not in METHODS:
            return self._refused("access.method", scope, 405, {"allow": ", ".join(METHODS)})
        if STATIC.fullmatch(scope["path"]):
            return None
        if not self._guard.host_is_ours(host):
            return self._refused("access.host", scope, 421)
        if scope["method"] == "POST" and not same_origin(headers.get("origin"), host):
            return self._refused("access.other_site", scope, 403)
        if not self._guard.locked and _forwarded(headers):
            return self._refused("access.proxy", scope, 403)
        return None

    def _refused(
        self, key: str, scope: Scope, code: int, headers: Mapping[str, str] | None = None, **values: object
    ) -> Response:
        return self._refuse(message(key, **values), Request(scope), code, headers)

    def _not_for_them(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        kiosk = is_kiosk(scope) and not _forwarded(headers)
        session = Request(scope).cookies.get(COOKIE)
        visitor = self._guard.visitor(peer(scope), headers.get("host", ""), kiosk, _bearer(headers), session)
        scope["visitor"] = visitor
        if visitor.standing is Standing.TRUSTED:
            return None
        if visitor.standing is Standing.UNKNOWN and OPEN_TO_ALL.fullmatch(scope["path"]):
            return None
        browser = "text/html" in headers.get("accept", "") and scope["method"] == "GET"
        return self._unwelcome(visitor, scope, _login(scope) if browser else None)

    def _unwelcome(self, visitor: Visitor, scope: Scope, login: str | None) -> Response:
        if visitor.standing is Standing.BLOCKED:
            seconds = math.ceil(visitor.wait)
            return self._refused("access.wait", scope, 429, {"retry-after": str(seconds)}, seconds=seconds)
        if visitor.standing is Standing.UNKNOWN and login:
            return RedirectResponse(login, 303)
        key = "access.wrong_token" if visitor.standing is Standing.WRONG else "access.no_token"
        return self._refused(key, scope, 401, {"www-authenticate": "Bearer"})

    def _say(self, path: str, error: Exception) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        fault = (where.filename, where.lineno)  # not its text, which may repeat what a stranger sent
        if fault not in self._said:
            self._said.add(fault)
            what = f"{type(error).__name__}: {error}"
            line = "The page %s failed (%s); the door is still watched."
            log.warning(line, _on_one_line(path), _on_one_line(what))
            log.debug("How it failed:", exc_info=error)


def peer(scope: Scope) -> str:
    """The address that a request came from."""
    return scope["client"][0] if scope.get("client") else ""


def to_root(scope: Scope) -> str:
    """What leads from the address asked for to the first page."""
    path: str = scope["path"]
    return "../" * (path.count("/") - 1)


def is_kiosk(scope: Scope) -> bool:
    """As the server found out when the connection was made."""
    return bool(scope.get("state", {}).get(KIOSK))


def _on_one_line(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")


def _forwarded(headers: Mapping[str, str]) -> bool:
    return any(name in headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via"))


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _headers(frame_ancestors: Sequence[str]) -> Mapping[str, str]:
    """Those of every answer. Where others may frame the pages, x-frame-options goes: it cannot name them."""
    if not frame_ancestors:
        return HEADERS
    framed = {"content-security-policy": f"{POLICY}'self' {' '.join(frame_ancestors)}"}
    return {name: value for name, value in (HEADERS | framed).items() if name != "x-frame-options"}


def _login(scope: Scope) -> str:
    """Address of the form that shows the token, relative to the page asked for; it leads back to that page."""
    path: str = scope["path"]
    page = next((name for name, address in PAGES.items() if path == f"/{address}".removesuffix("./")), None)
    asked = {"lang": Request(scope).query_params.get("lang"), "page": page}
    parts = {name: value for name, value in asked.items() if value}
    return to_root(scope) + "login" + (f"?{urlencode(parts)}" if parts else "")

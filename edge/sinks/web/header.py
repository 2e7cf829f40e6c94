"""What stands at the head of every page for operators: the door's clock, other languages, signing out."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge.clock import Clock, rfc3339
from edge.sinks.web import texts
from edge.sinks.web.gate import COOKIE, PAGES
from edge.sinks.web.guard import Guard

COOKIE_DAYS = 30


def values(language: str, clock: Clock, guard: Guard) -> dict[str, str]:
    """For the templates."""
    now = clock.now()
    offset = now.astimezone().utcoffset()
    return {
        "now": rfc3339(now),
        "offset": str(round(offset.total_seconds() / 60) if offset else 0),
        "languages": json.dumps(
            [[code, texts.texts(code)["language"]] for code in texts.languages() if code != language]
        ),
        "session": "on" if guard.locked else "off",
    }


def sign_in(response: Response, request: Request, session: str, *, framed: bool) -> None:
    """Let this browser in from now on.

    The cookie has no path, so it holds below the address that the browser used: a proxy may add one. A browser sends it
    from a frame of another site only if it says so, and only over TLS.
    """
    tls = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
    response.set_cookie(
        COOKIE,
        session,
        max_age=COOKIE_DAYS * 86400,
        path=None,
        secure=tls,
        httponly=True,
        samesite="none" if framed and tls else "strict",
    )


def kept(request: Request, *, page: bool = False) -> str:
    """The part of an address that keeps the language somebody has chosen and, if wanted, the page to go back to."""
    asked = request.query_params
    parts = {"lang": asked["lang"]} if asked.get("lang") in texts.languages() else {}
    if page and asked.get("page") in PAGES:
        parts["page"] = asked["page"]
    return f"?{urlencode(parts)}" if parts else ""


def wanted_page(request: Request) -> str:
    """Where somebody who has signed in goes: the page that they asked for first, else the operator page."""
    page = request.query_params.get("page")
    return f"{PAGES.get(page or '', 'operator')}{kept(request)}"


async def logout(request: Request) -> Response:
    """Forget the session of this browser."""
    response = RedirectResponse(f"login{kept(request)}", 303)
    response.set_cookie(COOKIE, "", max_age=0, path=None, httponly=True, samesite="strict")
    return response

"""What stands at the head of every page for operators: the door's clock, other languages, signing out."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge.clock import Clock, rfc3339
from edge.sinks.web import texts
from edge.sinks.web.gate import COOKIE
from edge.sinks.web.guard import Guard


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


def kept(request: Request) -> str:
    """The part of an address that keeps the language somebody has chosen."""
    asked = request.query_params.get("lang")
    return f"?{urlencode({'lang': asked})}" if asked in texts.languages() else ""


async def logout(request: Request) -> Response:
    """Forget the session of this browser."""
    response = RedirectResponse(f"/login{kept(request)}", 303)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response

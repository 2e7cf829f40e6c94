"""Sentences in place of a page, in the language of the person or program that asked."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edge.messages import ENGLISH, translated


def asked_in(request: Request) -> str:
    """The language that an address asks for (``?lang=fr``), for programs and scripts of the pages; else English."""
    return request.query_params.get("lang", ENGLISH)


def plain(sentence: str, language: str, code: int, headers: Mapping[str, str] | None = None) -> Response:
    """An answer for people: one line of text."""
    return Response(translated(sentence, language) + "\n", code, headers, "text/plain")


def refusal(code: int, error: str | Exception, request: Request) -> Response:
    """An answer for programs: ``{"error": "…"}``."""
    return JSONResponse({"error": translated(str(error), asked_in(request))}, code)

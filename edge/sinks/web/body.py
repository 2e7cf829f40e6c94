"""The body of a request: never more than it may be, and never waited for longer than it may take."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

WITHIN = 5.0
"""Timeout for a request's body, in seconds."""


class BodyError(ValueError):
    """The body is too large, too slow, or its sender left."""


async def read_body(request: Request, most: int) -> bytes:
    """The body of ``request``.

    Args:
        request: Whose body was not read yet.
        most: The largest it may be, in bytes.

    Raises:
        BodyError: It is larger, does not arrive in time, or the sender left.
    """
    try:
        return await asyncio.wait_for(_gathered(request, most), WITHIN)
    except (asyncio.TimeoutError, ClientDisconnect) as error:
        raise BodyError("it did not arrive") from error


async def _gathered(request: Request, most: int) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise BodyError(f"it has more than {most} bytes")
    return body

"""What signed-in operators may do: mute, try outputs, change settings, restart, and see what the camera sees.

Looking needs no more than any page does. Changing needs the token, also on the device itself, and a request that a form
of another site cannot send: JSON, from a page of ours.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge.config import Settings
from edge.config.model import fields
from edge.config.page import changeable, write_page_layer
from edge.control import BadRequestError, ChangeSettings, Command, Commands, RefusedError, command_of
from edge.errors import ConfigError
from edge.messages import message, numbered, together, translated
from edge.sinks.web import texts
from edge.sinks.web.body import read_body
from edge.sinks.web.feed import Feed
from edge.sinks.web.sentences import asked_in, refusal
from edge.status import Status
from edge.values import Image, Person
from edge.vision.aim import Advice, advise

ANSWER_WITHIN = 3.0
"""Timeout for the loop's answer, in seconds; it answers between frames."""
LARGEST_BODY = 16 * 1024
"""In bytes; a zone of 64 corners takes about 2,500."""
OF_THE_EXPOSURE = "camera.exposure"
"""What the names of the exposure's settings begin with."""
DEEPEST = 8
"""Maximum nesting of arrays and objects; a zone has four levels."""
AT_MOST, WITHIN = 20, 10.0
"""Maximum changes by all operators together, and within how many seconds."""

NOBODY = -1
"""No person's number: nothing was looked at yet."""
ADVISE_EVERY = 1.0
"""Interval between two looks at light and distance, in seconds."""

NO_KEY_YET = message("operator.no_token")
NEEDS_SIGN_IN = message("operator.sign_in")
OVERRULED = {"environment": "operator.overruled_by_environment", "command line": "operator.overruled_by_command_line"}
"""What is said of a change that a stronger layer of the settings hides, by the origin of the value in force."""

log = logging.getLogger(__name__)


def _changes(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    changes = asked.get("changes")
    if not isinstance(changes, dict) or not changes:
        raise BadRequestError(message("request.no_changes"))
    return changes


class Steering:
    """The addresses for operators.

    Args:
        feed: Where the loop leaves its status.
        commands: Carries what operators ask to the loop.
        monotonic: Paces them.
    """

    def __init__(self, feed: Feed, commands: Commands, monotonic: Callable[[], float]) -> None:
        self._feed, self._commands, self._monotonic = feed, commands, monotonic
        self._writing = asyncio.Lock()
        self._newest: Settings | None = None
        self._asked_at: list[float] = []
        self._aiming = asyncio.Lock()
        self._advised_at, self._advised_of = 0.0, frozenset({NOBODY})
        self._advised: list[Advice] = []

    def routes(self) -> list[Route]:
        """``/api/control``, ``/api/settings`` and ``/api/aim``."""
        return [
            Route("/api/control", self._control, methods=["POST"]),
            Route("/api/settings", self._settings, methods=["GET", "POST"]),
            Route("/api/aim", self._aim),
        ]

    async def _control(self, request: Request) -> Response:
        """Carry out one command; answers what was done, as a sentence."""
        refused = self._refusal(request)
        if refused:
            return refused
        try:
            said = await self._ask(command_of(await _json(request)))
            return JSONResponse({"said": translated(said, asked_in(request))})
        except BadRequestError as error:
            return refusal(400, error, request)
        except RefusedError as error:
            return refusal(409, error, request)

    async def _settings(self, request: Request) -> Response:
        """Show the settings that may be changed here, or change some: ``{"changes": {"people.zone": []}}``."""
        if request.method != "POST":
            return JSONResponse(self._described(request))
        refused = self._refusal(request)
        if refused:
            return refused
        try:
            said = await self._change(_changes(await _json(request)))
        except BadRequestError as error:
            return refusal(400, error, request)
        except (ConfigError, RefusedError) as error:
            return refusal(409, error, request)
        return JSONResponse({"said": translated(said, asked_in(request)), **self._described(request)})

    async def _aim(self, request: Request) -> Response:
        """Whether light and distance are right, and how large each face is; or why nothing is seen. For operators."""
        refused = may_not(request)
        if refused:
            return refused
        status, settings = self._feed.status, self._in_force()
        if status is None or status.image is None or settings is None:
            trouble = translated(_unseen(status), asked_in(request))
            return JSONResponse({"faces": [], "advice": [], "width": None, "height": None, "trouble": trouble})
        height, width = status.image.shape[:2]
        advice = await self._advice(status.image, status.people, settings)
        faces = [
            {
                "id": person.id,
                "verdict": str(person.verdict),
                "bbox": [round(edge, 1) for edge in person.bbox],
                "pixels": round(person.bbox.short_side),
            }
            for person in status.people
        ]
        said = [{"key": one.key, "text": one.text, "pixels": one.pixels, "needed": one.needed} for one in advice]
        seen = {"faces": faces, "advice": said, "width": width, "height": height}
        return JSONResponse(seen | {"trouble": None})

    async def _advice(self, image: Image, people: Sequence[Person], settings: Settings) -> list[Advice]:
        """What is wrong with light and distance; looked at once for all pages that ask within a second."""
        async with self._aiming:
            now, who = self._monotonic(), frozenset(person.id for person in people)
            if who != self._advised_of or now - self._advised_at >= ADVISE_EVERY:
                boxes = [person.bbox for person in people]
                self._advised = await asyncio.to_thread(advise, image, boxes, settings.config.people.min_face)
                self._advised_at, self._advised_of = now, who
            return self._advised

    async def _change(self, changes: Mapping[str, Any]) -> str:
        """Write the changes, then let the loop use them. One at a time: the last of two operators wins."""
        async with self._writing:
            before = self._in_force()
            if before is None:
                raise RefusedError(message("operator.starting"))
            settings = await asyncio.to_thread(write_page_layer, changes, before)
            said = _changed(changes, settings)
            self._newest = settings
            await self._ask(ChangeSettings(settings, said))
        log.info("%s", said)
        return said

    def _in_force(self) -> Settings | None:
        """The newest settings; those of the status follow one frame later."""
        status = self._feed.status
        return self._newest or (status.settings if status else None)

    async def _ask(self, command: Command) -> str:
        answer: Future[str] = self._commands.ask(command)
        try:
            return await asyncio.to_thread(answer.result, ANSWER_WITHIN)
        except FutureTimeoutError:
            answer.cancel()
            raise RefusedError(message("operator.unanswered")) from None

    def _refusal(self, request: Request) -> Response | None:
        """Why a change is refused: not signed in, or too many changes."""
        refused = may_not(request)
        if refused:
            return refused
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return refusal(415, message("request.not_json"), request)
        now = self._monotonic()
        self._asked_at = [at for at in self._asked_at if now - at < WITHIN]
        if len(self._asked_at) >= AT_MOST:
            return refusal(429, message("operator.too_many", seconds=WITHIN), request)
        self._asked_at.append(now)
        return None

    def _described(self, request: Request) -> dict[str, Any]:
        settings, why_not = self._in_force(), reason(request)
        return {
            "can_change": why_not is None,
            "why_not": why_not and translated(why_not, asked_in(request)),
            "settings": [] if settings is None else [_described(key, settings) for key in self._offered(settings)],
        }

    def _offered(self, settings: Settings) -> Iterator[str]:
        """The settings that may be changed here: the exposure where the camera has one to set, or to revert it."""
        status = self._feed.status
        for key in changeable():
            exposes = status is not None and status.camera.exposes
            if exposes or not key.startswith(OF_THE_EXPOSURE) or settings.origins.get(key) == "page":
                yield key


def reason(request: Request) -> str | None:
    """Why the sender may change nothing; None if they may."""
    visitor = request.scope["visitor"]
    if visitor.signed_in:
        return None
    return NEEDS_SIGN_IN if visitor.token_exists else NO_KEY_YET


def _unseen(status: Status | None) -> str:
    """Why there is no picture."""
    if status is None:
        return message("operator.starting")
    return status.camera.trouble or message("camera.none_yet", camera=status.camera.name)


def may_not(request: Request) -> Response | None:
    """The answer to somebody who is not signed in; None to somebody who is."""
    why = reason(request)
    return refusal(403, why, request) if why else None


def _described(key: str, settings: Settings) -> dict[str, Any]:
    """One setting, for a form: its value, its origin, what it means, what it may be."""
    section, _, name = key.partition(".")
    field = fields()[key]
    value = getattr(getattr(settings.config, section), name)
    limits = {type(limit).__name__.lower(): limit for limit in field.metadata}
    return {
        "key": key,
        "value": value,
        "default": field.get_default(call_default_factory=True),
        "origin": settings.origins.get(key, "default"),
        "description": field.description,
        "kind": _kind(key, field.get_default(call_default_factory=True)),
        "minimum": next((getattr(limits[k], k) for k in ("ge", "gt") if k in limits), None),
        "maximum": next((getattr(limits[k], k) for k in ("le", "lt") if k in limits), None),
        "choices": _choices(key, field),
    }


def _kind(key: str, default: Any) -> str:
    if key == "people.zone":
        return "zone"
    return "text" if isinstance(default, str) else "number"


def _choices(key: str, field: FieldInfo) -> list[Any] | None:
    """What a setting may be, where that is a list."""
    if key == "web.language":
        return [*texts.languages(), texts.AUTO]
    return list(get_args(field.annotation)) if get_origin(field.annotation) is Literal else None


def _plainly(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _changed(changes: Mapping[str, Any], settings: Settings) -> str:
    """Say what was changed: ``Changed: alerts.quiet_hours = 22:00-06:30; people.zone reverted.``."""
    parts = []
    for key, value in changes.items():
        section, _, name = key.partition(".")
        now = getattr(getattr(settings.config, section), name)
        overruled = settings.origins.get(key) not in (None, "page") and value is not None
        shown = numbered("operator.corners", len(now)) if key == "people.zone" else _plainly(now)
        told = message("operator.reverted", key=key) if value is None else message("operator.set", key=key, value=shown)
        parts.append(message(OVERRULED[settings.origins[key]], change=told) if overruled else told)
    return message("operator.changed", changes=together(parts, between="; "))


async def _json(request: Request) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        BadRequestError: It is anything else, too large or too slow.
    """
    try:
        said = json.loads(await read_body(request, LARGEST_BODY))
    except (ValueError, RecursionError) as error:
        raise BadRequestError(message("request.unreadable")) from error
    if not isinstance(said, dict):
        raise BadRequestError(message("request.no_object"))
    if not _is_plain(said, DEEPEST):
        raise BadRequestError(message("request.too_deep"))
    return said


def _is_plain(value: Any, deepest: int) -> bool:
    """Whether values lie within each other at most so deeply, and all text can be written: JSON can name surrogates."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() == value
    inside = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return not inside or (deepest > 0 and all(_is_plain(one, deepest - 1) for one in inside))

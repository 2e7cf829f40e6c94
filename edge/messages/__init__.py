"""Sentences to people that know what they say: an identifier, values, and a text in each language.

A ``Message`` is a string, its text in English, so logs, events and programs need not know of it. What talks to people
in their own language asks ``translated``. Adding a language is adding a file next to this one.

    >>> silent = message("camera.silent", camera="usb:0")
    >>> silent
    'usb:0 sends no pictures.'
    >>> translated(silent, "fr")
    'usb:0 n’envoie pas d’images.'
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ENGLISH = "en"
FOLDER = Path(__file__).parent


class Message(str):
    """A sentence in English that can be said in other languages.

    Attributes:
        key: Its identifier; empty for several sentences together.
        values: What its template is filled with; may be messages themselves.
    """

    __slots__ = ("key", "values")
    key: str
    values: Mapping[str, Any]

    def __new__(cls, key: str, values: Mapping[str, Any]) -> Message:
        """The sentence ``key``, filled with ``values``."""
        made = super().__new__(cls, _filled(key, values, ENGLISH))
        made.key, made.values = key, values
        return made

    def __str__(self) -> str:
        """Itself, so that an error that carries a message still does after ``str(error)``."""
        return self

    def __reduce__(self) -> tuple[type[Message], tuple[str, Mapping[str, Any]]]:
        return Message, (self.key, self.values)


def message(key: str, /, **values: Any) -> Message:
    """The sentence with this identifier.

    Raises:
        KeyError: There is no such sentence.
    """
    return Message(key, values)


def numbered(key: str, count: int, /, **values: Any) -> Message:
    """The sentence about one thing (``key.one``) or about several."""
    return Message(f"{key}.one" if count == 1 else key, {"count": count, **values})


def lasting(seconds: float) -> Message:
    """A time in whole hours or minutes, in seconds where it is neither: ``5 min``."""
    for unit, key in ((3600, "time.hours"), (60, "time.minutes")):
        if seconds % unit == 0:
            return message(key, count=seconds / unit)
    return message("time.seconds", count=seconds)


def together(sentences: Iterable[str], between: str = " ") -> str:
    """Several sentences as one text."""
    parts = tuple(sentences)
    return parts[0] if len(parts) == 1 else Message("", {"parts": parts, "between": between})


def translated(text: str, language: str) -> str:
    """``text`` in a language, English where that is unknown; as it is where it is no message."""
    language = language if language in languages() else ENGLISH
    return _filled(text.key, text.values, language) if isinstance(text, Message) else text


def identifier(text: str) -> str | None:
    """What a message is known by; None for other texts."""
    return text.key or None if isinstance(text, Message) else None


@cache
def languages() -> frozenset[str]:
    """Codes of the languages there are."""
    return frozenset(path.stem for path in FOLDER.glob("*.json"))


@cache
def sentences(language: str) -> Mapping[str, str]:
    """Templates by identifier; English where the language lacks one."""
    own: dict[str, str] = json.loads((FOLDER / f"{language}.json").read_text("utf-8"))
    return own if language == ENGLISH else {**sentences(ENGLISH), **own}


def _filled(key: str, values: Mapping[str, Any], language: str) -> str:
    if not key:
        between: str = values["between"]
        return between.join(translated(part, language) for part in values["parts"])
    said = {name: translated(value, language) if isinstance(value, str) else value for name, value in values.items()}
    return sentences(language)[key].format(**said)

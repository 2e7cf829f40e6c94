"""All texts of the pages, one JSON file per language: a new language is a new file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from edge.sinks.web import verdicts
from edge.verdicts import FALLBACK_LANGUAGE

FOLDER = Path(__file__).parent / "texts"
FALLBACK = FALLBACK_LANGUAGE
AUTO = "auto"

Texts = Mapping[str, str]


@cache
def languages() -> tuple[str, ...]:
    """Codes of the languages there are: ``en``, ``fr``, ..."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


@cache
def texts(language: str) -> Texts:
    """The words of a language by key."""
    words: dict[str, str] = json.loads((FOLDER / f"{language}.json").read_text("utf-8"))
    return {**words, **verdicts.words(language)}


def choose(setting: str, asked: str | None, accepted: str) -> str:
    """The language of a page.

    Args:
        setting: ``web.language``.
        asked: By the page's address (``?lang=fr``), if it was.
        accepted: The browser's ``Accept-Language`` header.
    """
    wanted = [asked or "", *(_by_preference(accepted) if setting == AUTO else [setting])]
    return next((language for language in wanted if language in languages()), FALLBACK)


def _by_preference(accepted: str) -> Iterable[str]:
    """Language codes of an Accept-Language header, the most wanted first (RFC 9110, 12.5.4)."""
    weighted = []
    for part in accepted.split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weighted.append((float(quality or 1), tag.split("-")[0].strip().lower()))
        except ValueError:
            continue
    return [tag for weight, tag in sorted(weighted, key=lambda one: -one[0]) if weight > 0]

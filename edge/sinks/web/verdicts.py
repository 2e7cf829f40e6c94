"""What the pages need of the table of verdicts: words, colours, drawings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.verdicts import FALLBACK_LANGUAGE, Verdict

STYLESHEET = "verdicts.css"


def words(language: str) -> Mapping[str, str]:
    """Words by the keys that the pages use; in English where the table lacks the language."""
    said: dict[str, str] = {}
    for verdict in Verdict:
        row = verdict.row.words.get(language) or verdict.row.words[FALLBACK_LANGUAGE]
        said[f"operator.verdict.{verdict}"] = row.title
        said[f"kiosk.{verdict}.headline"] = row.headline
        said[f"kiosk.{verdict}.detail"] = row.detail
    return said


def drawings() -> list[dict[str, Any]]:
    """For the scripts, JSON-ready, in the order of display."""
    return [
        {
            "key": str(verdict),
            "alarming": verdict.alarming,
            "welcome": verdict.welcome,
            "figure": verdict.row.figure,
        }
        for verdict in Verdict
    ]


def stylesheet() -> str:
    """A custom property for charts, and the kiosk's colours while its message is that verdict."""
    rules = []
    for verdict in Verdict:
        colours = verdict.row.colours
        rules += [
            f".{verdict} {{ --on-white: {colours.chart}; --on-black: {colours.picture};"
            f" --badge: {colours.ink}; --sign: {colours.ground}; }}",
            f'body[data-mode="{verdict}"] {{ --ground: {colours.ground}; --deep: {colours.deep};'
            f" --ink: {colours.ink}; --accent: {colours.accent}; }}",
        ]
    return "\n".join(rules) + "\n"

"""The time zone of the environment, which people mistype: ``TZ=Europe/Berln``."""

from __future__ import annotations

import os
import re
import time
from datetime import datetime
from pathlib import Path

WITH_OFFSET = re.compile(r"(<[^>]+>|[A-Za-z]{3,})[+-]?\d")
"""A zone by its distance from UTC, such as ``CET-1CEST``; everything else names a file."""

UTC = re.compile(r"(Etc/)?(UTC|GMT|UCT|Zulu|Universal|Greenwich)", re.IGNORECASE)

FOLDER = Path("/usr/share/zoneinfo")


def settle() -> str | None:
    """Take UTC where ``TZ`` is no time zone; what is wrong with it, as a sentence.

    Local times are for people (quiet hours, tables), so a typing error stops nothing.
    """
    name = os.environ.get("TZ", "").removeprefix(":")
    fault = _fault(name)
    if fault is None:
        return None
    os.environ["TZ"] = "UTC"
    time.tzset()
    return f"TZ={name!r} {fault}, so local times are UTC; name a zone such as Europe/Berlin."


def _fault(name: str) -> str | None:
    try:
        datetime.now().astimezone()
    except ValueError:
        return "is a day or more away from UTC"
    known = not name or UTC.fullmatch(name) or WITH_OFFSET.match(name)
    if known or time.timezone or time.daylight or _has_file(name):
        return None
    return "is not a time zone that this system knows"


def _has_file(name: str) -> bool:
    try:
        return (Path(os.environ.get("TZDIR", FOLDER)) / name).is_file()
    except (OSError, ValueError):
        return False

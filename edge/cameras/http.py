"""A network camera over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.cameras.address import scheme_of
from edge.cameras.stream import WAITS, Stream, examine

if TYPE_CHECKING:
    from edge.cameras.sources import Place

__all__ = ["WAITS", "examine", "matches", "open_source"]


def matches(source: str) -> bool:
    return scheme_of(source) in ("http", "https")


def open_source(source: str, place: Place) -> Stream:
    return Stream(source, place.clock)

"""Doors that are served, to the device or to the network, and their clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edge.sinks.web import token
from tests.sinks.web.helpers import LONG
from tests.stand_ins.browser import browser
from tests.stand_ins.screens import Door, open_door

__all__ = ["browser"]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with open_door(tmp_path) as opened:
        yield opened


@pytest.fixture
def client(door: Door) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=door.url, timeout=LONG) as opened:
        yield opened


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, str]:
    """A token's file, and the token."""
    path = tmp_path / "state" / "web-token"
    return path, token.make(path)


@pytest.fixture
def lan(tmp_path: Path, made: tuple[Path, str]) -> Iterator[Door]:
    """A door that is open to the network; a request for any but a loopback name counts as from there."""
    with open_door(tmp_path, {"web.host": "0.0.0.0", "web.token_file": str(made[0])}) as opened:
        yield opened


@pytest.fixture
def stranger(lan: Door) -> Iterator[httpx.Client]:
    """A browser elsewhere in the building."""
    with httpx.Client(base_url=lan.url, timeout=LONG, headers={"Host": "door1.local:8080"}) as opened:
        yield opened

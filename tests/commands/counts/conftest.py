"""A store with visits in Berlin's time, and somebody who asks for them on the command line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from edge import cli
from tests.commands.counts.helpers import BADLY, BARE, MASKED, MONDAY, UNSURE, Ask, fill
from tests.sinks.counts.conftest import clock, open_store

__all__ = ["clock", "open_store"]


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An hour ahead of UTC, two from 30 March 2025."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "counts.db"


@pytest.fixture
def filled(path: Path) -> Path:
    """Three on a Monday, one on the Tuesday, two a week later, one in April."""
    fill(
        path,
        (MONDAY, MASKED),
        (MONDAY + timedelta(minutes=5), BARE),
        (MONDAY + timedelta(hours=2), UNSURE),
        (MONDAY + timedelta(days=1), MASKED),
        (MONDAY + timedelta(days=7), MASKED),
        (MONDAY + timedelta(days=7, minutes=1), BADLY),
        (MONDAY + timedelta(days=30), MASKED),
    )
    return path


@pytest.fixture
def ask(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.setenv("MASKGATE_COUNTS_PATH", str(path))
    monkeypatch.setenv("MASKGATE_MQTT_DOOR", "main-gate")

    def ask(*arguments: str, code: int = 0) -> str:
        assert cli.main(["counts", *arguments]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return ask

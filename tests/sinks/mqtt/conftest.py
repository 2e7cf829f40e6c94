"""A broker, listeners and doors that the tests of MQTT share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.clock import SystemClock
from edge.config import Settings, load
from edge.control import Commands
from edge.sinks.mqtt import Publisher, publisher
from edge.status import CameraState, CountsState, Status
from edge.values import Verdict
from tests.sinks.mqtt.helpers import ABOUT, Door, OpenDoor
from tests.stand_ins.broker import Broker, Listener


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    started = Broker(tmp_path).start()
    yield started
    started.stop()


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    opened: list[Listener] = []

    def listen(port: int, **account: str) -> Listener:
        opened.append(Listener(port, **account))
        return opened[-1]

    yield listen
    for listener in opened:
        listener.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a test, not of a door."""
    monkeypatch.setattr(publisher, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(publisher, "LONGEST_PAUSE", 0.3)


@pytest.fixture
def open_door(quick: None, tmp_path: Path) -> Iterator[OpenDoor]:
    opened: list[Publisher] = []

    def open_door(
        port: int,
        before: Mapping[Verdict, int] | None = None,
        settings: Settings | None = None,
        counted: bool = True,
        **mqtt: Any,
    ) -> Door:
        given = {"host": "127.0.0.1", "port": port, "door": "front"} | mqtt
        settings = settings or load(environment={}, overrides={f"mqtt.{key}": value for key, value in given.items()})
        one = Publisher(settings, SystemClock(), ABOUT, Commands(), counted)
        opened.append(one)
        now = time.monotonic()
        stored = CountsState(Path("counts.db"), None, before) if counted else None
        return Door(one, Status(now, now, CameraState("a camera"), counts=stored, counted=counted))

    yield open_door
    for one in opened:
        one.close()

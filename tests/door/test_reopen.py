"""Settings that the camera or the outputs were opened with: the door opens again, and nothing is lost by that."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edge.config import load
from edge.control import ChangeSettings, Command, Commands, Mute, Stop
from edge.door import wiring as daemon
from tests.door.fake_door import BARE, Doorway, FakeAlert, live, stored_visits


class Operator:
    """Somebody bare stands at a door, and an operator asks for things.

    Attributes:
        opened: The queue of each opening of the door, the newest last.
        code: The exit code.
        events: What happened.
        visits: What is stored.
    """

    def __init__(self, store: Path) -> None:
        self._store, self._log = store, store.with_name("log")
        self.opened: list[Commands] = []

    def queue(self) -> Commands:
        """For the next opening of the door."""
        self.opened.append(Commands())
        return self.opened[-1]

    def change(self, key: str, value: object) -> ChangeSettings:
        """A change of one setting."""
        overrides = {"counts.path": self._store, "camera.stale_after": 0.3, key: value}
        return ChangeSettings(load(environment={"HOME": str(self._store.parent)}, overrides=overrides), "Changed.")

    def ask(self, commands: Sequence[Command], then: Callable[[], bool] | None = None) -> None:
        """Run the door; ask once there is a verdict. It stops when ``then`` is true, if that is given."""

        def ask() -> None:
            for command in commands:
                self.opened[-1].ask(command)

        def stop() -> None:
            deadline = time.monotonic() + 15
            while then and not then() and time.monotonic() < deadline:
                time.sleep(0.01)
            self.opened[-1].ask(Stop())

        steps = [('"verdict"', ask), *([('"summary"', stop)] if then else [])]
        self.code, self.events = live(self._store, self._log, *steps)

    def verdicts(self) -> int:
        """So far."""
        return self._log.read_text().count('"event": "verdict"')


@pytest.fixture
def operator(doorway: Doorway, store: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    doorway.scene = BARE
    operator = Operator(store)
    monkeypatch.setattr(daemon, "Commands", operator.queue)
    return operator


@pytest.mark.parametrize(("key", "value"), [("camera.exposure", "backlight"), ("alerts.on_time", 0.9)])
@pytest.mark.usefixtures("alert")
def test_open_visits_are_counted(operator: Operator, store: Path, key: str, value: object) -> None:
    operator.ask([operator.change(key, value)], then=lambda: operator.verdicts() == 2)
    assert (operator.code, len(operator.opened)) == (0, 2)
    assert operator.events.count("visit_started") == operator.events.count("visit_ended") == 2
    assert stored_visits(store) == ["without_mask", "without_mask"]


def test_mutes_go_on(operator: Operator, alert: FakeAlert, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bool] = []
    monkeypatch.setattr(type(alert), "hush", lambda self, on: heard.append(on))
    operator.ask([Mute(300), operator.change("camera.exposure", "backlight")], then=lambda: len(heard) == 2)
    assert heard == [True, True]


@pytest.mark.usefixtures("alert")
def test_stops_meanwhile_are_heeded(operator: Operator) -> None:
    operator.ask([operator.change("camera.exposure", "backlight"), Stop()])
    assert (operator.code, len(operator.opened), operator.events[-1]) == (0, 1, "summary")

"""The one protocol of all sinks: who is told what, how often, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from edge.config import load
from edge.control import Commands
from edge.sinks import Sink, together
from edge.sinks.registry import SINKS, Entry, Opening, open_sinks
from edge.sinks.together import Sinks
from edge.status import CameraState, SourceKind, Status
from edge.values import Event, EventKind
from tests.stand_ins.clock import ManualClock

EVENT = Event(EventKind.CAMERA_BACK, 0.0)


class Listener(Sink):
    """Remembers what it heard."""

    def __init__(self, every: float = 1.0, trouble: str | None = None) -> None:
        self.every, self.trouble = every, trouble
        self.shown: list[Status] = []
        self.told: list[Event] = []
        self.closed = 0

    def tell(self, events: Sequence[Event]) -> None:
        self.told += events

    def show(self, status: Status) -> None:
        self.shown.append(status)

    def close(self) -> None:
        self.closed += 1


class Hanging(Listener):
    """Never comes to its end, unless a test lets it."""

    name = "a hanging part"

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def close(self) -> None:
        self.released.wait(30)
        self.closed += 1


def status(at: float = 0.0) -> Status:
    return Status(at, 0.0, CameraState("a camera"))


def play(sinks: Sinks, seconds: float, fps: float = 16.0) -> int:
    """Show a status wherever one is due; how many had to be built."""
    built = 0
    for frame in range(round(seconds * fps)):
        if sinks.due(frame / fps):
            built += 1
            sinks.show(status(frame / fps), frame / fps)
    return built


class TestStatuses:
    def test_each_gets_its_own_rate(self) -> None:
        often, seldom = Listener(0.125), Listener(1.0)
        assert play(Sinks([often, seldom], Commands()), 10) == len(often.shown)
        assert (len(often.shown), len(seldom.shown)) == (80, 10)

    def test_unwanted_ones_are_not_built(self) -> None:
        assert play(Sinks([Listener(5.0)], Commands()), 10) == 2
        assert play(Sinks([], Commands()), 10) == 0

    def test_events_trigger_a_status(self) -> None:
        seldom = Listener(60.0)
        sinks = Sinks([seldom], Commands())
        sinks.show(status(), 0.0)
        assert not sinks.due(1.0)
        sinks.tell([EVENT])
        assert sinks.due(1.0)
        sinks.tell([])
        sinks.show(status(1.0), 1.0)
        assert not sinks.due(1.1)
        assert seldom.told == [EVENT]

    def test_they_hold_the_sinks_own_facts(self) -> None:
        class Broker(Listener):
            def contribute(self, status: Status) -> Status:
                return replace(status, broker=True)

        first, broker = Listener(), Broker(trouble="The broker refuses this door.")
        Sinks([first, broker], Commands()).show(replace(status(), troubles=("The pins hang.",)), 0.0)
        assert first.shown[0].broker is True
        assert first.shown[0].troubles == ("The pins hang.", "The broker refuses this door.")


class TestEnd:
    def test_a_hanging_one_blocks_no_other(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(together, "FAREWELL", 0.2)
        hanging, other = Hanging(), Listener()
        sinks = Sinks([hanging, other], Commands())
        sinks.close()
        sinks.close()
        assert (hanging.closed, other.closed) == (0, 1)
        assert caplog.messages == ["Not finished in time, and left behind: a hanging part."]
        hanging.released.set()

    def test_recordings_wait_until_stopped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(together, "FAREWELL", 0.1)
        slow, commands = Hanging(), Commands()
        threading.Timer(0.5, slow.released.set).start()
        Sinks([slow], commands, patient=True).close()
        assert slow.closed == 1

        commands.stopped.set()
        hanging = Hanging()
        Sinks([hanging], commands, patient=True).close()
        assert hanging.closed == 0
        hanging.released.set()


class TestRegistry:
    def opening(self, **changes: Any) -> Opening:
        overrides = {"mqtt.host": changes.pop("host", ""), "web.port": 0, "notify.webhook": changes.pop("hook", None)}
        return Opening(load(environment={}, overrides=overrides), ManualClock(), Commands(), **changes)

    def wanted(self, **changes: Any) -> list[str]:
        opening = self.opening(**changes)
        return [entry.module.removeprefix("edge.sinks.") for entry in SINKS if entry.wanted(opening)]

    def test_a_camera_counts_and_serves_pages(self) -> None:
        assert self.wanted() == ["counts.keeper", "terminal", "metrics", "web.sink", "answering"]

    def test_full_speed_recordings_do_neither(self) -> None:
        recording = {"kind": SourceKind.RECORDING, "watched": False, "counted": False}
        assert self.wanted(**recording) == ["terminal"]

    def test_settings_and_options_add_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
        wanted = self.wanted(host="broker", hook="http://localhost/", events="-", window=True)
        assert wanted == [entry.module.removeprefix("edge.sinks.") for entry in SINKS]

    def test_a_new_sink_needs_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = ModuleType("a_sink_of_this_test")
        made: list[Opening] = []

        def open_sink(opening: Opening) -> Sink:
            made.append(opening)
            return Listener()

        module.open_sink = open_sink  # type: ignore[attr-defined]
        monkeypatch.setitem(__import__("sys").modules, module.__name__, module)
        always: Callable[[Opening], bool] = lambda _: True  # noqa: E731
        entries = (Entry(module.__name__, always), Entry(module.__name__, always))
        first, second = open_sinks(self.opening(), entries)
        assert isinstance(second, Listener)
        assert [opening.before for opening in made] == [(), (first,)]

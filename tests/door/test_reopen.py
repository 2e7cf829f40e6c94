"""An operator changes a setting while somebody stands at the door: nothing ends by that, and nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from edge.alerts.policy import AlertPolicy
from edge.config import CameraSettings, Settings, load
from edge.control import ChangeSettings, Command, Commands, Mute, Stop
from edge.door import wiring as daemon
from edge.door.loop import Door
from edge.people import PeopleTracker
from edge.sinks import Sink
from edge.sinks.together import Sinks
from edge.status import Status
from edge.values import Event, EventKind, Frame
from tests.door.fake_door import BARE, NOBODY, Doorway, FakeAlert, FakePipeline, live, picture, stored_visits
from tests.stand_ins.clock import ManualClock

PATIENT = {"camera.stale_after": 30, "camera.reopen_after": 0.02, "people.lost_after": 30}
"""Nothing is late on a busy machine."""


def changed(store: Path, key: str, value: object) -> ChangeSettings:
    overrides = {"counts.path": store, **PATIENT, key: value}
    return ChangeSettings(load(environment={"HOME": str(store.parent)}, overrides=overrides), "Changed.")


class Operator:
    """Somebody bare stands at a door, and an operator asks for things once there is a verdict."""

    def __init__(self, doorway: Doorway, store: Path) -> None:
        self._doorway, self._store = doorway, store
        self.opened: list[Commands] = []

    def queue(self) -> Commands:
        """For the next opening of the door."""
        self.opened.append(Commands())
        return self.opened[-1]

    def ask(self, *commands: Command, exposures: Sequence[str] = ()) -> list[str]:
        """The events of a run that goes on until the camera was opened with ``exposures`` and ten frames came."""

        def ask() -> None:
            for command in commands:
                self.opened[-1].ask(command)

        def stop() -> None:
            deadline = time.monotonic() + 15
            while self._doorway.exposures != list(exposures) and time.monotonic() < deadline:
                time.sleep(0.01)
            enough = self._doorway.sequence + 10
            while self._doorway.sequence < enough and time.monotonic() < deadline:
                time.sleep(0.01)
            self.opened[-1].ask(Stop())

        steps = [('"verdict"', ask), ('"operator"', stop)]
        code, events = live(self._store, self._store.with_name("log"), *steps, **PATIENT)
        assert (code, len(self.opened), self._doorway.exposures) == (0, 1, list(exposures))
        return events


@pytest.fixture
def operator(doorway: Doorway, store: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    doorway.scene = BARE
    operator = Operator(doorway, store)
    monkeypatch.setattr(daemon, "Commands", operator.queue)
    return operator


@pytest.mark.parametrize(
    ("change", "exposures"), [(("camera.exposure", "backlight"), ["backlight"]), (("alerts.on_time", 0.9), [])]
)
def test_visits_go_on(
    operator: Operator, store: Path, alert: FakeAlert, change: tuple[str, object], exposures: list[str]
) -> None:
    events = operator.ask(changed(store, *change), exposures=exposures)
    assert [events.count(kind) for kind in ("visit_started", "visit_ended", "summary")] == [1, 1, 1]
    assert stored_visits(store) == ["without_mask"]
    assert alert.told == ["alarm on", "alarm off", "closed"]


def test_mutes_go_on(operator: Operator, store: Path, alert: FakeAlert, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bool] = []
    monkeypatch.setattr(type(alert), "hush", lambda self, on: heard.append(on))
    operator.ask(Mute(300), changed(store, "camera.exposure", "backlight"), exposures=["backlight"])
    assert heard == [True]


BLIND = 2.5
"""How long the camera takes to open again, in seconds: longer than people may be out of sight."""


class Scene:
    """A camera on a clock of its own: somebody for two seconds, nothing for ``BLIND`` seconds, and them again."""

    name = "scene"
    live = paced = True
    hung = False
    dropped = 0
    trouble: str | None = None

    def __init__(self, before_the_gap: Callable[[], object]) -> None:
        self.clock = ManualClock()
        self.ended = False
        self.exposed: list[CameraSettings] = []
        self._frames, self._before_the_gap = self._play(), before_the_gap

    def _play(self) -> Iterator[Frame | None]:
        yield from self._show(BARE, 2.0)
        self._before_the_gap()
        yield from self._show(BARE, 0.05)
        self.clock.advance(BLIND)
        yield None
        yield from self._show(BARE, 2.0)
        yield from self._show(NOBODY, 3.0)

    def _show(self, colour: tuple[int, int, int], seconds: float) -> Iterator[Frame]:
        for number in range(round(seconds * 20)):
            self.clock.advance(0.05)
            yield Frame(picture(colour), self.clock.monotonic(), number)

    def next(self, timeout: float) -> Frame | None:
        del timeout
        frame = next(self._frames, None)
        self.ended = frame is None and self.clock.monotonic() > 2 + BLIND + 2
        return frame

    def pace(self, interval: float) -> None:
        """All are given."""

    def events(self) -> list[Event]:
        return []

    def now(self) -> float:
        return self.clock.monotonic()

    def close(self) -> None:
        """Nothing is held."""


class Diary(Sink):
    """Remembers what happened."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.cameras_that_expose: set[bool] = set()

    def tell(self, events: Sequence[Event]) -> None:
        self.events += events

    def show(self, status: Status) -> None:
        self.cameras_that_expose.add(status.camera.exposes)


def visits(tmp_path: Path, change: str | None) -> list[tuple[EventKind, int | None]]:
    """Beginnings and ends of visits, of a door where ``change`` is made just before the gap."""
    settings, commands, diary = _settings(tmp_path, "normal"), Commands(), Diary()

    def ask() -> None:
        if change:
            commands.ask(ChangeSettings(_settings(tmp_path, change), "Changed."))

    scene = Scene(ask)
    door = Door(
        source=scene,
        pipeline=FakePipeline(),
        people=PeopleTracker(settings.config.people),
        alerts=AlertPolicy(settings.config.alerts, FakeAlert(), scene.clock),
        sinks=Sinks([diary], commands),
        clock=scene.clock,
        commands=commands,
        settings=settings,
        expose=scene.exposed.append,
    )
    door.run()
    assert [camera.exposure for camera in scene.exposed] == ([change] if change else [])
    assert diary.cameras_that_expose == {True}
    told = (EventKind.VISIT_STARTED, EventKind.VISIT_ENDED)
    return [(event.kind, event.person) for event in diary.events if event.kind in told]


def _settings(home: Path, exposure: str) -> Settings:
    return load(environment={"HOME": str(home)}, overrides={"camera.exposure": exposure})


def test_opening_the_camera_is_no_absence(tmp_path: Path) -> None:
    assert visits(tmp_path, "backlight") == [(EventKind.VISIT_STARTED, 1), (EventKind.VISIT_ENDED, 1)]


def test_any_other_gap_is_an_absence(tmp_path: Path) -> None:
    assert visits(tmp_path, None) == [
        (EventKind.VISIT_STARTED, 1),
        (EventKind.VISIT_ENDED, 1),
        (EventKind.VISIT_STARTED, 2),
        (EventKind.VISIT_ENDED, 2),
    ]


def test_page_changes_only_the_exposure() -> None:
    """Of a camera's settings; any other would need more than what the door does about an exposure."""
    fields = CameraSettings.model_fields.items()
    assert {name for name, field in fields if (field.json_schema_extra or {}).get("on_page")} == {  # type: ignore[union-attr]
        "exposure",
        "exposure_value",
    }

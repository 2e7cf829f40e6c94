"""What an operator asks of the outputs: mute, unmute, try one; through the queue, the policy and real (mock) pins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from edge.alerts import pins as pins_module
from edge.alerts.choose import open_alert
from edge.alerts.policy import AlertPolicy
from edge.config import AlertSettings, Settings, load
from edge.control import (
    MOST_WAITING,
    ChangeSettings,
    Command,
    Commands,
    Mute,
    RefusedError,
    Restart,
    Stop,
    TryOutput,
    Unmute,
)
from edge.door.operator import obey
from edge.values import BBox, Person, Verdict
from tests.alerts.test_pins import wait_until
from tests.nonempty import some
from tests.stand_ins.clock import ManualClock

BARE = Person(1, BBox(0, 0, 80, 100), Verdict.WITHOUT_MASK, 0.0, 0.0)
NIGHT = datetime(2026, 1, 5, 23, 30, tzinfo=timezone.utc)
LED, GREEN, BUZZER, RELAY = 17, 22, 27, 5


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Any]]:
    """gpiozero's simulated pins by BCM number; a trial is short."""
    monkeypatch.setattr(pins_module, "TRIAL", 0.2)
    factory = MockFactory(pin_class=MockPWMPin)
    before, gpiozero.Device.pin_factory = gpiozero.Device.pin_factory, factory
    yield lambda number: factory.pin(f"GPIO{number}")
    factory.reset()
    gpiozero.Device.pin_factory = before


class Desk:
    """A door's outputs, and the queue that leads to them."""

    def __init__(self, clock: ManualClock | None = None, **settings: Any) -> None:
        given = {"output": "gpio", "relay_pin": RELAY, "duration": 5.0, "refractory": 0.0} | settings
        self.settings = AlertSettings(**given)
        self.alerts = AlertPolicy(self.settings, open_alert(self.settings), clock or ManualClock())
        self.adopted: list[Settings] = []
        self.commands = Commands()

    def adopt(self, settings: Settings) -> None:
        self.adopted.append(settings)

    def ask(self, command: Command, at: float = 0.0) -> str:
        answer = self.commands.ask(command)
        obey(self.commands, self, at)
        return answer.result(timeout=0)


@pytest.fixture
def open_desk(pins: Callable[[int], Any]) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def open_one(*args: Any, **settings: Any) -> Desk:
        desks.append(Desk(*args, **settings))
        return desks[-1]

    yield open_one
    for desk in desks:
        desk.alerts.close()


class TestMute:
    def test_it_silences_only_the_buzzer(self, pins: Callable[[int], Any], open_desk: Callable[..., Desk]) -> None:
        desk = open_desk()
        assert desk.ask(Mute(300)) == "Buzzer and sound are muted for 5 min."
        desk.alerts.update([], [BARE], 1.0)
        wait_until(lambda: pins(LED).state)
        assert not pins(BUZZER).state
        assert desk.alerts.state(1.0).muted_until == 300.0
        assert not desk.alerts.state(1.0).audible

    def test_it_ends_by_itself(self, open_desk: Callable[..., Desk]) -> None:
        desk = open_desk()
        desk.ask(Mute(10))
        desk.alerts.update([], [], 10.5)
        state = desk.alerts.state(10.5)
        assert state.muted_until is None
        assert state.audible

    def test_unmuting_resumes_a_running_alarm(self, pins: Callable[[int], Any], open_desk: Callable[..., Desk]) -> None:
        desk = open_desk()
        desk.ask(Mute())
        desk.alerts.update([], [BARE], 1.0)
        wait_until(lambda: pins(LED).state)
        assert desk.ask(Unmute(), at=2.0) == "Buzzer and sound are on again."
        wait_until(lambda: pins(BUZZER).state)

    def test_it_lasts_as_configured_by_default(self, open_desk: Callable[..., Desk]) -> None:
        desk = open_desk(mute_for=45.0)
        desk.ask(Mute(), at=100.0)
        assert desk.alerts.state(100.0).muted_until == 145.0

    def test_quiet_hours_outlast_the_mute(self, open_desk: Callable[..., Desk]) -> None:
        here = NIGHT.astimezone()
        desk = open_desk(ManualClock(NIGHT), quiet_hours=f"{here:%H}:00-{(here.hour + 1) % 24:02}:00")
        assert desk.ask(Unmute()) == "They stay silent: these are quiet hours."
        assert desk.alerts.state(0.0).quiet_hours
        assert not desk.alerts.state(0.0).audible

    @pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 86401])
    def test_a_senseless_length_is_refused(self, seconds: float) -> None:
        with pytest.raises(RefusedError, match="A mute lasts from"):
            Mute(seconds)


class TestTryOutput:
    @pytest.mark.parametrize(("kind", "pin"), [("led", LED), ("welcome", GREEN), ("buzzer", BUZZER)])
    def test_one_output_comes_on_briefly(
        self, pins: Callable[[int], Any], open_desk: Callable[..., Desk], kind: Any, pin: int
    ) -> None:
        desk = open_desk()
        assert desk.ask(TryOutput(kind)).startswith("Tried: ")
        wait_until(lambda: pins(pin).state)
        assert not any(pins(other).state for other in some({LED, GREEN, BUZZER, RELAY} - {pin}))
        wait_until(lambda: not pins(pin).state)
        assert not desk.alerts.sounding

    def test_a_test_sounds_while_muted(self, pins: Callable[[int], Any], open_desk: Callable[..., Desk]) -> None:
        desk = open_desk()
        desk.ask(Mute(60))
        desk.ask(TryOutput("buzzer"))
        wait_until(lambda: pins(BUZZER).state)

    def test_a_relay_waits_for_confirmation(self, pins: Callable[[int], Any], open_desk: Callable[..., Desk]) -> None:
        desk = open_desk()
        with pytest.raises(RefusedError, match="may open a door"):
            desk.ask(TryOutput("relay"))
        assert not pins(RELAY).state
        assert desk.ask(TryOutput("relay", confirmed=True)) == f"Tried: relay on pin {RELAY}."
        wait_until(lambda: pins(RELAY).state)
        wait_until(lambda: not pins(RELAY).state)

    def test_a_missing_output_is_named(self, open_desk: Callable[..., Desk]) -> None:
        with pytest.raises(RefusedError, match=r"This door has no sound; alerts\.sound names none"):
            open_desk().ask(TryOutput("sound"))
        with pytest.raises(RefusedError, match=r"There is no output 'siren'; there are: led, "):
            TryOutput("siren")  # type: ignore[arg-type]


class TestState:
    def test_it_lists_what_is_wired(self, open_desk: Callable[..., Desk]) -> None:
        state = open_desk(buzzer_pin=-1).alerts.state(0.0)
        assert [output.kind for output in state.outputs] == ["led", "welcome", "relay"]
        assert not state.audible

    def test_unplayable_sound_is_listed_with_trouble(
        self, open_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shutil.which", lambda _: None)
        desk = open_desk(sound="tone", buzzer_pin=-1)
        (sound,) = [output for output in desk.alerts.state(0.0).outputs if output.kind == "sound"]
        assert sound.trouble
        assert "there is no aplay" in sound.trouble
        assert not desk.alerts.state(0.0).audible
        with pytest.raises(RefusedError, match="there is no aplay"):
            desk.ask(TryOutput("sound"))


class TestQueue:
    def test_commands_wait_for_the_loop(self, open_desk: Callable[..., Desk]) -> None:
        desk = open_desk()
        answer = desk.commands.ask(Mute(5))
        assert not answer.done()
        obey(desk.commands, desk, 0.0)
        assert answer.result(timeout=0) == "Buzzer and sound are muted for 5 s."

    def test_it_is_bounded(self) -> None:
        commands = Commands()
        answers = [commands.ask(Unmute()) for _ in range(MOST_WAITING + 1)]
        assert [answer.done() for answer in answers] == [False] * MOST_WAITING + [True]
        with pytest.raises(RefusedError, match="Too many commands wait"):
            answers[-1].result()

    def test_withdrawn_commands_are_dropped(self, open_desk: Callable[..., Desk]) -> None:
        desk = open_desk()
        assert desk.commands.ask(Mute(60)).cancel()
        obey(desk.commands, desk, 0.0)
        assert desk.alerts.state(0.0).muted_until is None

    def test_stop_and_restart_end_the_run(self) -> None:
        commands = Commands()
        commands.ask(Stop())
        assert (commands.stopped.is_set(), commands.restart) == (True, False)
        assert commands.ask(Restart()).result(timeout=0) == "The door restarts."
        assert commands.restart

    def test_the_end_answers_waiting_commands(self) -> None:
        commands = Commands()
        early = commands.ask(Unmute())
        commands.close()
        for answer in (early, commands.ask(Unmute())):
            with pytest.raises(RefusedError, match="The door is stopping"):
                answer.result(timeout=0)

    def test_changed_settings_are_adopted(self, open_desk: Callable[..., Desk]) -> None:
        desk, settings = open_desk(), load(environment={})
        assert desk.ask(ChangeSettings(settings, "Quiet hours end.")) == "Quiet hours end."
        assert desk.adopted == [settings]

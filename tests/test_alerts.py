"""The alert policy, and what it does to pins."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from edge.alerts.choose import open_alert
from edge.alerts.gpio import GpioAlert
from edge.alerts.none import NoAlert
from edge.alerts.policy import AlertPolicy
from edge.config import AlertSettings
from edge.errors import AlertError, ConfigError
from edge.values import BBox, Event, EventKind, Person, Verdict

BARE, BADLY, MASKED, UNSURE = (
    Verdict.WITHOUT_MASK,
    Verdict.MASK_WORN_INCORRECTLY,
    Verdict.WITH_MASK,
    Verdict.UNSURE,
)


class Recorder:
    """An output that remembers what it was told."""

    name = "recorder"

    def __init__(self) -> None:
        self.said: list[tuple[str, bool]] = []

    def alarm(self, on: bool) -> None:
        self.said.append(("alarm", on))

    def welcome(self, on: bool) -> None:
        self.said.append(("welcome", on))

    def close(self) -> None:
        self.said.append(("close", True))


def person(number: int, verdict: Verdict) -> Person:
    return Person(number, BBox(0, 0, 80, 100), verdict, 0.0, 0.0)


def ended(number: int, at: float) -> Event:
    return Event(EventKind.VISIT_ENDED, at, number, BARE, 1.0)


@pytest.fixture
def output() -> Recorder:
    return Recorder()


@pytest.fixture
def policy(output: Recorder) -> AlertPolicy:
    return AlertPolicy(AlertSettings(duration=3.0, refractory=5.0), output)


@pytest.mark.parametrize("verdict", [BARE, BADLY])
def test_an_alarming_verdict_sounds_in_the_same_update(policy: AlertPolicy, output: Recorder, verdict: Verdict) -> None:
    events = policy.update([], [person(7, verdict)], at=10.0)

    assert output.said == [("alarm", True)]
    assert events == [Event(EventKind.ALERT_ON, 10.0, 7, verdict)]


@pytest.mark.parametrize("verdict", [MASKED, UNSURE])
def test_nobody_is_alerted_without_an_alarming_verdict(policy: AlertPolicy, output: Recorder, verdict: Verdict) -> None:
    assert policy.update([], [person(1, verdict)], at=10.0) == []
    assert ("alarm", True) not in output.said


def test_it_stops_after_its_duration_and_does_not_sound_again_for_that_person(
    policy: AlertPolicy, output: Recorder
) -> None:
    log = [policy.update([], [person(1, BARE)], at=at / 10) for at in range(300)]

    events = [event for events in log for event in events]
    assert [(event.kind, event.at) for event in events] == [(EventKind.ALERT_ON, 0.0), (EventKind.ALERT_OFF, 3.0)]
    assert events[1].seconds == 3.0
    assert output.said == [("alarm", True), ("alarm", False)]


def test_it_stops_at_once_when_the_person_masks_up_and_the_green_light_comes_on(
    policy: AlertPolicy, output: Recorder
) -> None:
    policy.update([], [person(1, BARE)], at=0.0)
    (off,) = policy.update([], [person(1, MASKED)], at=1.0)

    assert (off.kind, off.person, off.seconds) == (EventKind.ALERT_OFF, 1, 1.0)
    assert output.said == [("alarm", True), ("alarm", False), ("welcome", True)]


def test_it_stops_at_once_when_the_person_leaves(policy: AlertPolicy, output: Recorder) -> None:
    policy.update([], [person(1, BARE)], at=0.0)
    policy.update([ended(1, 1.0)], [], at=1.0)

    assert output.said == [("alarm", True), ("alarm", False)]


def test_it_goes_on_when_a_bare_face_becomes_a_badly_masked_one(policy: AlertPolicy, output: Recorder) -> None:
    policy.update([], [person(1, BARE)], at=0.0)
    assert policy.update([], [person(1, BADLY)], at=1.0) == []
    assert output.said == [("alarm", True)]


def test_who_unmasks_again_in_the_same_visit_is_not_alerted_twice(policy: AlertPolicy, output: Recorder) -> None:
    for at, verdict in [(0.0, BARE), (1.0, MASKED), (20.0, BARE)]:
        policy.update([], [person(1, verdict)], at=at)

    assert output.said.count(("alarm", True)) == 1


def test_a_second_person_waits_for_the_refractory_period_and_is_alerted_when_it_ends(
    policy: AlertPolicy, output: Recorder
) -> None:
    both = [person(1, BARE), person(2, BARE)]
    starts = [
        (event.person, event.at)
        for tick in range(200)
        for event in policy.update([], both, at=tick / 10)
        if event.kind is EventKind.ALERT_ON
    ]

    assert starts == [(1, 0.0), (2, 5.0)]


@pytest.mark.parametrize("there", [[], [person(2, MASKED)]])
def test_a_second_person_who_left_or_masked_up_meanwhile_is_not_alerted(
    policy: AlertPolicy, output: Recorder, there: list[Person]
) -> None:
    policy.update([], [person(1, BARE)], at=0.0)
    policy.update([], [person(1, BARE), person(2, BARE)], at=1.0)
    policy.update([ended(1, 4.0)], there, at=4.0)
    policy.update([], there, at=6.0)

    assert output.said.count(("alarm", True)) == 1


def test_a_row_of_unmasked_people_does_not_stutter(policy: AlertPolicy, output: Recorder) -> None:
    for number in range(1, 11):
        policy.update([], [person(number, BARE)], at=number * 1.0)
        policy.update([ended(number, number + 0.9)], [], at=number + 0.9)

    assert output.said.count(("alarm", True)) == 2


def test_the_green_light_stays_dark_while_an_alarm_sounds(policy: AlertPolicy, output: Recorder) -> None:
    policy.update([], [person(1, MASKED)], at=0.0)
    policy.update([], [person(1, MASKED), person(2, BARE)], at=1.0)
    assert output.said == [("welcome", True), ("welcome", False), ("alarm", True)]

    policy.update([ended(2, 2.0)], [person(1, MASKED)], at=2.0)
    policy.update([ended(1, 3.0)], [], at=3.0)
    assert output.said[3:] == [("alarm", False), ("welcome", True), ("welcome", False)]


def test_times_that_repeat_or_go_back_do_no_harm(policy: AlertPolicy, output: Recorder) -> None:
    for at in (5.0, 5.0, 3.0, 5.0):
        policy.update([], [person(1, BARE)], at=at)

    assert output.said == [("alarm", True)]


def test_closing_the_policy_closes_its_output(policy: AlertPolicy, output: Recorder) -> None:
    policy.update([], [person(1, BARE)], at=0.0)
    policy.close()
    assert output.said[-1] == ("close", True)


@pytest.fixture
def pins() -> Iterator[Any]:
    """gpiozero's simulated pins: ``pins(17)`` is BCM 17 and remembers its states and their times."""
    factory = MockFactory(pin_class=MockPWMPin)
    before, gpiozero.Device.pin_factory = gpiozero.Device.pin_factory, factory
    yield lambda number: factory.pin(f"GPIO{number}")
    factory.reset()
    gpiozero.Device.pin_factory = before


def settings(**changes: Any) -> AlertSettings:
    return AlertSettings(**{"output": "gpio", "on_time": 0.1, "off_time": 0.1, "duration": 0.6, **changes})


def states(pin: Any) -> list[float]:
    return [state.state for state in pin.states]


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> float:
    """How long it took; on a busy machine threads run late."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds
        time.sleep(0.001)
    return time.monotonic() - begin


def test_led_and_buzzer_beep_in_the_pattern_and_end_by_themselves(pins: Any) -> None:
    alert = GpioAlert(settings(on_time=0.3, off_time=0.2, duration=1.4))
    pins(17).clear_states()
    pins(27).clear_states()
    alert.alarm(on=True)
    wait_until(lambda: len(pins(17).states) == len(pins(27).states) == 7)
    time.sleep(0.6)

    for number in (17, 27):
        seen = pins(number).states
        assert [state.state for state in seen] == [0, 1, 0, 1, 0, 1, 0]
        beeps, pauses = seen[2::2], seen[3::2]
        assert all(0.29 < state.timestamp < 2 for state in beeps)
        assert all(0.19 < state.timestamp < 2 for state in pauses)
    alert.close()


def test_the_alarm_starts_and_stops_within_a_moment(pins: Any) -> None:
    alert = GpioAlert(settings(on_time=5.0))
    starts, stops = [], []
    for _ in range(5):
        alert.alarm(on=True)
        starts.append(wait_until(lambda: pins(17).state and pins(27).state))
        alert.alarm(on=False)
        stops.append(wait_until(lambda: not pins(17).state and not pins(27).state))

    assert min(starts) < 0.3
    assert min(stops) < 0.3
    alert.close()


def test_the_green_light_follows_welcome(pins: Any) -> None:
    alert = GpioAlert(settings())
    alert.welcome(on=True)
    assert pins(22).state == 1
    alert.welcome(on=False)
    assert pins(22).state == 0
    alert.close()


def test_outputs_that_are_switched_on_by_a_low_pin_rest_high(pins: Any) -> None:
    alert = GpioAlert(settings(active_high=False, on_time=5.0))
    assert [pins(number).state for number in (17, 22, 27)] == [1, 1, 1]
    alert.welcome(on=True)
    assert pins(22).state == 0
    alert.close()


def test_a_passive_buzzer_gets_a_square_wave_of_its_pitch(pins: Any) -> None:
    alert = GpioAlert(settings(buzzer="passive", tone=880))
    alert.alarm(on=True)
    wait_until(lambda: len(pins(27).states) >= 4)

    assert pins(27).frequency == 880
    assert set(states(pins(27))) == {0, 0.5}
    alert.close()
    assert pins(27).function == "input"


def test_a_pin_that_is_not_wired_is_not_touched(pins: Any) -> None:
    alert = GpioAlert(settings(buzzer_pin=-1, welcome_pin=-1))
    alert.alarm(on=True)
    alert.welcome(on=True)

    assert pins(17).function == "output"
    assert (pins(27).function, pins(22).function) == ("input", "input")
    alert.close()


def test_closing_in_the_middle_of_a_beep_leaves_everything_off(pins: Any) -> None:
    alert = GpioAlert(settings(on_time=5.0))
    alert.alarm(on=True)
    alert.welcome(on=True)
    time.sleep(0.05)
    alert.close()
    alert.close()
    alert.alarm(on=True)

    for number in (17, 22, 27):
        assert states(pins(number))[-1] == 0
        assert pins(number).function == "input"


def test_an_alarm_is_silenced_when_the_program_ends_without_closing(tmp_path: Path) -> None:
    script = tmp_path / "ends.py"
    script.write_text(
        "import atexit, gpiozero\n"
        "from gpiozero.pins.mock import MockFactory\n"
        "gpiozero.Device.pin_factory = factory = MockFactory()\n"
        "atexit.register(lambda: print([pin.state for pin in map(factory.pin, ('GPIO17', 'GPIO27'))]))\n"
        "from edge.alerts.gpio import GpioAlert\n"
        "from edge.config import AlertSettings\n"
        "alert = GpioAlert(AlertSettings(output='gpio', on_time=5))\n"
        "alert.alarm(on=True)\n"
        "while not factory.pin('GPIO27').state: pass\n"
        "raise SystemExit(3)\n"
    )
    ran = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert (ran.returncode, ran.stdout.strip()) == (3, "[False, False]"), ran.stderr


def test_a_pin_in_use_is_named_with_its_setting(pins: Any) -> None:
    taken = gpiozero.LED(27)
    with pytest.raises(AlertError, match=r"alerts\.buzzer_pin \(BCM 27\)"):
        GpioAlert(settings())
    assert pins(17).function == "input"
    taken.close()


def test_two_outputs_on_one_pin_are_refused(pins: Any) -> None:
    with pytest.raises(ConfigError, match=r"alerts\.led_pin and alerts\.buzzer_pin are both 17"):
        open_alert(settings(buzzer_pin=17))


def test_auto_takes_gpio_where_there_is_a_chip(pins: Any, tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").touch()
    alert = open_alert(settings(output="auto"), devices=tmp_path)
    assert alert.name == "gpio (red LED on 17, green LED on 22, active buzzer on 27)"
    alert.close()


def test_auto_stays_silent_without_a_chip_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    alert = open_alert(settings(output="auto"), devices=tmp_path)
    assert isinstance(alert, NoAlert)
    assert "no GPIO" in alert.name
    alert.alarm(on=True)
    alert.close()


@pytest.fixture
def no_gpiozero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "edge.alerts.gpio", raising=False)
    monkeypatch.setitem(sys.modules, "gpiozero", None)


@pytest.mark.usefixtures("no_gpiozero")
def test_auto_stays_silent_without_gpiozero_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").touch()
    assert "install gpiozero" in open_alert(settings(output="auto"), devices=tmp_path).name


@pytest.mark.usefixtures("no_gpiozero")
def test_gpio_without_gpiozero_is_an_error_with_its_remedy() -> None:
    with pytest.raises(AlertError, match="install gpiozero") as caught:
        open_alert(settings())
    assert caught.value.exit_code == 6


def test_none_is_silent_by_configuration() -> None:
    assert open_alert(AlertSettings(output="none")).name == "none (by configuration)"

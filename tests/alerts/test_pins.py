"""The alerts on a Raspberry Pi's pins: gpiozero with its simulated pins, over time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from edge.alerts import pins as pins_module
from edge.alerts.choose import open_alert
from edge.alerts.gpio import load_lgpio, take_header_chip
from edge.alerts.none import NoAlert
from edge.alerts.pattern import Pattern, Rhythm
from edge.alerts.pins import PinAlert
from edge.alerts.policy import AlertPolicy
from edge.config import AlertSettings
from edge.errors import AlertError, ConfigError
from edge.values import BBox, EventKind, Person, Verdict
from tests.nonempty import some
from tests.stand_ins.boards import build, write


@pytest.fixture
def pins() -> Iterator[Any]:
    """gpiozero's simulated pins: ``pins(17)`` is BCM 17 and remembers its states and their times."""
    factory = MockFactory(pin_class=MockPWMPin)
    before, gpiozero.Device.pin_factory = gpiozero.Device.pin_factory, factory
    yield lambda number: factory.pin(f"GPIO{number}")
    factory.reset()
    gpiozero.Device.pin_factory = before


class RecordingFactory(MockFactory):
    """Stands in for gpiozero's factory for lgpio, which opens a chip by its number."""

    def __init__(self, chip: int | None = None) -> None:
        super().__init__(pin_class=MockPWMPin)
        if chip == 13:
            raise OSError("can not open gpiochip")
        self.chip = chip


@pytest.fixture
def lgpio(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """gpiozero with an lgpio of this test's own, and nothing chosen yet."""
    monkeypatch.setitem(sys.modules, "gpiozero.pins.lgpio", SimpleNamespace(LGPIOFactory=RecordingFactory))
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    before, gpiozero.Device.pin_factory = gpiozero.Device.pin_factory, None
    yield
    gpiozero.Device.pin_factory = before


@pytest.mark.usefixtures("lgpio")
@pytest.mark.parametrize(("name", "number"), [("5", 0), ("4b", 0), ("3b+", 0), ("zero2w", 0)])
def test_header_chip_is_driven(tmp_path: Path, name: str, number: int) -> None:
    take_header_chip(build(tmp_path, name))
    assert gpiozero.Device.pin_factory.chip == number


def rp1(root: Path, number: int) -> Path:
    chip = "sys/class/gpio/gpiochip569"
    write(root, {f"{chip}/label": "pinctrl-rp1\n", f"{chip}/device/gpiochip{number}/uevent": ""})
    write(root, {"sys/class/gpio/gpiochip512/label": "gpio-brcmstb@107d508500\n", f"dev/gpiochip{number}": ""})
    return root


@pytest.mark.usefixtures("lgpio")
@pytest.mark.parametrize("number", [4, 15])
def test_rp1_is_found_by_label(tmp_path: Path, number: int) -> None:
    take_header_chip(rp1(tmp_path, number))
    assert gpiozero.Device.pin_factory.chip == number


@pytest.mark.usefixtures("lgpio")
def test_closed_header_is_named(tmp_path: Path) -> None:
    with pytest.raises(AlertError, match=r"gpiochip13 \(pinctrl-rp1\): can not open"):
        take_header_chip(rp1(tmp_path, 13))


@pytest.mark.usefixtures("lgpio")
def test_chosen_pin_factory_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "pigpio")
    take_header_chip(build(tmp_path, "5"))
    assert gpiozero.Device.pin_factory is None


def test_lgpio_needs_no_writable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As lgpio 0.2.2 does; nobody can create a pipe in /proc, as on a card that became read-only."""
    (tmp_path / "lgpio.py").write_text("import os\nos.mkfifo('.lgd-nfy0')\npipe = os.open('.lgd-nfy0', os.O_RDWR)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "lgpio", raising=False)
    monkeypatch.chdir("/proc")
    load_lgpio()
    assert os.write(sys.modules.pop("lgpio").pipe, b"told") == 4
    assert Path.cwd() == Path("/proc")


def test_pins_can_be_header_places(pins: Any) -> None:
    alert = open_alert(settings(led_pin="BOARD11", welcome_pin="BOARD15", buzzer_pin="BOARD13"))
    alert.welcome(on=True)
    wait_until(lambda: pins(22).state)
    alert.close()


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


def test_pattern_runs_and_ends(pins: Any) -> None:
    alert = open_alert(settings(on_time=0.3, off_time=0.2, duration=1.4))
    pins(17).clear_states()
    pins(27).clear_states()
    alert.alarm(on=True)
    wait_until(lambda: len(pins(17).states) == len(pins(27).states) == 7)
    time.sleep(0.6)

    for number in (17, 27):
        seen = pins(number).states
        assert [state.state for state in seen] == [0, 1, 0, 1, 0, 1, 0]
        beeps, pauses = seen[2::2], seen[3::2]
        assert all(state.timestamp > 0.29 for state in some(beeps))
        assert all(state.timestamp > 0.19 for state in some(pauses))
    alert.close()


def test_alarm_starts_and_stops_at_once(pins: Any) -> None:
    alert = open_alert(settings(on_time=5.0))
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
    alert = open_alert(settings())
    alert.welcome(on=True)
    wait_until(lambda: pins(22).state == 1)
    alert.welcome(on=False)
    wait_until(lambda: pins(22).state == 0)
    alert.close()


def test_active_low_outputs_rest_high(pins: Any) -> None:
    alert = open_alert(settings(active_high=False, on_time=5.0))
    assert [pins(number).state for number in (17, 22, 27)] == [1, 1, 1]
    alert.welcome(on=True)
    wait_until(lambda: pins(22).state == 0)
    alert.close()


def test_passive_buzzer_gets_a_square_wave(pins: Any) -> None:
    alert = open_alert(settings(buzzer="passive", tone=880))
    alert.alarm(on=True)
    wait_until(lambda: len(pins(27).states) >= 4)

    assert pins(27).frequency == 880
    assert set(states(pins(27))) == {0, 0.5}
    alert.close()
    assert pins(27).function == "input"


def test_unwired_pins_stay_untouched(pins: Any) -> None:
    alert = open_alert(settings(buzzer_pin=-1, welcome_pin=-1))
    alert.alarm(on=True)
    alert.welcome(on=True)
    wait_until(lambda: pins(17).state)

    assert pins(17).function == "output"
    assert (pins(27).function, pins(22).function) == ("input", "input")
    alert.close()


def test_closing_switches_everything_off(pins: Any) -> None:
    alert = open_alert(settings(on_time=5.0))
    alert.alarm(on=True)
    alert.welcome(on=True)
    wait_until(lambda: all(pins(number).state for number in (17, 22, 27)))
    alert.close()
    alert.close()
    alert.alarm(on=True)

    for number in (17, 22, 27):
        assert states(pins(number))[-1] == 0
        assert pins(number).function == "input"


def test_exit_silences_the_alarm(tmp_path: Path) -> None:
    script = tmp_path / "ends.py"
    script.write_text(
        "import atexit, gpiozero\n"
        "from gpiozero.pins.mock import MockFactory\n"
        "gpiozero.Device.pin_factory = factory = MockFactory()\n"
        "atexit.register(lambda: print([pin.state for pin in map(factory.pin, ('GPIO17', 'GPIO27'))]))\n"
        "from edge.alerts.choose import open_alert\n"
        "from edge.config import AlertSettings\n"
        "alert = open_alert(AlertSettings(output='gpio', on_time=5))\n"
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
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (ran.returncode, ran.stdout.strip()) == (3, "[False, False]"), ran.stderr


def test_busy_pin_is_named(pins: Any) -> None:
    taken = gpiozero.LED(27)
    with pytest.raises(AlertError, match=r"alerts\.buzzer_pin \(BCM 27\)"):
        open_alert(settings())
    assert pins(17).function == "input"
    taken.close()


def test_shared_pins_are_refused(pins: Any) -> None:
    with pytest.raises(ConfigError, match=r"alerts\.led_pin and alerts\.buzzer_pin are both 17"):
        open_alert(settings(buzzer_pin=17))


def test_auto_takes_an_existing_chip(pins: Any, tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").touch()
    alert = open_alert(settings(output="auto"), devices=tmp_path)
    assert alert.name == "gpio (red LED on 17, green LED on 22, active buzzer on 27)"
    alert.close()


def test_auto_explains_a_missing_chip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_auto_explains_a_missing_gpiozero(tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").touch()
    assert "install gpiozero" in open_alert(settings(output="auto"), devices=tmp_path).name


@pytest.mark.usefixtures("no_gpiozero")
def test_gpio_needs_gpiozero() -> None:
    with pytest.raises(AlertError, match="install gpiozero") as caught:
        open_alert(settings())
    assert caught.value.exit_code == 6


def test_none_is_silent_by_configuration() -> None:
    assert open_alert(AlertSettings(output="none")).name == "none (by configuration)"


class TestRhythm:
    def play(self, rhythm: Rhythm, step: float, seconds: float) -> list[tuple[float, bool]]:
        """When the pattern turns on and off, looked at each ``step`` seconds."""
        pattern = Pattern(rhythm)
        pattern.start(0.0)
        turns: list[tuple[float, bool]] = []
        for tick in range(round(seconds / step)):
            pattern.advance(tick * step)
            if pattern.on != (turns[-1][1] if turns else False):
                turns.append((round(tick * step, 3), pattern.on))
        assert pattern.until == float("inf")
        return turns

    def test_beeps_fill_the_duration(self) -> None:
        rhythm = Rhythm.of(AlertSettings(on_time=0.5, off_time=0.25, duration=1.5))
        turns = [(0.0, True), (0.5, False), (0.75, True), (1.25, False)]
        assert self.play(rhythm, 0.25, 5.0) == turns

    def test_late_beeps_are_not_skipped(self) -> None:
        turns = self.play(Rhythm(0.1, 0.1, 3), 1.0, 20.0)
        assert turns == [(0.0, True), (1.0, False), (2.0, True), (3.0, False), (4.0, True), (5.0, False)]

    def test_no_pause_is_one_beep(self) -> None:
        rhythm = Rhythm.of(AlertSettings(on_time=0.5, off_time=0, duration=2))
        assert self.play(rhythm, 0.25, 5.0) == [(0.0, True), (2.0, False)]

    def test_another_rhythm_begins_at_a_start(self) -> None:
        pattern = Pattern(Rhythm(1.0, 1.0, 2))
        pattern.start(0.0)
        pattern.rhythm = Rhythm(0.2, 0.1, 1)
        pattern.advance(0.0)
        assert (pattern.on, pattern.until) == (True, 1.0)
        pattern.start(5.0)
        pattern.advance(5.0)
        assert (pattern.on, pattern.until) == (True, 5.2)

    def test_pattern_can_restart(self) -> None:
        pattern = Pattern(Rhythm(1.0, 1.0, 2))
        pattern.start(0.0)
        pattern.advance(0.0)
        pattern.stop()
        pattern.advance(0.5)
        assert not pattern.on
        pattern.start(10.0)
        pattern.advance(10.0)
        assert (pattern.on, pattern.until) == (True, 11.0)


class TestFromVerdictToPin:
    def person(self, number: int, verdict: Verdict) -> Person:
        return Person(number, BBox(0, 0, 80, 100), verdict, 0.0, 0.0)

    def test_alarm_follows_within_300_ms(self, pins: Any) -> None:
        policy = AlertPolicy(settings(on_time=5.0, refractory=0), open_alert(settings(on_time=5.0)))
        took = []
        for number in range(10):
            begin = time.monotonic()
            (event,) = policy.update([], [self.person(number, Verdict.WITHOUT_MASK)], at=number * 10.0)
            assert event.kind is EventKind.ALERT_ON
            wait_until(lambda: pins(17).state and pins(27).state)
            took.append(time.monotonic() - begin)
            policy.update([], [self.person(number, Verdict.WITH_MASK)], at=number * 10.0 + 1)
            wait_until(lambda: not pins(17).state and not pins(27).state and pins(22).state)
        policy.close()
        assert min(took) < 0.3

    def test_new_lengths_need_no_reopening(self, pins: Any) -> None:
        policy = AlertPolicy(settings(on_time=5.0), open_alert(settings(on_time=5.0)))
        policy.configure(settings(on_time=0.05, off_time=0.05, duration=0.15))
        pins(17).clear_states()
        policy.update([], [self.person(1, Verdict.WITHOUT_MASK)], at=0.0)
        wait_until(lambda: len(pins(17).states) == 5)
        assert states(pins(17)) == [0, 1, 0, 1, 0]
        policy.close()

    def test_press_mutes_buzzer_not_lamp(self, pins: Any) -> None:
        mute = settings(on_time=0.05, off_time=0.05, duration=20, mute_pin=24)
        policy = AlertPolicy(mute, open_alert(mute))
        assert pins(24).pull == "up"
        assert pins(24).bounce == 0.05
        policy.update([], [self.person(1, Verdict.WITHOUT_MASK)], at=0.0)
        wait_until(lambda: pins(27).state)

        pins(24).drive_low()
        pins(24).drive_high()
        policy.update([], [self.person(1, Verdict.WITHOUT_MASK)], at=0.1)
        wait_until(lambda: not pins(27).state)
        time.sleep(0.2)
        pins(27).clear_states()
        pins(17).clear_states()
        wait_until(lambda: len(pins(17).states) >= 6)
        assert states(pins(27)) == [0]
        policy.close()

    def test_held_button_is_one_press(self, pins: Any) -> None:
        alert = open_alert(settings(mute_pin=24))
        pins(24).drive_low()
        assert [alert.pressed(), alert.pressed()] == [True, False]
        alert.close()


class TestRelay:
    def test_relay_starts_and_ends_released(self, pins: Any) -> None:
        alert = open_alert(settings(relay_pin=23))
        assert (pins(23).function, pins(23).state) == ("output", 0)
        alert.relay(on=True)
        wait_until(lambda: pins(23).state)
        alert.close()
        assert states(pins(23))[-1] == 0
        assert pins(23).function == "input"

    def test_relay_releases_though_program_hangs(self, pins: Any) -> None:
        alert = open_alert(settings(relay_pin=23, relay_for=0.3))
        pins(23).clear_states()
        alert.relay(on=True)
        wait_until(lambda: len(pins(23).states) == 3)
        assert states(pins(23)) == [0, 1, 0]
        assert pins(23).states[2].timestamp > 0.29
        alert.close()

    def test_new_duration_is_its_own_too(self, pins: Any) -> None:
        alert = open_alert(settings(relay_pin=23, relay="alarm", duration=60))
        alert.configure(settings(relay_pin=23, relay="alarm", duration=0.3))
        pins(23).clear_states()
        alert.relay(on=True)
        wait_until(lambda: states(pins(23)) == [0, 1, 0])
        alert.close()

    def test_told_again_it_holds_for_longer(self, pins: Any) -> None:
        alert = open_alert(settings(relay_pin=23, relay_for=3))
        pins(23).clear_states()
        alert.relay(on=True)
        wait_until(lambda: pins(23).state)
        time.sleep(0.5)
        alert.relay(on=True)
        wait_until(lambda: len(pins(23).states) == 3)
        assert pins(23).states[2].timestamp > 3.4
        alert.close()

    def test_its_polarity_is_its_own(self, pins: Any) -> None:
        alert = open_alert(settings(relay_pin=23, relay_active_high=False))
        assert (pins(23).state, pins(17).state) == (1, 0)
        alert.relay(on=True)
        wait_until(lambda: not pins(23).state)
        alert.close()

    def test_it_is_named(self, pins: Any) -> None:
        alert = open_alert(settings(relay_pin=23, mute_pin=24))
        assert alert.name.endswith("active buzzer on 27, masked relay on 23, mute button on 24)")
        alert.close()

    def test_relay_and_button_need_pins(self, pins: Any) -> None:
        with pytest.raises(ConfigError, match=r"alerts\.relay_pin and alerts\.mute_pin are both 23"):
            open_alert(settings(relay_pin=23, mute_pin=23))


class Driver:
    """Lines that hang or fail when a test wants it."""

    name = "driver made for this test"

    def __init__(self) -> None:
        self.hangs, self.fails, self.blind = threading.Event(), False, False
        self.answers = threading.Event()
        self.set_to: dict[str, bool] = {}
        self.closed = 0

    def set(self, role: str, on: bool) -> None:
        if self.hangs.is_set():
            self.answers.wait(30)
        if self.fails:
            raise RuntimeError("bad GPIO handle")
        self.set_to[role] = on

    def pressed(self) -> bool:
        if self.blind:
            raise OSError("no such device")
        return False

    def close(self) -> None:
        self.closed += 1


class TestWhenADriverFails:
    @pytest.fixture
    def driver(self) -> Iterator[Driver]:
        driver = Driver()
        yield driver
        driver.answers.set()

    def test_hanging_pin_is_reported(
        self, driver: Driver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(pins_module, "PATIENCE", 0.2)
        alert = PinAlert(driver, settings())
        policy = AlertPolicy(settings(), alert)
        driver.hangs.set()
        bare = Person(1, BBox(0, 0, 80, 100), Verdict.WITHOUT_MASK, 0.0, 0.0)
        events = policy.update([], [bare], at=0.0)
        wait_until(lambda: alert.trouble)
        begin = time.monotonic()
        for frame in range(1, 200):
            events += policy.update([], [bare], at=frame / 20)
        assert time.monotonic() - begin < 15  # the driver hangs for 30
        assert [event.kind for event in events] == [EventKind.ALERT_ON, EventKind.ALERT_OFF]
        assert policy.trouble is not None
        assert [message for message in caplog.messages if "do not answer" in message] == caplog.messages
        assert len(caplog.messages) == 1
        policy.close()
        assert "did not answer and may still be on" in caplog.messages[-1]

    def test_pin_recovers(self, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pins_module, "PATIENCE", 0.2)
        alert = PinAlert(driver, settings())
        driver.hangs.set()
        alert.welcome(on=True)
        wait_until(lambda: alert.trouble)
        driver.hangs.clear()
        driver.answers.set()
        wait_until(lambda: alert.trouble is None and driver.set_to.get("welcome"))
        alert.close()

    def test_failing_pin_is_retried(self, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pins_module, "RETRY", 0.01)
        alert = PinAlert(driver, settings())
        driver.fails = True
        alert.welcome(on=True)
        wait_until(lambda: alert.trouble)
        assert alert.trouble == ("alerts.welcome_pin cannot be switched: bad GPIO handle; check its wiring and device.")
        driver.fails = False
        wait_until(lambda: driver.set_to.get("welcome") and alert.trouble is None)
        alert.close()
        assert (driver.set_to["welcome"], driver.closed) == (False, 1)

    def test_library_errors_stop_no_alarm(self, pins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(self: MockPWMPin, value: float) -> None:
            raise RuntimeError("lgpio: bad handle")

        alert = open_alert(settings(on_time=5.0))
        with monkeypatch.context() as broken:
            broken.setattr(type(pins(22)), "_set_state", fails)
            alert.welcome(on=True)
            wait_until(lambda: alert.trouble)
        alert.alarm(on=True)
        wait_until(lambda: pins(17).state and pins(27).state)
        alert.close()

    def test_unreadable_button_is_reported(self, driver: Driver) -> None:
        alert = PinAlert(driver, settings(mute_pin=24))
        driver.blind = True
        assert not alert.pressed()
        assert alert.trouble == "The mute button (mute_pin) cannot be read: no such device; restart maskgate."
        alert.close()


def test_alerts_off_switches_everything_off(tmp_path: Path) -> None:
    script = tmp_path / "off.py"
    script.write_text(
        "import sys, gpiozero\n"
        "from gpiozero.pins.mock import MockFactory\n"
        "gpiozero.Device.pin_factory = factory = MockFactory()\n"
        "pins = [factory.pin(f'GPIO{number}') for number in (17, 22, 27, 23)]\n"
        "for pin in pins:\n"
        "    pin.output_with_state(True)\n"
        "    pin.clear_states()\n"
        "from edge.cli import main\n"
        "code = main(['alerts-off'])\n"
        "print([pin.state for pin in pins], code, 'cv2' in sys.modules, 'edge.door.wiring' in sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment |= {"MASKGATE_ALERTS_OUTPUT": "gpio", "MASKGATE_ALERTS_RELAY_PIN": "23"}
    ran = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    said, pins_after = ran.stdout.splitlines()
    assert said.startswith("Off: gpio (red LED on 17, green LED on 22, active buzzer on 27, masked relay on 23")
    assert pins_after == "[False, False, False, False] 0 False False"

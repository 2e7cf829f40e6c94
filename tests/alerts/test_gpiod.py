"""Alerts on the lines of any GPIO chip: on the kernel's simulator where there is one, and on lines that are files."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

import pytest

from edge.alerts import pins
from edge.alerts.choose import open_alert
from edge.alerts.none import NoAlert
from edge.alerts.pins import KEYS
from edge.board import PROFILES, UNKNOWN
from edge.board.header import HEADERS, header_line, is_header_pin
from edge.config import AlertSettings, Config
from edge.errors import AlertError, ConfigError
from tests.nonempty import some

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
FAKE = Path(__file__).parents[1] / "stand_ins/fake_gpiod"
SIMULATOR = Path("/sys/kernel/config/gpio-sim")
LED, WELCOME, BUZZER, RELAY, BUTTON = 0, 1, "BUZZER", "RELAY", 4
OFFSETS = {"BUZZER": 2, "RELAY": 3}


class Lab(Protocol):
    """A chip with lines that a test can measure and push."""

    chip: Path

    def level(self, line: int | str) -> int: ...

    def leave_on(self, line: int | str) -> None: ...

    def press(self, line: int) -> None: ...


def offset(line: int | str) -> int:
    return line if isinstance(line, int) else OFFSETS[line]


class FakeLab:
    """Lines that are files."""

    def __init__(self, folder: Path) -> None:
        self.chip = folder / "gpiochip0"
        for number in range(8):
            (self.chip / str(number)).mkdir(parents=True)
            (self.chip / str(number) / "level").write_text("0")
        for name, number in OFFSETS.items():
            (self.chip / str(number) / "name").write_text(name)
        (self.chip / "label").write_text("fake-gpio")

    @classmethod
    def at(cls, chip: Path) -> FakeLab:
        """Over a chip that is there."""
        lab = cls.__new__(cls)
        lab.chip = chip
        return lab

    def file(self, line: int | str, name: str) -> Path:
        return self.chip / str(offset(line)) / name

    def level(self, line: int | str) -> int:
        return int(self.file(line, "level").read_text() or 0)

    def leave_on(self, line: int | str) -> None:
        self.file(line, "level").write_text("1")

    def press(self, line: int) -> None:
        with self.file(line, "presses").open("a") as presses:
            presses.write("pressed\n")


class SimulatedLab:
    """Lines of the kernel's gpio-sim. https://docs.kernel.org/admin-guide/gpio/gpio-sim.html"""

    def __init__(self) -> None:
        self._device = SIMULATOR / f"maskgate-{os.getpid()}"
        self._bank = self._device / "bank0"
        self._bank.mkdir(parents=True)
        (self._bank / "num_lines").write_text("8")
        (self._bank / "label").write_text("fake-gpio")
        for name, number in OFFSETS.items():
            (self._bank / f"line{number}").mkdir()
            (self._bank / f"line{number}" / "name").write_text(name)
        (self._device / "live").write_text("1")
        name = (self._bank / "chip_name").read_text().strip()
        self.chip = Path("/dev") / name
        self._lines = Path("/sys/devices/platform") / (self._device / "dev_name").read_text().strip() / name
        deadline = time.monotonic() + 10
        while not self.chip.exists():
            assert time.monotonic() < deadline, f"udev did not make {self.chip}"
            time.sleep(0.01)

    def level(self, line: int | str) -> int:
        return int((self._lines / f"sim_gpio{offset(line)}" / "value").read_text())

    def leave_on(self, line: int | str) -> None:
        (self._lines / f"sim_gpio{offset(line)}" / "pull").write_text("pull-up")

    def press(self, line: int) -> None:
        pull = self._lines / f"sim_gpio{line}" / "pull"
        for state in ("pull-up", "pull-down", "pull-up"):
            pull.write_text(state)
            time.sleep(0.2)  # longer than contacts bounce

    def close(self) -> None:
        (self._device / "live").write_text("0")
        for number in OFFSETS.values():
            (self._bank / f"line{number}").rmdir()
        self._bank.rmdir()
        self._device.rmdir()


@pytest.fixture(params=["files", "gpio-sim"])
def lab(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.delitem(sys.modules, "edge.alerts.libgpiod", raising=False)
    if request.param == "files":
        for name in [name for name in sys.modules if name.split(".")[0] == "gpiod"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(str(FAKE))
        yield FakeLab(tmp_path)
        for name in ("gpiod.line", "gpiod", "edge.alerts.libgpiod"):
            sys.modules.pop(name, None)
        return
    pytest.importorskip("gpiod", reason="gpiod is not installed (pip install 'maskgate[gpiod]')")
    if not SIMULATOR.is_dir() or not os.access(SIMULATOR, os.W_OK):
        pytest.skip("no gpio-sim here (as root: modprobe gpio-sim; mount -t configfs none /sys/kernel/config)")
    simulated = SimulatedLab()
    yield simulated
    simulated.close()


def settings(lab: Lab, **changes: Any) -> AlertSettings:
    wiring = {"led_pin": LED, "welcome_pin": WELCOME, "buzzer_pin": BUZZER, "relay_pin": RELAY, "mute_pin": BUTTON}
    pattern = {"on_time": 0.1, "off_time": 0.1, "duration": 0.6}
    return AlertSettings(**{"output": "gpiod", "chip": str(lab.chip), **wiring, **pattern, **changes})


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> float:
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds
        time.sleep(0.001)
    return time.monotonic() - begin


class TestLines:
    def test_alarm_starts_at_once_and_ends(self, lab: Lab) -> None:
        alert = open_alert(settings(lab, on_time=0.6, off_time=0.6, duration=2.4))
        starts = []
        for _ in range(5):
            alert.alarm(on=True)
            starts.append(wait_until(lambda: lab.level(LED) and lab.level(BUZZER)))
            alert.alarm(on=False)
            wait_until(lambda: not lab.level(LED) and not lab.level(BUZZER))
        assert min(starts) < 0.3

        alert.alarm(on=True)
        for wanted in (1, 0, 1, 0):
            wait_until(lambda wanted=wanted: lab.level(BUZZER) == wanted)
        time.sleep(1.0)
        assert (lab.level(LED), lab.level(BUZZER)) == (0, 0)
        alert.close()

    def test_green_light_and_relay_follow(self, lab: Lab) -> None:
        alert = open_alert(settings(lab))
        alert.welcome(on=True)
        alert.relay(on=True)
        wait_until(lambda: lab.level(WELCOME) and lab.level(RELAY))
        alert.welcome(on=False)
        alert.relay(on=False)
        wait_until(lambda: not lab.level(WELCOME) and not lab.level(RELAY))
        alert.close()

    def test_active_low_outputs_rest_high(self, lab: Lab) -> None:
        alert = open_alert(settings(lab, active_high=False, relay_active_high=False))
        assert [lab.level(line) for line in (LED, WELCOME, BUZZER, RELAY)] == [1, 1, 1, 1]
        alert.relay(on=True)
        wait_until(lambda: not lab.level(RELAY))
        alert.close()

    def test_a_press_is_told_once(self, lab: Lab) -> None:
        alert = open_alert(settings(lab))
        assert not alert.pressed()
        lab.press(BUTTON)
        wait_until(alert.pressed)
        assert not alert.pressed()
        alert.close()

    def test_closing_switches_everything_off(self, lab: Lab) -> None:
        alert = open_alert(settings(lab, on_time=5, duration=5))
        alert.alarm(on=True)
        alert.welcome(on=True)
        alert.relay(on=True)
        wait_until(lambda: all(lab.level(line) for line in (LED, WELCOME, BUZZER, RELAY)))
        alert.close()
        alert.close()
        assert [lab.level(line) for line in (LED, WELCOME, BUZZER, RELAY)] == [0, 0, 0, 0]

    def test_lines_start_off(self, lab: Lab) -> None:
        lab.leave_on(BUZZER)
        alert = open_alert(settings(lab))
        assert lab.level(BUZZER) == 0
        alert.close()

    def test_its_name_tells_chip_and_lines(self, lab: Lab) -> None:
        alert = open_alert(settings(lab, mute_pin=-1, relay_pin=-1, welcome_pin=-1))
        assert alert.name == f"gpiod ({lab.chip}: led_pin on 0, buzzer_pin on BUZZER)"
        alert.close()

    @pytest.mark.parametrize("by", ["path", "name", "label"])
    def test_chip_is_found_by_any_name(self, lab: Lab, by: str) -> None:
        chip = {"path": str(lab.chip), "name": lab.chip.name, "label": "fake-gpio"}[by]
        alert = open_alert(settings(lab, chip=chip), devices=lab.chip.parent)
        assert str(lab.chip) in alert.name
        alert.close()

    def test_auto_follows_the_named_chip(self, lab: Lab) -> None:
        alert = open_alert(settings(lab, output="auto"))
        assert alert.name.startswith("gpiod")
        alert.close()


class TestWhatIsRefused:
    def test_busy_line_is_named(self, lab: Lab) -> None:
        first = open_alert(settings(lab, led_pin=-1, welcome_pin=-1, relay_pin=-1, mute_pin=-1))
        with pytest.raises(AlertError, match=r"alerts\.buzzer_pin \(BUZZER of .*gpiochip.*busy"):
            open_alert(settings(lab))
        first.close()
        open_alert(settings(lab)).close()

    @pytest.mark.parametrize("line", [99, "NO_SUCH_LINE"])
    def test_missing_line_is_named(self, lab: Lab, line: int | str) -> None:
        with pytest.raises(AlertError, match=rf"alerts\.led_pin \({line} of "):
            open_alert(settings(lab, led_pin=line))

    def test_missing_chip_lists_the_others(self, lab: Lab) -> None:
        with pytest.raises(AlertError, match=rf"no GPIO chip 'gpiochip77'.*{lab.chip.name} \(fake-gpio\)"):
            open_alert(settings(lab, chip="gpiochip77"), devices=lab.chip.parent)

    def test_auto_survives_a_missing_chip(self, lab: Lab) -> None:
        alert = open_alert(settings(lab, output="auto", chip="gpiochip77"), devices=lab.chip.parent)
        assert isinstance(alert, NoAlert)
        assert "There is no GPIO chip 'gpiochip77'" in alert.name

    def test_a_chip_must_be_named(self, lab: Lab) -> None:
        with pytest.raises(ConfigError, match=r"needs alerts\.chip"):
            open_alert(AlertSettings(output="gpiod", led_pin=LED), lab.chip.parent)

    def test_default_pins_stay_untouched(self, lab: Lab) -> None:
        with pytest.raises(ConfigError, match="only pins that you name"):
            open_alert(AlertSettings(output="gpiod", chip=str(lab.chip)))

    def test_passive_buzzer_is_refused(self, lab: Lab) -> None:
        with pytest.raises(ConfigError, match="wire an active buzzer"):
            open_alert(settings(lab, buzzer="passive"))


ORIN = next(profile for profile in PROFILES if profile.name == "Jetson AGX Orin")


ORIN_CHIPS = {"tegra234-gpio": ["PP.04"], "tegra234-gpio-aon": ["PBB.01", "PBB.00"]}


class TestHeaders:
    """Pins by their place on the header of a board that is no Raspberry Pi."""

    @pytest.fixture
    def chips(self, lab: Lab, tmp_path: Path) -> list[FakeLab]:
        """The two chips of a Jetson AGX Orin."""
        if not isinstance(lab, FakeLab):
            pytest.skip("gpio-sim has no chips with these labels")
        made = []
        for number, (label, lines) in enumerate(ORIN_CHIPS.items()):
            folder = tmp_path / f"dev/gpiochip{number}"
            for place, line in enumerate(lines):
                (folder / str(place)).mkdir(parents=True)
                (folder / str(place) / "level").write_text("0")
                (folder / str(place) / "name").write_text(line)
            (folder / "label").write_text(label)
            made.append(FakeLab.at(folder))
        return made

    def test_pins_on_several_chips_work(self, chips: list[FakeLab], tmp_path: Path) -> None:
        wiring = {"led_pin": "BOARD16", "welcome_pin": "BOARD22", "buzzer_pin": "BOARD32"}
        alert = open_alert(AlertSettings(**wiring), tmp_path / "dev", ORIN)
        assert alert.name.startswith(f"gpiod ({tmp_path}/dev/gpiochip1, {tmp_path}/dev/gpiochip0: ")
        assert alert.name.endswith("led_pin on BOARD16, welcome_pin on BOARD22, buzzer_pin on BOARD32)")
        alert.alarm(on=True)
        alert.welcome(on=True)
        wait_until(lambda: chips[1].level(0) and chips[0].level(0) and chips[1].level(1))
        alert.close()
        assert [chips[1].level(0), chips[0].level(0), chips[1].level(1)] == [0, 0, 0]

    def test_unnamed_pins_drive_nothing(self, chips: list[FakeLab], tmp_path: Path) -> None:
        alert = open_alert(AlertSettings(), tmp_path / "dev", ORIN)
        assert isinstance(alert, NoAlert)
        assert 'no pin of the Jetson AGX Orin is named: set alerts.led_pin = "BOARD16"' in alert.name

    def test_ground_pin_lists_free_pins(self, chips: list[FakeLab], tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="BOARD6 of the Jetson AGX Orin cannot be driven; these can: 7, 11, 12"):
            open_alert(AlertSettings(led_pin="BOARD6"), tmp_path / "dev", ORIN)

    def test_unknown_header_is_reported(self, lab: Lab) -> None:
        with pytest.raises(ConfigError, match="that of the unknown board is not known"):
            open_alert(AlertSettings(output="gpiod", led_pin="BOARD11"), board=UNKNOWN)

    def test_absent_chip_is_named_by_label(self, lab: Lab) -> None:
        with pytest.raises(AlertError, match="no GPIO chip 'tegra234-gpio'"):
            open_alert(AlertSettings(output="gpiod", led_pin="BOARD11"), lab.chip.parent, ORIN)

    @pytest.mark.parametrize("board", HEADERS)
    def test_header_tables_are_consistent(self, board: str) -> None:
        lines = list(HEADERS[board].values())
        assert len(set(lines)) == len(lines)
        assert set(HEADERS[board]).isdisjoint(POWER)
        assert [profile.pins for profile in PROFILES if profile.name == board] == ["gpiod"]


POWER = {1, 2, 4, 6, 9, 14, 17, 20, 25, 30, 34, 39}
"""Pins of every 40-pin header that carry a supply or ground."""
WIRING = (ROOT / "docs/how-to/wiring.md").read_text("utf-8")


class TestWiringPage:
    """What docs/how-to/wiring.md tells to set is what each board has."""

    @pytest.mark.parametrize("board", HEADERS)
    def test_every_board_has_a_section(self, board: str) -> None:
        section = re.search(rf"^### {re.escape(board)}$(.*?)(?=^##|\Z)", WIRING, re.MULTILINE | re.DOTALL)
        assert section, f"docs/how-to/wiring.md has no section on the {board}"
        block = "\n".join(line.strip() for line in section[1].splitlines() if line.startswith("    "))
        settings = Config.model_validate(tomllib.loads(block)).alerts
        pins = [getattr(settings, key) for key in KEYS.values()]
        lines = [header_line(board, pin) for pin in pins if is_header_pin(pin)]
        assert len(set(lines)) == len(KEYS)
        for pin, (_, line) in some(zip(pins, lines, strict=True)):
            assert f"| {pin.removeprefix('BOARD')} | {line} " in section[1]


class TestAtRunTime:
    def test_unplugged_expander_is_retried(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        if not isinstance(lab, FakeLab):
            pytest.skip("gpio-sim cannot be unplugged while its lines are in use")
        monkeypatch.setattr(pins, "RETRY", 0.01)
        alert = open_alert(settings(lab))
        lab.file(RELAY, "broken").touch()
        alert.relay(on=True)
        wait_until(lambda: alert.trouble)
        assert alert.trouble is not None
        assert "alerts.relay_pin cannot be switched: [Errno 19] No such device" in alert.trouble

        lab.file(RELAY, "broken").unlink()
        wait_until(lambda: lab.level(RELAY) and alert.trouble is None)
        alert.close()


class TestAfterAKill:
    def test_alerts_off_follows_a_kill(self, lab: Lab, tmp_path: Path) -> None:
        """As the service does it: no process can catch SIGKILL, and a line can keep its level."""
        config = tmp_path / "config.toml"
        wiring = f'led_pin = {LED}\nbuzzer_pin = "{BUZZER}"\nrelay_pin = "{RELAY}"\nwelcome_pin = -1\n'
        pattern = "on_time = 9\nduration = 60\nrelay_for = 60\n"
        config.write_text(f'[alerts]\noutput = "gpiod"\nchip = "{lab.chip}"\n{wiring}{pattern}')
        path = [str(FAKE)] if isinstance(lab, FakeLab) else []
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([*path, str(ROOT)])}
        script = tmp_path / "door.py"
        script.write_text(
            "import sys, time\n"
            "from pathlib import Path\n"
            "from edge.alerts.choose import open_alert\n"
            "from edge.config import load\n"
            "alert = open_alert(load(Path(sys.argv[1])).config.alerts)\n"
            "alert.alarm(on=True)\n"
            "alert.relay(on=True)\n"
            "time.sleep(180)\n"
        )
        door = subprocess.Popen([sys.executable, script, config], env=environment)
        try:
            wait_until(lambda: lab.level(BUZZER) and lab.level(RELAY), seconds=120)
        finally:
            door.send_signal(signal.SIGKILL)
            door.wait()
        if isinstance(lab, FakeLab):
            assert (lab.level(BUZZER), lab.level(RELAY)) == (1, 1)

        command = [sys.executable, "-m", "edge", "alerts-off", "--config", str(config)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"Off: gpiod ({lab.chip}: led_pin on 0, buzzer_pin on BUZZER, relay_pin on RELAY).\n"
        assert (lab.level(LED), lab.level(BUZZER), lab.level(RELAY)) == (0, 0, 0)


class TestTheLinesThatAreFiles:
    """They stand for the real package as long as both are called the same way."""

    @pytest.fixture
    def both(self, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
        real = pytest.importorskip("gpiod", reason="gpiod is not installed (pip install 'maskgate[gpiod]')")
        kept = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "gpiod"}
        for name in kept:
            del sys.modules[name]
        sys.path.insert(0, str(FAKE))
        try:
            fake = importlib.import_module("gpiod")
        finally:
            sys.path.remove(str(FAKE))
            for name in ("gpiod.line", "gpiod"):
                sys.modules.pop(name, None)
            sys.modules.update(kept)
        assert fake.__file__ != real.__file__
        return real, fake

    @pytest.mark.parametrize(
        "name",
        [
            "request_lines",
            "is_gpiochip_device",
            "LineRequest.set_value",
            "LineRequest.wait_edge_events",
            "LineRequest.read_edge_events",
            "LineRequest.release",
            "Chip.__init__",
            "Chip.get_info",
            "Chip.close",
        ],
    )
    def test_calls_take_the_same_arguments(self, both: tuple[Any, Any], name: str) -> None:
        real, fake = (_parameters(module, name) for module in both)
        assert real == fake

    def test_line_settings_match_the_package(self, both: tuple[Any, Any]) -> None:
        real, fake = both
        assert [one.name for one in fields(real.LineSettings)] == [one.name for one in fields(fake.LineSettings)]
        for kind in ("Value", "Direction", "Bias", "Drive", "Edge"):
            names = [[member.name for member in getattr(module.line, kind)] for module in (real, fake)]
            assert names[0] == names[1]


def _parameters(module: Any, name: str) -> list[tuple[str, Any]]:
    found = module
    for part in name.split("."):
        found = getattr(found, part)
    return [(one.name, one.default) for one in inspect.signature(found).parameters.values()]

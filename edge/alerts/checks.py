"""What ``maskgate doctor`` checks about lamps, buzzer and sound."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from edge.alerts.choose import wants_gpiod
from edge.alerts.outputs import AUTO, OUTPUTS
from edge.alerts.sound import TONE, UnplayableError, read_clip
from edge.board import gpio_chips, kernel_release, profile_of
from edge.board.findings import PIP, Check, Finding, Machine, State
from edge.clock import SystemClock
from edge.config import Config

OLDEST_KERNEL = (5, 10)
"""The first Linux version with the GPIO interface that gpiod 2 needs."""
WIRING = "docs/how-to/wiring.md has the pins of each board"
OLDEST_GPIOD = 2
"""The first major version of gpiod with today's interface."""


def gpio(machine: Machine, config: Config) -> Iterator[Finding]:
    board = profile_of(machine.root)
    labels = {chip.name: f" ({chip.label})" for chip in gpio_chips(machine.root) if chip.label}
    nodes = sorted(path.name for path in (machine.root / "dev").glob("gpiochip*"))
    chips = ", ".join(f"{node}{labels.get(node, '')}" for node in nodes)
    alerts = config.alerts
    limit = State.WARNING if alerts.output == "auto" else State.PROBLEM
    if alerts.output not in (AUTO, "gpio", "gpiod"):
        yield _other(alerts.output)
    elif not chips:
        yield Finding("gpio", limit, "there is no GPIO: no lamp, no buzzer", 'set alerts.output = "none"')
    elif wants_gpiod(alerts, board):
        yield _gpiod(machine, chips, limit)
    elif alerts.output == "auto" and board.pins == "gpiod":
        text = f"{chips}; no alarm pin is set"
        yield _too_old(machine, limit) or Finding("gpio", limit, text, f"set alerts.led_pin and the others: {WIRING}")
    else:
        yield _gpiozero(machine, chips, limit)


def _other(name: str) -> Finding:
    try:
        importlib.import_module(OUTPUTS[name].module)
    except ImportError as error:
        remedy = f'install {OUTPUTS[name].needs}, or set alerts.output = "none"'
        return Finding("gpio", State.PROBLEM, f"alerts.output is {name}: {error}", remedy)
    return Finding("gpio", State.OK, f'not used: alerts.output is "{name}"')


def _gpiozero(machine: Machine, chips: str, limit: State) -> Finding:
    driver = next((name for name in ("lgpio", "rpi-lgpio", "pigpio") if machine.version_of(name)), None)
    gpiozero = machine.version_of("gpiozero")
    if gpiozero and driver:
        return Finding("gpio", State.OK, f"{chips}, gpiozero {gpiozero} with {driver}")
    missing = "gpiozero and lgpio are" if not gpiozero else "lgpio is"
    of_system = machine.sees_system and profile_of(machine.root).pins == "gpiozero"
    remedy = "sudo apt install python3-gpiozero python3-lgpio" if of_system else f"{PIP} install gpiozero lgpio"
    return Finding("gpio", limit, f"{chips}, but {missing} not installed", remedy)


def _too_old(machine: Machine, limit: State) -> Finding | None:
    release = kernel_release(machine.root)
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if numbers is None or (int(numbers[1]), int(numbers[2])) >= OLDEST_KERNEL:
        return None
    text = f"gpiod needs Linux {'.'.join(map(str, OLDEST_KERNEL))}, and this is {release}: no lamp, no buzzer"
    return Finding("gpio", limit, text, f'install a newer system ({WIRING}), or set alerts.output = "none"')


def _gpiod(machine: Machine, chips: str, limit: State) -> Finding:
    if too_old := _too_old(machine, limit):
        return too_old
    gpiod = machine.version_of("gpiod")
    if gpiod and int(gpiod.split(".")[0]) >= OLDEST_GPIOD:
        return Finding("gpio", State.OK, f"{chips}, gpiod {gpiod}")
    missing = f"gpiod {gpiod} is too old" if gpiod else "gpiod is not installed"
    return Finding("gpio", limit, f"{chips}, but {missing}", f"{PIP} install 'gpiod>=2.1'")


def sound(machine: Machine, config: Config) -> Iterator[Finding]:
    alerts = config.alerts
    if alerts.sound == "none":
        return
    if machine.program("aplay") is None:
        yield Finding(
            "sound", State.WARNING, "the alarm has no sound: aplay is not installed", "sudo apt install alsa-utils"
        )
    elif alerts.sound_device == "default" and "[" not in machine.text("proc/asound/cards"):
        yield Finding(
            "sound", State.WARNING, "the alarm has no sound: there is no sound card", "plug one in; check: aplay -l"
        )
    else:
        yield Finding("sound", State.OK, f"{alerts.sound} through {alerts.sound_device}")
    if alerts.sound != TONE:
        try:
            read_clip(Path(alerts.sound).expanduser())
        except UnplayableError as error:
            yield Finding("sound", State.WARNING, str(error), 'set alerts.sound = "tone", or to a prompt in a WAV file')


def quiet_hours(machine: Machine, config: Config) -> Iterator[Finding]:
    hours = config.alerts.quiet_hours
    if not hours:
        return
    text = f"{hours} in local time; it is {SystemClock().now().astimezone():%H:%M (%Z)} now"
    if machine.clock_is_set() is False:
        text += " and the clock was not set by a time server"
        yield Finding("quiet hours", State.WARNING, text, "sudo timedatectl set-ntp true, or fit a real-time clock")
    else:
        yield Finding("quiet hours", State.OK, text)


CHECKS: tuple[Check, ...] = (
    gpio,
    sound,
    quiet_hours,
)

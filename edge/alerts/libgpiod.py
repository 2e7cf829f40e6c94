"""Lines of any GPIO chip, through libgpiod's character device: Jetson, USB expanders.

A pin is a line of ``alerts.chip``, by its name or offset, or one of the board's header by its place: ``BOARD29``.

Import it only where the package ``gpiod`` (version 2) is wanted. It needs Linux 5.10 or later.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import gpiod
from gpiod.line import Bias, Direction, Edge, Value

from edge.alerts.pins import BUTTON, KEYS, ROLES, PinAlert, Role
from edge.board import Profile
from edge.board.header import Line, header_line, is_header_pin
from edge.config import AlertSettings
from edge.errors import AlertError, ConfigError

CONSUMER = "maskgate"
"""The consumer name that gpioinfo shows for the lines."""
BOUNCE = timedelta(milliseconds=50)
"""A button's contacts bounce for less than this."""
VALUES = {False: Value.INACTIVE, True: Value.ACTIVE}


def open_output(settings: AlertSettings, board: Profile, devices: Path) -> PinAlert:
    """Lamps, buzzer, relay and button on lines of any board.

    Raises:
        ConfigError: No chip or no pin is named, the header has no such pin, or the buzzer needs a tone.
        AlertError: The chip is not there, or a line cannot be driven.
    """
    return PinAlert(GpiodLines(settings, board.name, devices), settings)


class GpiodLines:
    """Output lines, and a button between a line and ground.

    Only pins that the operator named are touched: the defaults are numbers of a Raspberry Pi, and on another chip such
    a line may switch anything.

    Args:
        settings: Chip, lines and their polarity.
        board: Whose header it is, by its name in the table of boards.
        devices: Where chips appear.

    Raises:
        ConfigError: No chip or no pin is named, the header has no such pin, or the buzzer needs a tone.
        AlertError: The chip is not there, or a line cannot be driven.
    """

    def __init__(self, settings: AlertSettings, board: str, devices: Path = Path("/dev")) -> None:
        self._settings = settings
        named = {
            role: pin
            for role, key in KEYS.items()
            if key in settings.model_fields_set and (pin := getattr(settings, key)) is not None
        }
        self._refuse_what_it_cannot(named)
        lines = {
            role: header_line(board, str(pin)) if is_header_pin(pin) else Line(settings.chip, pin)
            for role, pin in named.items()
        }
        chips = {name: find_chip(name, devices) for name in dict.fromkeys(line.chip for line in lines.values())}
        self._pins = {role: (chips[name], line) for role, (name, line) in lines.items()}
        wired = ", ".join(f"{KEYS[role]} on {pin}" for role, pin in named.items())
        self.name = f"gpiod ({', '.join(map(str, chips.values()))}: {wired})"
        self._outputs: dict[Role, gpiod.LineRequest] = {}
        self._button: gpiod.LineRequest | None = None
        self._requests = ExitStack()
        with ExitStack() as opened:
            opened.callback(self.close)
            self._open()
            opened.pop_all()

    def set(self, role: Role, on: bool) -> None:
        """Switch the line of ``role``."""
        if role in self._outputs:
            self._outputs[role].set_value(self._pins[role][1], VALUES[on])

    def pressed(self) -> bool:
        """Whether the button was pressed since the last call."""
        if self._button is None or not self._button.wait_edge_events(0):
            return False
        self._button.read_edge_events()
        return True

    def close(self) -> None:
        """Switch everything off, then release the lines, each even if another fails."""
        self._button = None
        self._outputs.clear()
        self._requests.close()

    def _refuse_what_it_cannot(self, named: Collection[str]) -> None:
        if not named:
            raise ConfigError(
                'alerts.output = "gpiod" drives only pins that you name: set alerts.led_pin and so on to pins of the '
                'header ("BOARD29"; docs/how-to/wiring.md), or to offsets or names of the chip\'s lines; '
                "gpioinfo lists them."
            )
        if "buzzer" in named and self._settings.buzzer == "passive":
            raise ConfigError(
                'alerts.buzzer = "passive" needs a tone, which alerts.output = "gpiod" cannot make; '
                "wire an active buzzer."
            )

    def _open(self) -> None:
        for role in ROLES:
            if role in self._pins:
                self._outputs[role] = request = self._request(role, self._output_settings(role))
                self._requests.callback(request.set_value, self._pins[role][1], Value.INACTIVE)
        if BUTTON in self._pins:
            pulled_up = gpiod.LineSettings(
                direction=Direction.INPUT,
                bias=Bias.PULL_UP,
                active_low=True,
                edge_detection=Edge.RISING,
                debounce_period=BOUNCE,
            )
            self._button = self._request(BUTTON, pulled_up)

    def _output_settings(self, role: Role) -> gpiod.LineSettings:
        settings = self._settings
        active_high = settings.relay_active_high if role == "relay" else settings.active_high
        return gpiod.LineSettings(direction=Direction.OUTPUT, active_low=not active_high, output_value=Value.INACTIVE)

    def _request(self, role: str, how: gpiod.LineSettings) -> gpiod.LineRequest:
        """The line of ``role``, released with the others."""
        chip, line = self._pins[role]
        try:
            request = gpiod.request_lines(str(chip), {line: how}, consumer=CONSUMER)
        except (OSError, ValueError) as error:
            raise AlertError(
                f"Cannot drive alerts.{KEYS[role]} ({line} of {chip}): {error}; does gpioinfo list it and is it "
                'free, is this user in the group gpio? alerts.output = "none" runs without.'
            ) from error
        self._requests.callback(request.release)
        return request


def find_chip(wanted: str, devices: Path) -> Path:
    """The chip that ``wanted`` names: a path, the name of a device (``gpiochip0``) or a label (``tegra234-gpio``).

    Raises:
        ConfigError: None is named.
        AlertError: There is no such chip.
    """
    chips = sorted(devices.glob("gpiochip*"))
    if not wanted:
        raise ConfigError(
            'alerts.output = "gpiod" needs alerts.chip, a path, name or label that gpiodetect lists, or pins of the '
            'header: alerts.led_pin = "BOARD29".'
        )
    for path in (Path(wanted), devices / wanted):
        if path.is_absolute() and gpiod.is_gpiochip_device(str(path)):
            return path
    labels = {path: _label(path) for path in chips}
    for path, label in labels.items():
        if label == wanted:
            return path
    there = ", ".join(f"{path.name} ({label})" for path, label in labels.items()) or "none"
    raise AlertError(f"There is no GPIO chip {wanted!r}; chips here: {there}. Set alerts.chip to one of them.")


def _label(path: Path) -> str:
    try:
        with gpiod.Chip(str(path)) as chip:
            return chip.get_info().label
    except OSError as error:
        return error.strerror or str(error)

"""Pins of a Raspberry Pi, through gpiozero. Import it only where gpiozero is wanted.

gpiozero guesses the number of the chip behind the header, which has changed with the Pi 5's kernels; here it is found
by its label.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import gpiozero

from edge.alerts.pins import BUTTON, KEYS, ROLES, PinAlert, Role
from edge.board import Profile, header_chip
from edge.config import AlertSettings
from edge.errors import AlertError

LGPIO = "lgpio"
BOUNCE = 0.05
"""A button's contacts bounce for less than this, in seconds."""


def open_output(settings: AlertSettings, _board: Profile, _devices: Path) -> PinAlert:
    """Lamps, buzzer, relay and button on a Raspberry Pi.

    Raises:
        AlertError: A pin cannot be driven.
    """
    return PinAlert(GpioLines(settings), settings)


class Tone(gpiozero.PWMOutputDevice):  # type: ignore[misc]
    """A passive buzzer: "on" is a square wave at half duty, where it is loudest, instead of a steady level."""

    def _value_to_state(self, value: float) -> float:
        state: float = super()._value_to_state(value / 2)
        return state


class GpioLines:
    """Output devices on BCM pins, and a button between a pin and ground. Pins that are None are not touched.

    Args:
        settings: Pins, their polarity, kind and pitch (hertz) of the buzzer.

    Raises:
        AlertError: A pin cannot be driven.
    """

    def __init__(self, settings: AlertSettings) -> None:
        self.name = f"gpio (red LED {_pin(settings.led_pin)}, green LED {_pin(settings.welcome_pin)}, "
        self.name += f"{settings.buzzer} buzzer {_pin(settings.buzzer_pin)}"
        self.name += f", {settings.relay} relay {_pin(settings.relay_pin)}" if settings.relay_pin is not None else ""
        self.name += f", mute button {_pin(settings.mute_pin)})" if settings.mute_pin is not None else ")"
        self._settings = settings
        self._outputs: dict[Role, Any] = {}
        self._presses = threading.Event()
        self._devices = ExitStack()
        if gpiozero.Device.pin_factory is None and os.environ.get("GPIOZERO_PIN_FACTORY", LGPIO) == LGPIO:
            load_lgpio()
        take_header_chip()
        with ExitStack() as opened:
            opened.callback(self.close)
            self._open()
            opened.pop_all()

    def set(self, role: Role, on: bool) -> None:
        """Switch the pin of ``role``."""
        if role in self._outputs:
            self._outputs[role].value = on

    def pressed(self) -> bool:
        """Whether the button was pressed since the last call."""
        if not self._presses.is_set():
            return False
        self._presses.clear()
        return True

    def close(self) -> None:
        """Everything off, then the pins become inputs again."""
        self._outputs.clear()
        self._devices.close()

    def _open(self) -> None:
        settings = self._settings
        for role in ROLES:
            if getattr(settings, KEYS[role]) is None:
                continue
            if role == "buzzer" and settings.buzzer == "passive":
                device = self._device(role, Tone, active_high=settings.active_high, frequency=settings.tone)
            elif role == "relay":
                device = self._device(role, gpiozero.DigitalOutputDevice, active_high=settings.relay_active_high)
            else:
                device = self._device(role, gpiozero.DigitalOutputDevice, active_high=settings.active_high)
            self._devices.callback(device.off)
            self._outputs[role] = device
        if settings.mute_pin is not None:
            button = self._device(BUTTON, gpiozero.Button, pull_up=True, bounce_time=BOUNCE)
            button.when_pressed = self._presses.set

    def _device(self, role: str, make: Callable[..., Any], **options: Any) -> Any:
        """The device on the pin of ``role``, closed with the rest."""
        pin = getattr(self._settings, KEYS[role])
        try:
            device = make(pin, **options)
        except Exception as error:  # pin factories raise what they like; lgpio's error is a bare Exception
            raise AlertError(
                f"Cannot drive alerts.{KEYS[role]} ({_bcm(pin)}): {error}; is the pin free, is this user in the group "
                "gpio, is lgpio installed (pip install 'maskgate[pi]')? alerts.output = \"none\" runs without."
            ) from error
        self._devices.callback(device.close)
        return device


def load_lgpio() -> None:
    """Import lgpio, if it is there. It creates a named pipe in the working directory then, and fails where it cannot.

    Raises:
        AlertError: It fails elsewhere, too.
    """
    try:
        with nullcontext() if _takes_files() else _folder_in_memory():
            importlib.import_module(LGPIO)
    except ImportError:  # gpiozero has other libraries
        return
    except OSError as error:
        raise AlertError(
            f"lgpio cannot be loaded: {error}; start maskgate in a folder that it may write to. "
            'alerts.output = "none" runs without.'
        ) from error


def _takes_files() -> bool:
    """Whether the working directory does; not on a card that became read-only."""
    try:
        with tempfile.TemporaryFile(dir="."):
            return True
    except OSError:
        return False


@contextmanager
def _folder_in_memory() -> Iterator[None]:
    """Work in a new folder; it is gone afterwards."""
    before = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with tempfile.TemporaryDirectory(prefix="maskgate-", dir="/dev/shm") as folder:
            os.chdir(folder)
            try:
                yield
            finally:
                os.fchdir(before)
    finally:
        os.close(before)


def take_header_chip(root: Path = Path("/")) -> None:
    """Let gpiozero use lgpio with the chip behind the header, unless the environment chose something else.

    Args:
        root: Where /sys and /dev are.

    Raises:
        AlertError: The chip cannot be opened.
    """
    chip = header_chip(root)
    if chip is None or gpiozero.Device.pin_factory is not None or os.environ.get("GPIOZERO_PIN_FACTORY"):
        return
    try:
        from gpiozero.pins.lgpio import LGPIOFactory
    except ImportError:
        return
    try:
        gpiozero.Device.pin_factory = LGPIOFactory(chip=chip.number)
    except Exception as error:  # lgpio's error is a bare Exception
        raise AlertError(
            f"Cannot open the header's GPIO chip {chip.name} ({chip.label}): {error}; is this user in the group gpio? "
            'alerts.output = "none" runs without.'
        ) from error


def _pin(pin: int | str | None) -> str:
    return "not wired" if pin is None else f"on {pin}"


def _bcm(pin: int | str) -> str:
    return f"BCM {pin}" if isinstance(pin, int) else pin

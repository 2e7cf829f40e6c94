"""Lamps and a buzzer on GPIO pins, through gpiozero. Import it only where gpiozero is wanted."""

from __future__ import annotations

import atexit
import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import gpiozero

from edge.config import AlertSettings
from edge.errors import AlertError


class Tone(gpiozero.PWMOutputDevice):  # type: ignore[misc]
    """A passive buzzer: "on" is a square wave at half duty, where it is loudest, instead of a steady level."""

    def _value_to_state(self, value: float) -> float:
        state: float = super()._value_to_state(value / 2)
        return state


class GpioAlert:
    """A red LED and a buzzer that flash and beep together, and a green LED.

    The pattern runs on gpiozero's threads and ends by itself after ``duration``, so that a program that hangs does not
    leave the buzzer on. Pins that are None are not wired and not touched. Everything is off from the start, after
    ``close`` and when the interpreter exits.

    Args:
        settings: Pins (BCM numbers), pattern (seconds), pitch (hertz).

    Raises:
        AlertError: A pin cannot be driven.
    """

    def __init__(self, settings: AlertSettings) -> None:
        self.name = f"gpio (red LED {_pin(settings.led_pin)}, green LED {_pin(settings.welcome_pin)}, "
        self.name += f"{settings.buzzer} buzzer {_pin(settings.buzzer_pin)})"
        self._settings = settings
        self._welcome_lamp: Any = None
        self._alarms: list[Any] = []
        self._devices = ExitStack()
        atexit.register(self.close)
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def alarm(self, on: bool) -> None:
        """Start the pattern from its beginning, or stop it."""
        settings = self._settings
        period = settings.on_time + settings.off_time
        for device in self._alarms:
            if on:
                device.blink(settings.on_time, settings.off_time, n=math.ceil(settings.duration / period))
            else:
                device.off()

    def welcome(self, on: bool) -> None:
        """Light or darken the green LED."""
        if self._welcome_lamp is not None:
            self._welcome_lamp.value = on

    def close(self) -> None:
        """Everything off, then the pins become inputs again. Safe to call twice."""
        atexit.unregister(self.close)
        self._alarms = []
        self._welcome_lamp = None
        self._devices.close()

    def _open(self) -> None:
        settings = self._settings
        self._welcome_lamp = self._device("welcome_pin", gpiozero.LED)
        lamp = self._device("led_pin", gpiozero.LED)
        if settings.buzzer == "passive":
            sounder = self._device("buzzer_pin", Tone, frequency=settings.tone)
        else:
            sounder = self._device("buzzer_pin", gpiozero.Buzzer)
        self._alarms = [device for device in (lamp, sounder) if device is not None]

    def _device(self, key: str, make: Callable[..., Any], **options: Any) -> Any:
        """The device on the pin that ``key`` names, switched off and closed with the rest; None if not wired."""
        pin = getattr(self._settings, key)
        if pin is None:
            return None
        try:
            device = make(pin, active_high=self._settings.active_high, **options)
        # Pin factories raise what they like; lgpio's error is a bare Exception.
        except Exception as error:
            raise AlertError(
                f"Cannot drive alerts.{key} (BCM {pin}): {error}; is the pin free, is this user in the group gpio, "
                "is lgpio installed (pip install 'maskgate[pi]')? alerts.output = \"none\" goes without."
            ) from error
        self._devices.callback(device.close)
        self._devices.callback(device.off)
        return device


def _pin(number: int | None) -> str:
    return "not wired" if number is None else f"on {number}"

"""Which output drives the alerts."""

from __future__ import annotations

import os
from pathlib import Path

from edge.alerts import Alert
from edge.alerts.none import NoAlert
from edge.config import AlertSettings
from edge.errors import AlertError, ConfigError

PIN_KEYS = ("led_pin", "welcome_pin", "buzzer_pin")


def open_alert(settings: AlertSettings, devices: Path = Path("/dev")) -> Alert:
    """Open the output that the settings ask for; ``auto`` never fails, its ``name`` says what it took and why.

    Args:
        settings: Output, pins, pattern.
        devices: Where GPIO chips appear.

    Raises:
        ConfigError: Two outputs share a pin.
        AlertError: ``gpio`` was asked for and cannot be driven.
    """
    _refuse_shared_pins(settings)
    if settings.output == "none":
        return NoAlert("by configuration")
    if settings.output == "gpio":
        return _open_gpio(settings)
    if not _has_gpio(devices):
        return NoAlert(f"this machine has no GPIO: there is no {devices}/gpiochip*")
    try:
        return _open_gpio(settings)
    except AlertError as error:
        return NoAlert(str(error))


def _refuse_shared_pins(settings: AlertSettings) -> None:
    taken: dict[int, str] = {}
    for key in PIN_KEYS:
        pin = getattr(settings, key)
        if pin is None:
            continue
        if pin in taken:
            raise ConfigError(
                f"alerts.{taken[pin]} and alerts.{key} are both {pin}; give each a pin of its own, or -1 for none."
            )
        taken[pin] = key


def _has_gpio(devices: Path) -> bool:
    """Whether there is a chip, or gpiozero is told to do without (a remote or simulated one)."""
    return bool(os.environ.get("GPIOZERO_PIN_FACTORY")) or any(devices.glob("gpiochip*"))


def _open_gpio(settings: AlertSettings) -> Alert:
    try:
        from edge.alerts.gpio import GpioAlert  # noqa: PLC0415 - hardware packages are imported where they are needed
    except ImportError as error:
        raise AlertError(
            f"Cannot drive GPIO pins: {error}; install gpiozero (pip install 'maskgate[pi]'), "
            'or set alerts.output = "none".'
        ) from error
    return GpioAlert(settings)

"""Which outputs give the alerts."""

from __future__ import annotations

import os
from pathlib import Path

from edge.alerts import Alert
from edge.alerts.none import NoAlert
from edge.alerts.pins import KEYS, Lines, PinAlert
from edge.alerts.together import Together
from edge.board import Profile, profile_of
from edge.board.header import is_header_pin
from edge.config import AlertSettings
from edge.errors import AlertError, ConfigError

DEVICES = Path("/dev")


def open_alert(settings: AlertSettings, devices: Path = DEVICES, board: Profile | None = None) -> Alert:
    """Open the outputs that the settings ask for; ``auto`` never fails, its ``name`` says what it took and why.

    Sound that cannot be had is no reason to stop either: ``trouble`` says why.

    Args:
        settings: Outputs, pins, pattern, sound.
        devices: Where GPIO chips appear.
        board: What is known of this board; None looks.

    Raises:
        ConfigError: Two parts share a pin, or a pin or chip is not named where it must be.
        AlertError: ``gpio`` or ``gpiod`` was asked for and cannot be driven.
    """
    try:
        lines = open_lines(settings, devices, board)
    except AlertError as error:
        if settings.output != "auto":
            raise
        pins: Alert = NoAlert(str(error))
    else:
        pins = PinAlert(lines, settings) if lines else NoAlert("by configuration")
    if settings.sound == "none":
        return pins
    from edge.alerts.sound import open_sound

    return Together([pins, open_sound(settings)])


def open_lines(settings: AlertSettings, devices: Path = DEVICES, board: Profile | None = None) -> Lines | None:
    """Open the pins that the settings ask for, all off; None where they ask for none.

    Raises:
        ConfigError: Two parts share a pin, or a pin or chip is not named where it must be.
        AlertError: The pins cannot be driven.
    """
    _refuse_shared_pins(settings)
    if settings.output == "none":
        return None
    board = board or profile_of()
    if wants_gpiod(settings, board):
        return _open_gpiod(settings, board.name, devices)
    if settings.output == "auto" and not _has_gpio(devices):
        raise AlertError(f"this machine has no GPIO: there is no {devices}/gpiochip*")
    if settings.output == "auto" and board.pins == "gpiod":
        raise AlertError(
            f'no pin of the {board.name} is named: set alerts.led_pin = "BOARD16" and so on: docs/how-to/wiring.md'
        )
    return _open_gpio(settings)


def wants_gpiod(settings: AlertSettings, board: Profile) -> bool:
    """Whether gpiod is to drive the pins: asked for, or implied by a chip or by pins of a header that it knows."""
    by_place = any(is_header_pin(getattr(settings, key)) for key in KEYS.values())
    implied = settings.chip or (board.pins == "gpiod" and by_place)
    return settings.output == "gpiod" or bool(settings.output == "auto" and implied)


def _refuse_shared_pins(settings: AlertSettings) -> None:
    taken: dict[int | str, str] = {}
    for key in KEYS.values():
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


def _open_gpio(settings: AlertSettings) -> Lines:
    try:
        from edge.alerts.gpio import GpioLines
    except ImportError as error:
        raise AlertError(
            f"Cannot drive GPIO pins: {error}; install gpiozero (pip install 'maskgate[pi]'), "
            'or set alerts.output = "none".'
        ) from error
    return GpioLines(settings)


def _open_gpiod(settings: AlertSettings, board: str, devices: Path) -> Lines:
    try:
        from edge.alerts.libgpiod import GpiodLines
    except ImportError as error:
        raise AlertError(
            f"Cannot drive GPIO lines: {error}; install gpiod 2.1 or later (pip install 'maskgate[gpiod]'), "
            'or set alerts.output = "none".'
        ) from error
    return GpiodLines(settings, board, devices)

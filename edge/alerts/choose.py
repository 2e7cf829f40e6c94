"""Which outputs give the alerts."""

from __future__ import annotations

import os
from pathlib import Path

from edge.alerts import Alert
from edge.alerts.none import NoAlert
from edge.alerts.outputs import AUTO, open_output
from edge.alerts.pins import KEYS
from edge.alerts.together import Together
from edge.board import Profile, profile_of
from edge.board.header import is_header_pin
from edge.config import AlertSettings
from edge.errors import AlertError, ConfigError

DEVICES = Path("/dev")


def open_alert(settings: AlertSettings, devices: Path = DEVICES, board: Profile | None = None) -> Alert:
    """Open the configured outputs. ``auto`` never fails; its ``name`` says what it chose and why.

    Missing sound does not stop the door either: ``trouble`` gives the reason.

    Args:
        settings: Outputs, pins, pattern, sound.
        devices: Where GPIO chips appear.
        board: What is known of this board; None looks.

    Raises:
        ConfigError: Two parts share a pin, or a pin or chip is not named where it must be.
        AlertError: An output was named that cannot be driven.
    """
    try:
        chosen = open_chosen(settings, devices, board)
    except AlertError as error:
        if settings.output != AUTO:
            raise
        chosen = NoAlert(str(error))
    if settings.sound == "none":
        return chosen
    return Together([chosen, open_output("sound", settings, board or profile_of(), devices)])


def open_chosen(settings: AlertSettings, devices: Path = DEVICES, board: Profile | None = None) -> Alert:
    """Open the output that ``alerts.output`` chooses, everything off.

    Raises:
        ConfigError: Two parts share a pin, or a pin or chip is not named where it must be.
        AlertError: It cannot be driven.
    """
    _refuse_shared_pins(settings)
    board = board or profile_of()
    name = settings.output if settings.output != AUTO else _suitable(settings, devices, board)
    return open_output(name, settings, board, devices)


def wants_gpiod(settings: AlertSettings, board: Profile) -> bool:
    """Whether gpiod is to drive the pins: asked for, or implied by a chip or by pins of a header that it knows."""
    by_place = any(is_header_pin(getattr(settings, key)) for key in KEYS.values())
    implied = settings.chip or (board.pins == "gpiod" and by_place)
    return settings.output == "gpiod" or bool(settings.output == AUTO and implied)


def _suitable(settings: AlertSettings, devices: Path, board: Profile) -> str:
    """The output that ``auto`` takes.

    Raises:
        AlertError: There is none.
    """
    if wants_gpiod(settings, board):
        return "gpiod"
    if not _has_gpio(devices):
        raise AlertError(f"this machine has no GPIO: there is no {devices}/gpiochip*")
    if board.pins == "gpiod":
        raise AlertError(
            f'no pin of the {board.name} is named: set alerts.led_pin = "BOARD16" and so on: docs/how-to/wiring.md'
        )
    return "gpio"


def _refuse_shared_pins(settings: AlertSettings) -> None:
    taken: dict[int | str, str] = {}
    for key in KEYS.values():
        pin = getattr(settings, key)
        if pin is None:
            continue
        if pin in taken:
            raise ConfigError(
                f"alerts.{taken[pin]} and alerts.{key} are both {pin}; give each its own pin, or -1 for none."
            )
        taken[pin] = key


def _has_gpio(devices: Path) -> bool:
    """Whether there is a GPIO chip, or gpiozero is set to a remote or simulated one."""
    return bool(os.environ.get("GPIOZERO_PIN_FACTORY")) or any(devices.glob("gpiochip*"))

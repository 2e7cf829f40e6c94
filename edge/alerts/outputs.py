"""The outputs that there are. A new one is a module and a line here.

Its module has ``open_output(settings, board, devices) -> Alert`` and imports its hardware library at its top.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from edge.errors import AlertError

if TYPE_CHECKING:
    from edge.alerts import Alert
    from edge.board import Profile
    from edge.config import AlertSettings

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Output:
    """An output.

    Attributes:
        module: Imported when it is used.
        about: What it drives, for the settings.
        needs: What to install where the module cannot be imported.
        chosen: Whether ``alerts.output`` names it; sound has its own setting.
    """

    module: str
    about: str
    needs: str = "maskgate"
    chosen: bool = True


OUTPUTS: dict[str, Output] = {
    "gpio": Output("edge.alerts.gpio", "drives the pins of a Raspberry Pi", "gpiozero (pip install 'maskgate[pi]')"),
    "gpiod": Output(
        "edge.alerts.libgpiod", "those of other boards", "gpiod 2.1 or later (pip install 'maskgate[gpiod]')"
    ),
    "sound": Output("edge.alerts.sound", "plays through the sound card", chosen=False),
    "none": Output("edge.alerts.none", "drives no pins"),
}


class OutputModule(Protocol):
    """What the module of an output has."""

    def open_output(self, settings: AlertSettings, board: Profile, devices: Path) -> Alert:
        """Open it, everything off.

        Raises:
            ConfigError: A pin or chip is not named where it must be.
            AlertError: It cannot be driven.
        """
        ...


def names() -> tuple[str, ...]:
    """What ``alerts.output`` may be."""
    return (AUTO, *(name for name, output in OUTPUTS.items() if output.chosen))


def explained() -> str:
    """Each choice of ``alerts.output`` in a few words."""
    return ", ".join(f"{name} {output.about}" for name, output in OUTPUTS.items() if output.chosen)


def open_output(name: str, settings: AlertSettings, board: Profile, devices: Path) -> Alert:
    """Open the output of that name.

    Raises:
        ConfigError: A pin or chip is not named where it must be.
        AlertError: It cannot be driven, or its library is not installed.
    """
    output = OUTPUTS[name]
    try:
        module = cast("OutputModule", importlib.import_module(output.module))
    except ImportError as error:
        raise AlertError(
            f'alerts.output = "{name}" cannot be used: {error}; install {output.needs}, or set alerts.output = "none".'
        ) from error
    return module.open_output(settings, board, devices)

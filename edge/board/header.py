"""The 40 pins of boards that are no Raspberry Pi: which line of which chip a pin of the header is.

    header_line("Jetson Orin Nano or NX", "BOARD29")   # Line("tegra234-gpio", "PQ.05")

Pins have the names by which gpiozero knows those of a Raspberry Pi, so that a setting is the same on every board.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from edge.errors import ConfigError

NAME = re.compile(r"BOARD(\d+)")
"""A pin by its place on the header."""


class Line(NamedTuple):
    """A line: path, name or label of its chip, its own name or offset."""

    chip: str
    line: int | str


def _of(chip: str, lines: Mapping[int, str]) -> dict[int, Line]:
    return {pin: Line(chip, line) for pin, line in lines.items()}


HEADERS: Mapping[str, Mapping[int, Line]] = {
    "Jetson Orin Nano or NX": _of(
        "tegra234-gpio",
        {7: "PAC.06", 11: "PR.04", 12: "PH.07", 13: "PY.00", 15: "PN.01", 16: "PY.04", 18: "PY.03", 19: "PZ.05"}
        | {21: "PZ.04", 22: "PY.01", 23: "PZ.03", 24: "PZ.06", 26: "PZ.07", 29: "PQ.05", 31: "PQ.06", 32: "PG.06"}
        | {33: "PH.00", 35: "PI.02", 36: "PR.05", 37: "PY.02", 38: "PI.01", 40: "PI.00"},
    ),
    "Jetson AGX Orin": _of(
        "tegra234-gpio",
        {7: "PQ.06", 11: "PR.04", 12: "PH.07", 13: "PR.00", 15: "PN.01", 18: "PH.00", 19: "PZ.05", 21: "PZ.04"}
        | {22: "PP.04", 23: "PZ.03", 24: "PZ.06", 26: "PZ.07", 35: "PI.02", 36: "PR.05", 38: "PI.01", 40: "PI.00"},
    )
    | _of(
        "tegra234-gpio-aon",
        {16: "PBB.01", 29: "PAA.01", 31: "PAA.00", 32: "PBB.00", 33: "PAA.02", 37: "PAA.03"},
    ),
}
"""By the board's name in ``edge.board.PROFILES``; only pins that are free for use as they come.

Source: https://github.com/NVIDIA/jetson-gpio/blob/master/lib/python/Jetson/GPIO/gpio_pin_data.py
"""


def is_header_pin(pin: int | str | None) -> bool:
    """Whether a setting names a pin by its place on the header."""
    return isinstance(pin, str) and NAME.fullmatch(pin) is not None


def header_line(board: str, pin: str) -> Line:
    """The line behind a pin of the header.

    Args:
        board: Its name in the table of boards.
        pin: As ``is_header_pin`` takes it: ``BOARD29``.

    Raises:
        ConfigError: The board's header is not known, or that pin cannot be driven.
    """
    header = HEADERS.get(board)
    if header is None:
        raise ConfigError(
            f"The pin {pin} is one of a header, and that of the {board} is not known here; "
            "name the line instead (gpioinfo lists them), and its chip with alerts.chip."
        )
    number = int(pin.removeprefix("BOARD"))
    if number not in header:
        free = ", ".join(map(str, sorted(header)))
        raise ConfigError(
            f"The pin {pin} of the {board} cannot be driven; these can: {free}. See docs/how-to/wiring.md."
        )
    return header[number]

"""What ``maskgate doctor`` checks about the board: system, Python, memory, clock, heat and power."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edge.board import (
    kernel_release,
    memory_bytes,
    model_name,
    power_warnings,
    slowed_by,
    system_name,
    temperature_celsius,
)
from edge.board.findings import MEBI, Check, Finding, Machine, State
from edge.config import Config

LEAST_MEMORY = 200 * MEBI
"""Minimum free memory: what maskgate needs, with some reserve, in bytes."""
HOT = 80.0
"""A Raspberry Pi slows down from here, in degrees Celsius, others later."""
POWER_REMEDY = "use the board's own power supply and a short cable"
HEAT_REMEDY = "give it air or a heat sink"


def board(machine: Machine, _: Config) -> Iterator[Finding]:
    yield Finding("board", State.OK, f"{model_name(machine.root)}, {machine.architecture}")
    name = system_name(machine.root)
    if machine.architecture in ("armv6l", "armv7l"):
        yield Finding(
            "system",
            State.WARNING,
            f"{name} is a 32-bit system, for which LiteRT has no package",
            "flash the 64-bit Raspberry Pi OS",
        )
    else:
        yield Finding("system", State.OK, f"{name}, Linux {kernel_release(machine.root) or 'of unknown version'}")


def python(machine: Machine, _: Config) -> Iterator[Finding]:
    text = ".".join(map(str, machine.python))
    if (3, 10) <= machine.python <= (3, 13):
        yield Finding("python", State.OK, text)
    else:
        yield Finding("python", State.PROBLEM, f"{text} is not supported", "use Python 3.10 to 3.13")


def memory(machine: Machine, _: Config) -> Iterator[Finding]:
    total, free = memory_bytes(machine.root)
    text = f"{free // MEBI} MiB free of {total // MEBI} MiB"
    if free < LEAST_MEMORY:
        yield Finding(
            "memory", State.WARNING, f"{text}; maskgate may need 200", "stop other programs: ps aux --sort=-rss"
        )
    else:
        yield Finding("memory", State.OK, text)


def clock(machine: Machine, _: Config) -> Iterator[Finding]:
    is_set = machine.clock_is_set()
    if is_set is None:
        yield Finding("clock", State.WARNING, "the kernel does not report whether it is set", "timedatectl")
    elif is_set:
        yield Finding("clock", State.OK, "set by a time server")
    else:
        yield Finding(
            "clock",
            State.WARNING,
            "not set by a time server: visits may have wrong times",
            "sudo timedatectl set-ntp true",
        )


def temperature(machine: Machine, _: Config) -> Iterator[Finding]:
    degrees = temperature_celsius(machine.root)
    if degrees is None:
        yield Finding("temperature", State.OK, "not measured on this machine")
    elif degrees >= HOT:
        yield Finding(
            "temperature", State.WARNING, f"{degrees:.0f} °C: the processor may slow itself down", HEAT_REMEDY
        )
    else:
        yield Finding("temperature", State.OK, f"{degrees:.0f} °C")


def power(machine: Machine, _: Config) -> Iterator[Finding]:
    causes, history = slowed_by(machine.root), list(power_warnings(machine.root))
    if causes:
        text = f"the board slows itself down: {', '.join(causes)}"
        yield Finding("power", State.WARNING, text, _power_remedy(causes))
    elif history:
        since = [warning.removeprefix("since boot: ") for warning in history]
        yield Finding("power", State.OK, f"fine now, but since boot: {', '.join(since)}", _power_remedy(since))


def _power_remedy(causes: Iterable[str]) -> str:
    """For a lack of power, else for heat: firmware also calls itself throttled where the voltage is low."""
    return POWER_REMEDY if any("volt" in cause or "current" in cause for cause in causes) else HEAT_REMEDY


CHECKS: tuple[Check, ...] = (
    board,
    python,
    memory,
    clock,
    temperature,
    power,
)

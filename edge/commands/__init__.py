"""The commands: each file here is one, named as it is called (``alerts_off.py`` is ``maskgate alerts-off``).

A command has ``SUMMARY`` (a line for the list of commands), ``ABOUT`` (what it does), ``add_arguments(parser)`` and
``run(args, settings) -> exit code``. It is imported only when it is called; the help reads the two texts without that.
"""

from __future__ import annotations

import argparse
import ast
import importlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from edge.config import Settings

FOLDER = Path(__file__).parent
FIRST = ("run", "check", "doctor")
"""First in the list of commands; the others follow alphabetically."""


class Command(Protocol):
    """The module of a command."""

    SUMMARY: str
    ABOUT: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare its arguments."""
        ...

    def run(self, args: argparse.Namespace, settings: Settings) -> int:
        """Do it, and return the exit code."""
        ...


class Texts(NamedTuple):
    """What the help says of a command: in a line, and in full."""

    summary: str
    about: str


@cache
def commands() -> tuple[str, ...]:
    """The names of all commands."""
    found = {path.stem.replace("_", "-") for path in FOLDER.glob("*.py") if path.stem != "__init__"}
    return (*(name for name in FIRST if name in found), *sorted(found - set(FIRST)))


def load(name: str) -> Command:
    """The module of a command."""
    return cast("Command", importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))


def texts(name: str) -> Texts:
    """What the help says of a command, read without importing it: that takes longer than the help may take."""
    source = (FOLDER / f"{name.replace('-', '_')}.py").read_text("utf-8")
    constants = {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("SUMMARY", "ABOUT")
    }
    return Texts(constants["SUMMARY"], constants["ABOUT"])

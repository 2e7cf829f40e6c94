"""The commands: each file here is one, named as it is called (``alerts_off.py`` is ``maskgate alerts-off``).

A command has ``SUMMARY`` (a line for the list of commands), ``ABOUT`` (what it does), ``add_arguments(parser)`` and
``run(args, settings) -> exit code``. It is imported only when it is called; the help reads the two texts without that.
"""

from __future__ import annotations

import argparse
import ast
import importlib
from collections.abc import Mapping
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
def commands() -> Mapping[str, Texts]:
    """Every command by name."""
    found = {path.stem.replace("_", "-"): path for path in FOLDER.glob("*.py") if path.stem != "__init__"}
    order = [name for name in FIRST if name in found] + sorted(found.keys() - set(FIRST))
    return {name: _texts(found[name]) for name in order}


def load(name: str) -> Command:
    """The module of a command."""
    return cast("Command", importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))


def _texts(path: Path) -> Texts:
    """Without importing the module: most commands take longer to import than the help may take."""
    constants = {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("SUMMARY", "ABOUT")
    }
    return Texts(constants["SUMMARY"], constants["ABOUT"])

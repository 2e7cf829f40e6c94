"""Fuzzing: what comes in from outside, and what must hold whatever it is.

Each other module here is a target. ``python -m tests.fuzz`` (``make fuzz``) lets atheris, libFuzzer for Python, look
for input that breaks one; every run of the tests tries what ``cases/`` keeps (``tests/fuzz/test_fuzz.py``).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, cast

TARGETS = (
    "settings",
    "card",
    "manifest",
    "models",
    "pictures",
    "video",
    "mjpeg",
    "counts",
    "broker",
    "web",
    "operator",
)
CASES = Path(__file__).parent / "cases"


class Target(Protocol):
    """A module of this package."""

    ABOUT: str
    """What is tried, in a line."""
    LONGEST: int
    """Of an input, in bytes."""
    WORDS: Sequence[bytes]
    """What the format is made of: the fuzzer puts them in."""

    def seeds(self) -> Iterable[bytes]:
        """Input that is as it should be, to start from."""
        ...

    def opened(self, folder: Path) -> AbstractContextManager[Callable[[bytes], None]]:
        """What tries one input, and raises where it finds a fault. ``folder`` is its own, and empty."""
        ...


def target(name: str) -> Target:
    """The target of that name."""
    return cast("Target", importlib.import_module(f"tests.fuzz.{name}"))


def cases(name: str) -> list[Path]:
    """Inputs that once broke the target, as small as they could be made."""
    return sorted((CASES / name).glob("*"))

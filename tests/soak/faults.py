"""What a fault is, and how it is tried: ``@fault`` registers a function that injects one and sees it survived."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.soak.appliance import ROOT
from tests.soak.report import Line
from tests.stand_ins.broker import MOSQUITTO

NEEDS: dict[str, Callable[[], object]] = {
    "root": lambda: os.geteuid() == 0,
    "gcc": lambda: shutil.which("gcc"),
    "mosquitto": lambda: MOSQUITTO,
}


@dataclass
class Trial:
    """One attempt, or a series of them that share what they need.

    Attributes:
        folder: Empty at the start, gone at the end.
        rng: For whatever is drawn.
        times: Attempts that a series is to make.
        short: Whether little time is to be taken.
        line: Where results go.
        frames: That the soak is to last for.
    """

    folder: Path
    rng: random.Random
    times: int
    short: bool
    line: Line
    frames: int

    def note(self, name: str, value: float) -> None:
        """Keep a figure for the report; its name may end with a unit in brackets. Of several the largest stands."""
        self.line.figures[name] = max(round(value, 2), self.line.figures.get(name, -math.inf))

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Count the block as one attempt, survived unless it fails."""
        self.line.tried += 1
        with self.line.failing():
            yield
            self.line.survived += 1


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        group: What fails.
        name: How.
        inject: Does it, and raises FailedError where it was not survived.
        short, long: How often it is tried in either form of the soak; 0 leaves it out.
        series: Whether ``inject`` makes and counts all of its attempts itself.
        alone: Whether nothing else may run meanwhile.
        needs: What must be there: names of ``NEEDS``.
    """

    group: str
    name: str
    inject: Callable[[Trial], None]
    short: int
    long: int
    series: bool = False
    alone: bool = False
    needs: tuple[str, ...] = ()

    def run(self, short: bool, seed: int, frames: int) -> Line:
        """Try it as often as it should be."""
        line = Line(self.group, self.name)
        missing = [need for need in self.needs if not NEEDS[need]()]
        if missing:
            line.skipped = f"needs {' and '.join(missing)}"
            return line
        began, times = time.monotonic(), self.short if short else self.long
        for number in range(1 if self.series else times):
            rng = random.Random(f"{seed} {self.group} {self.name} {number}")
            with tempfile.TemporaryDirectory(prefix="maskgate-soak-") as folder:
                trial = Trial(Path(folder), rng, times, short, line, frames)
                with line.failing() if self.series else trial.attempt():
                    self.inject(trial)
        line.seconds = time.monotonic() - began
        return line


FAULTS: list[Fault] = []


def fault(group: str, name: str, short: int, long: int, **options: Any) -> Callable[..., Callable[[Trial], None]]:
    """Register the decorated function."""

    def register(inject: Callable[[Trial], None]) -> Callable[[Trial], None]:
        FAULTS.append(Fault(group, name, inject, short, long, **options))
        return inject

    return register


_libraries: list[Path] = []


@functools.cache
def compiled(source: str, *flags: str) -> Path:
    """A shared library made of ``tests/stand_ins/native/<source>.c``; it lasts as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="maskgate-soak-native-"))
    _libraries.append(folder)
    library = folder / f"{source}.so"
    code = ROOT / "tests/stand_ins/native" / f"{source}.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-pthread", *flags, "-o", str(library), str(code), "-ldl"], check=True)
    return library


def forget_compiled() -> None:
    """Remove the libraries."""
    for folder in _libraries:
        shutil.rmtree(folder, ignore_errors=True)


def say(text: str) -> None:
    """Tell the operator how far it is."""
    print(text, file=sys.stderr, flush=True)

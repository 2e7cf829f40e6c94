"""What was tried and what was survived: as a table while it goes, and as JSON at the end."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.soak.appliance import FailedError


@dataclass
class Line:
    """One line of the table.

    Attributes:
        group: What fails: camera, power, disk ...
        fault: How.
        tried: Times that it was injected.
        survived: Times that everything was as it should be.
        seconds: That it took.
        figures: Measured on the way, the unit in brackets: ``lost after (s)``. Of several trials the worst.
        failures: What went wrong, a sentence each.
        skipped: Why it could not be tried here.
    """

    group: str
    fault: str
    tried: int = 0
    survived: int = 0
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    skipped: str | None = None

    @property
    def well(self) -> bool:
        """Whether nothing was left unsurvived."""
        return self.survived == self.tried and not self.failures

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """Whatever goes wrong in the block is a failure, and the others are tried all the same."""
        try:
            yield
        except FailedError as failure:
            self.failures.append(str(failure))
        except Exception as error:
            self.failures.append(f"the trial broke off: {error!r}")


def row(line: Line) -> str:
    """A line, aligned."""
    result = "-" if line.skipped else f"{line.survived}/{line.tried}"
    figures = ", ".join(_spelt(name, value) for name, value in line.figures.items())
    said = f"not tried: {line.skipped}" if line.skipped else "; ".join(filter(None, [*line.failures[:3], figures]))
    mark = " " if line.well else "!"
    return f"{mark} {line.group:8} {line.fault:44} {result:>9} {line.seconds:7.1f} s  {said}".rstrip()


HEADING = f"  {'':8} {'fault':44} {'survived':>9} {'took':>9}"


def write(lines: Sequence[Line], folder: Path, **facts: Any) -> Path:
    """Write everything as JSON, with the machine it was measured on; the file."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(timezone.utc)
    path = folder / f"soak-{now:%Y%m%dT%H%M%SZ}.json"
    machine = {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
    }
    content = {"finished": now.isoformat(timespec="seconds"), **facts, "machine": machine}
    path.write_text(json.dumps(content | {"lines": [asdict(line) for line in lines]}, indent=1, default=str) + "\n")
    return path


def _spelt(name: str, value: float) -> str:
    name, _, unit = name.removesuffix(")").partition(" (")
    return f"{name} {value:,g} {unit}".rstrip()


def _processor() -> str:
    for text in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if text.startswith(("model name", "Model")):
            return text.partition(":")[2].strip()
    return platform.machine()

"""From process start to the first verdict, ours and the report's, in turn; and which imports take the time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.results import Options, Quartiles, Section, Table, ratios

ROOT = Path(__file__).parents[2]
OURS = ["-m", "edge", "run", "--source", "demo", "--events", "-", "--quiet"]


def run(options: Options) -> Section:
    """Start both so often, once before without counting, so that the files are in the disk's cache."""
    section = Section()
    programs = {"maskgate": OURS}
    if options.peers and (options.peers / "yunet_n_320.onnx").is_file():
        programs["the report's (YuNet 320 + Keras)"] = ["-m", "tests.bench.report_pipeline", str(options.peers)]
    else:
        section.notes.append(f"The report's start is left out: there is no YuNet in {options.peers}.")
    for arguments in programs.values():
        first_verdict(arguments)
    took: dict[str, list[Start]] = {name: [] for name in programs}
    for _ in range(options.some(7, 1)):
        for name, arguments in programs.items():
            took[name].append(first_verdict(arguments))
    _report(section, took, slowest_imports())
    return section


def _report(section: Section, took: dict[str, list[Start]], imports: Sequence[tuple[str, float]]) -> None:
    ours = [start.seconds for start in took["maskgate"]]
    rows = [
        (
            name,
            Quartiles.of([start.seconds for start in starts]).told(),
            ratios([start.seconds for start in starts], ours).told(1),
            Quartiles.of([start.processor for start in starts]).told(),
        )
        for name, starts in took.items()
    ]
    head = ("program", "seconds to the first verdict", "times maskgate's", "CPU seconds")
    section.tables.append(Table("Process start to the first verdict on the demo clip, warm:", head, rows))
    section.tables.append(
        Table(
            "`python -X importtime -m edge run --source demo --max-frames 1`, outermost modules, 10 ms and more:",
            ("module, with what it imports", "ms"),
            [(name, f"{milliseconds:.0f}") for name, milliseconds in imports],
        )
    )
    section.data = {
        name: {
            "seconds": Quartiles.of([start.seconds for start in starts]).json(),
            "processor_seconds": Quartiles.of([start.processor for start in starts]).json(),
        }
        for name, starts in took.items()
    } | {"imports_ms": dict(imports)}


class Start(NamedTuple):
    """By the clock, and of all processors together."""

    seconds: float
    processor: float


def first_verdict(arguments: list[str]) -> Start:
    """How long until a program that writes events as JSON Lines has written its first verdict."""
    begin = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if json.loads(line)["event"] == "verdict":
                took = Start(time.perf_counter() - begin, _processor_seconds(process.pid))
                process.kill()
                return took
    raise SystemExit(f"{arguments} ended without a verdict.")


def _processor_seconds(pid: int) -> float:
    """Of a process and its threads, in user and kernel mode: fields 14 and 15 of /proc/PID/stat."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def slowest_imports() -> list[tuple[str, float]]:
    """Modules that the main program asks for, and the milliseconds each takes with all that it imports in turn."""
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "edge",
        "run",
        "--source",
        "demo",
        "--max-frames",
        "1",
        "--quiet",
    ]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stderr
    found: dict[str, float] = {}
    for line in told.splitlines():
        if match := re.match(r"import time:\s+\d+ \|\s+(\d+) \| {1,3}(\S+)$", line):
            found[match[2]] = int(match[1]) / 1e3
    return sorted(((name, took) for name, took in found.items() if took >= 10), key=lambda one: -one[1])

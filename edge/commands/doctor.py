"""``maskgate doctor``: what this machine has, what is missing, and how to fix it."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from edge.board import read_board
from edge.board.findings import PIP, Check, Finding, Machine, State
from edge.config import Config, Settings
from edge.text import plural

SUMMARY = "report what is missing on this machine"
ABOUT = "Examine this machine and report what maskgate needs, what is missing, and how to fix it."

CHECKS = (
    "edge.board.checks",
    "edge.vision.checks",
    "edge.runtime.checks",
    "edge.runtime.accelerator.checks",
    "edge.cameras.checks",
    "edge.alerts.checks",
    "edge.sinks.web.checks",
    "edge.sinks.counts.checks",
)
"""Modules with a tuple ``CHECKS``, in the order of the report."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the findings. Returns 1 if maskgate cannot run at a door here, else 0."""
    machine = Machine()
    findings = examine(machine, settings.config)
    problems = sum(finding.state is State.PROBLEM for finding in findings)
    if args.json:
        board = asdict(read_board(machine.root, machine.architecture))
        del board["profile"]["pattern"]
        said = {"ok": not problems, "board": board, "findings": [asdict(one) for one in findings]}
        print(json.dumps(said, indent=2))
    else:
        print(as_text(findings))
    return 1 if problems else 0


def examine(machine: Machine, config: Config) -> list[Finding]:
    """Run every check. What two checks say alike is reported once, with the first one's remedy."""
    found: dict[tuple[str, str], Finding] = {}
    for module in CHECKS:
        for finding in _of_room(module, machine, config):
            found.setdefault((finding.name, finding.text), finding)
    return list(found.values())


def _of_room(module: str, machine: Machine, config: Config) -> Iterator[Finding]:
    """The findings of one room. Where a package is missing that the room needs, that is the finding."""
    try:
        checks: Sequence[Check] = importlib.import_module(module).CHECKS
        for check in checks:
            yield from check(machine, config)
    except ImportError as error:
        room = module.removeprefix("edge.").removesuffix(".checks")
        yield Finding(room, State.PROBLEM, f"cannot be examined: {error}", f"{PIP} install maskgate")


def as_text(findings: Iterable[Finding]) -> str:
    """The findings for people: a line each, the remedy below, the conclusion at the end."""
    lines = []
    states = []
    for one in findings:
        states.append(one.state)
        lines.append(f"{one.state.value:8} {one.name:12} {one.text}")
        if one.remedy:
            lines.append(f"{'':21} -> {one.remedy}")
    problems, warnings = states.count(State.PROBLEM), states.count(State.WARNING)
    conclusion = "maskgate cannot run at a door here yet" if problems else "maskgate can run at a door here"
    return "\n".join([*lines, "", f"{conclusion}: {plural(problems, 'problem')}, {plural(warnings, 'warning')}."])

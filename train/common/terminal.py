"""What commands say on the terminal, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from edge.cli import INTERRUPTED
from edge.errors import MaskgateError

Item = TypeVar("Item")


def run_program(
    name: str,
    run: Callable[[argparse.Namespace], int | None],
    args: argparse.Namespace,
    *,
    fault: Callable[[OSError], str] = str,
    stopped: Callable[[], str] = lambda: "stopped",
) -> int:
    """Run a command. An error is one sentence on standard error, and its exit code.

    Args:
        name: Of the command.
        run: Does it.
        args: What it is given.
        fault: Words for what the system refuses, such as a file that cannot be written.
        stopped: Words for Ctrl-C.
    """
    try:
        return run(args) or 0
    except MaskgateError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{name}: error: {fault(error)}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: {stopped()}.", file=sys.stderr)
        return INTERRUPTED


def progress(items: Sequence[Item], words: str) -> Iterable[Item]:
    """Give the items one by one, with a progress bar on the terminal."""
    from rich.progress import track

    return track(items, description=words)


def say_written(task: str, model: Path, metrics: Path, about: str = "") -> None:
    """Tell what a training wrote, and what comes next."""
    named = "" if model == Path("runs", task, f"{task}.keras") else f" --model {model}"
    say(f"Wrote {model}{about} and {metrics}. Next: make convert ARGS='{task}{named}'")


def say(line: str) -> None:
    """Tell the operator how far the run is."""
    print(line, flush=True)

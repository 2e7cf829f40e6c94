"""Options and program endings that training and evaluation share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from edge.errors import ConfigError, MaskgateError

Item = TypeVar("Item")

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended."""


def add_shared(parser: argparse.ArgumentParser, out: Path, seed: int) -> None:
    """Declare ``--validation``, ``--out``, ``--seed``, ``--workers`` and ``--resume``."""
    add = parser.add_argument
    add(
        "--validation",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="measured and reported, never used to choose",
    )
    add("--out", type=Path, default=out, metavar="DIR", help="checkpoints and results (default: %(default)s)")
    add("--seed", type=int, default=seed, help="default: %(default)s")
    add("--workers", type=int, default=2, help="threads that prepare images (default: %(default)s)")
    add("--resume", action="store_true", help="continue the run in --out")
    add("--tensorboard", action="store_true", help="also write the figures of each epoch to --out for TensorBoard")


def add_hold_out(parser: argparse.ArgumentParser) -> None:
    """Declare ``--hold-out`` and ``--keep-split``."""
    add = parser.add_argument
    add(
        "--hold-out",
        type=float,
        default=0.05,
        help="share of the photos to choose by; at least 20 photos, or a fifth of few (default: %(default)s)",
    )
    add(
        "--keep-split",
        type=Path,
        metavar="JSON",
        help="split.json of an earlier run: what it held out stays held out, and what it learned from is learned from; "
        "needed to go on from its model with more photos",
    )


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


def require_at_least(args: argparse.Namespace, bounds: Mapping[str, int]) -> None:
    """Check whole-numbered options that are set.

    Args:
        args: Of the command line.
        bounds: The least value by option, named as in ``args``.

    Raises:
        ConfigError: One is smaller.
    """
    for name, least in bounds.items():
        value = getattr(args, name)
        if value is not None and value < least:
            raise ConfigError(f"--{name.replace('_', '-')} is {value}: give at least {least}.")


def parse_draws(words: Iterable[str]) -> dict[str, float]:
    """How many times more often each source is drawn, from words such as ``street_masks=3``.

    Raises:
        ConfigError: One of them is not of that form.
    """
    return dict(_times(word) for word in words)


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


def _times(text: str) -> tuple[str, float]:
    source, _, times = text.partition("=")
    try:
        number = float(times)
    except ValueError:
        number = 0.0
    if not (source and 0 < number < float("inf")):
        raise ConfigError(f"--draw {text} is not understood: give a source and a number above 0, as street_masks=3.")
    return source, number

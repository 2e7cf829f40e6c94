"""Options that several commands share: declared alike, and checked alike."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

from edge.errors import ConfigError


def add_photos(parser: argparse.ArgumentParser, words: str) -> None:
    """Declare the photos to learn from, as arguments or with ``--data``; ``words`` is their help."""
    add = parser.add_argument
    add("photos", nargs="*", type=Path, metavar="PHOTOS", help=words)
    add("--data", action="append", type=Path, default=[], metavar="PATH", help="the same, as an option")


def add_face_photos(parser: argparse.ArgumentParser) -> None:
    """Declare the photos in which every box is a face, ``--label``, ``--hold-out`` and ``--keep-split``."""
    add_photos(parser, "annotated photos to learn from and choose by")
    parser.add_argument(
        "--label", action="append", default=[], metavar="NAME=skip", help="a class of the data that is no face"
    )
    add_hold_out(parser)


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


def add_draw(parser: argparse._ActionsContainer, what: str, usual: str) -> None:
    """Declare ``--draw``.

    Args:
        parser: Gets the option.
        what: Is drawn: "the photos", "the faces".
        usual: What a source's share follows without the option.
    """
    parser.add_argument(
        "--draw",
        action="append",
        default=[],
        metavar="SOURCE=TIMES",
        help=f"draw {what} of a source this many times more often; may be repeated (default: by the square root of "
        f"{usual})",
    )


def add_run(parser: argparse.ArgumentParser, out: Path, seed: int) -> None:
    """Declare ``--out``, ``--seed``, ``--workers`` and ``--resume``."""
    add = parser.add_argument
    add("--out", type=Path, default=out, metavar="DIR", help="checkpoints and results (default: %(default)s)")
    add("--seed", type=int, default=seed, help="default: %(default)s")
    add("--workers", type=int, default=2, help="threads that prepare images (default: %(default)s)")
    add("--resume", action="store_true", help="continue the run in --out")


def add_reports(parser: argparse.ArgumentParser) -> None:
    """Declare ``--validation`` and ``--tensorboard``."""
    add = parser.add_argument
    add(
        "--validation",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="measured and reported, never used to choose",
    )
    add("--tensorboard", action="store_true", help="also write the figures of each epoch to --out for TensorBoard")


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


def require_photos(args: argparse.Namespace, example: str) -> None:
    """Join the photos given as arguments with those of ``--data``, as ``args.data``.

    Raises:
        ConfigError: There are none.
    """
    args.data = [*args.photos, *args.data]
    if not args.data:
        raise ConfigError(f"Name the photos to learn from: {example}")


def require_share(args: argparse.Namespace, name: str, *, whole: bool = False) -> None:
    """Check an option that is a share of something.

    Args:
        args: Of the command line.
        name: Of the option, as in ``args``.
        whole: Whether it may be 1.

    Raises:
        ConfigError: It is 0 or less, or 1, or more.
    """
    share = getattr(args, name)
    if not (0 < share < 1 or (whole and share == 1)):
        raise ConfigError(f"--{name.replace('_', '-')} is {share}: give a fraction between 0 and 1.")


def require_split(args: argparse.Namespace) -> None:
    """Check that the file of ``--keep-split`` is there, if it is set.

    Raises:
        ConfigError: It is not.
    """
    if args.keep_split and not args.keep_split.is_file():
        raise ConfigError(f"No file at {args.keep_split}: give --keep-split the split.json of an earlier run.")


def require_learning_rate(args: argparse.Namespace) -> None:
    """Check ``--learning-rate``, if it is set.

    Raises:
        ConfigError: No training could use it.
    """
    rate = args.learning_rate
    if rate is not None and not 0 < rate <= 1:
        raise ConfigError(f"--learning-rate is {rate}: give a number above 0 and up to 1, such as 1e-4.")


def parse_draws(words: Iterable[str]) -> dict[str, float]:
    """How many times more often each source is drawn, from words such as ``street_masks=3``.

    Raises:
        ConfigError: One of them is not of that form.
    """
    return dict(_times(word) for word in words)


def _times(text: str) -> tuple[str, float]:
    source, _, times = text.partition("=")
    try:
        number = float(times)
    except ValueError:
        number = 0.0
    if not (source and 0 < number < float("inf")):
        raise ConfigError(f"--draw {text} is not understood: give a source and a number above 0, as street_masks=3.")
    return source, number

"""The command line: what was typed, which command that is, and what is said when it fails."""

from __future__ import annotations

import argparse
import functools
import itertools
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

from edge import time_zone
from edge.cli import INTERRUPTED
from edge.commands import commands, texts
from edge.commands import load as load_command
from edge.errors import ConfigError, MaskgateError, StoreError
from edge.streams import Watched
from edge.text import HelpFormatter, did_you_mean, printable

UNEXPECTED = 70
ON_A_WORKSTATION = ("train", "convert")
"""Not commands of a device, yet looked for there; each is a target of the Makefile."""

log = logging.getLogger(__name__)

HELP = """\
examples:
  maskgate run                                  watch the door: Pi camera, else USB camera, else the demo clip
  maskgate run --source usb:0 --window          the first USB camera, with the live picture (q quits)
  maskgate run --source clip.mp4 --events -     a recording, as fast as it goes; JSON Lines on standard output
  maskgate check party/ --output marked/        judge images, write them back with boxes and labels
  maskgate counts --since 7d --by day --csv     who came this week, for a spreadsheet
  maskgate doctor                               what is missing on this machine, and how to fix it
  maskgate bench                                how many frames per second this machine handles
  maskgate config --example > config.toml       every setting with its meaning and default

configuration, later ones win:
  defaults
  one file: --config, else $MASKGATE_CONFIG, else ~/.config/maskgate/config.toml, else /etc/maskgate/config.toml
  what was changed on the operator page (page.toml, next to the counts)
  environment: MASKGATE_<SECTION>_<KEY>, for example MASKGATE_ALERTS_LED_PIN=22
  command line

exit codes:
  0  clean end                            4  a model is missing or altered, or there is no runtime
  1  check: an image was unreadable;      5  counts, events or output cannot be read or written
     doctor: it cannot run at a door      6  the alert output that was asked for cannot be driven
  2  wrong command line or configuration  70  unexpected error (-v shows where)
  3  camera absent, busy or unreadable    75  ended to start again, as an operator asked
                                          130  interrupted by Ctrl-C; run: by a second one, or before it began
"""


def run(arguments: Sequence[str] | None, interruptible: Callable[[], None]) -> int:
    """Run the command line and return the exit code.

    Args:
        arguments: Without the program's name; the process's own by default.
        interruptible: Called once all is read, before the command begins.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    output = Watched(sys.stdout)
    try:
        with redirect_stdout(cast(TextIO, output)):
            return _run(words, interruptible, output)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        return _unwritten(output.failure) if output.failure else _failed(error, words)


def _run(words: Sequence[str], interruptible: Callable[[], None], output: Watched) -> int:
    try:
        args = _parse(words)
        _configure_logging(args.verbose)
        code = _dispatch(args, interruptible)
    except SystemExit:  # the help or the version was printed
        output.finish()
        raise
    output.finish()
    return code


def _unwritten(failure: OSError) -> int:
    """Standard output cannot be written: its reader had enough, or the disk is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python would complain when it flushes at exit
    if isinstance(failure, BrokenPipeError):
        return 0
    print(
        f"maskgate: error: Cannot write to standard output: {failure.strerror}; make room, or write to another place.",
        file=sys.stderr,
    )
    return StoreError.exit_code


def _failed(error: Exception, words: Sequence[str]) -> int:
    """Say why the command failed; returns its exit code."""
    if isinstance(error, MaskgateError):
        print(f"maskgate: error: {printable(str(error))}{_with_rights(error, words)}", file=sys.stderr)
        return error.exit_code
    if {"-v", "--verbose"} & set(words):
        traceback.print_exception(error)
    what = _masked(" ".join(f"{type(error).__name__}: {error}".split()).rstrip("."), words)
    print(
        f"maskgate: unexpected error: {what}. Run it again with -v, and report what it"
        " prints together with the output of `maskgate doctor`.",
        file=sys.stderr,
    )
    return UNEXPECTED


def _with_rights(error: MaskgateError, words: Sequence[str]) -> str:
    """How to call the command again, where a person on an installed device lacks the rights of the service."""
    causes: list[BaseException] = [error]
    while causes[-1].__cause__:
        causes.append(causes[-1].__cause__)
    on_device = "STATE_DIRECTORY" in os.environ and "NOTIFY_SOCKET" not in os.environ
    if os.geteuid() == 0 or not on_device or not any(isinstance(cause, PermissionError) for cause in causes):
        return ""
    command = _masked(shlex.join(words), words)
    return f"\nThis belongs to the maskgate service. Run: sudo maskgate {command}"


def _parse(words: Sequence[str]) -> argparse.Namespace:
    chosen = _command(words)
    parser = _Parser(
        prog="maskgate",
        description="Watches a door: finds faces, judges whether masks are worn, alerts and counts.",
        epilog=HELP,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    parser.set_defaults(config=None, verbose=False, command=None)
    _add_common(parser)
    listed = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    told = [chosen] if words[:1] == [chosen] else commands()  # reading all texts takes a while
    for name in commands():
        said = texts(name) if name in told else None
        command = listed.add_parser(name, help=said and said.summary, description=said and said.about)
        _add_common(command)
        if name == chosen:
            load_command(name).add_arguments(command)
    command = listed.choices[chosen] if chosen else parser
    try:
        _refuse_mistyped(words, command)
        args, others = parser.parse_known_args(words)
        if others:
            command.error(f"{others[0]!r} is not understood; see {command.prog} --help.")
    except _ArgumentsError as error:
        parser.exit(ConfigError.exit_code, f"{error.usage}{error.prog}: error: {_masked(str(error), words)}\n")
    if args.command is None:
        parser.print_help(sys.stderr)
        raise SystemExit(ConfigError.exit_code)
    return args


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="read settings from this TOML file"
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        default=argparse.SUPPRESS,
        help="log more, and show where errors come from",
    )


def _command(words: Sequence[str]) -> str | None:
    """The first word that is neither an option nor the value of one."""
    before = ("", *words)
    bare = (word for word, last in zip(words, before, strict=False) if word[:1] != "-" and last != "--config")
    command = next(bare, None)
    if command is None or command in commands():
        return command
    if command in ON_A_WORKSTATION:
        raise ConfigError(
            f"There is no command {command!r} on a device; in a clone on a workstation run `make {command}`"
            " (docs/train.md shows how)."
        )
    from edge.cameras.address import shown_value

    hint = did_you_mean(command, commands(), f"there are: {', '.join(commands())}.", cutoff=0.4)
    raise ConfigError(f"There is no command {shown_value(command)!r}; {hint}")


def _refuse_mistyped(words: Sequence[str], parser: argparse.ArgumentParser) -> None:
    """An option that does not exist is answered with the nearest one; argparse would only repeat it."""
    known = ["--version", *_options(parser)]
    for word in itertools.takewhile(lambda word: word != "--", words):
        name = word.partition("=")[0]
        if name.startswith("--") and not any(option.startswith(name) for option in known):
            hint = did_you_mean(name, known, f"see {parser.prog} --help.")
            parser.error(f"there is no option {name}; {hint}")


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The options of a command and its subcommands."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for subcommand in action.choices.values():
                yield from _options(subcommand)


def _dispatch(args: argparse.Namespace, interruptible: Callable[[], None]) -> int:
    from edge.config import load

    if fault := time_zone.settle():
        log.warning("%s", fault)
    overrides = {key: value for key, value in vars(args).items() if "." in key and value is not None}
    settings = load(args.config, overrides=overrides)
    for notice in settings.notices:
        log.warning("%s", notice)
    command = load_command(args.command)
    interruptible()
    return command.run(args, settings)


class _ArgumentsError(Exception):
    """What argparse says of them, which repeats them."""

    def __init__(self, message: str, parser: argparse.ArgumentParser) -> None:
        super().__init__(message)
        self.prog, self.usage = parser.prog, parser.format_usage()


class _Parser(argparse.ArgumentParser):
    """Leaves it to the caller to print what is wrong. A word that is not among the choices gets the nearest one."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(one) for one in action.choices]
            hint = did_you_mean(str(value), known, f"there are: {', '.join(known)}.")
            raise argparse.ArgumentError(action, f"there is no {value!r}; {hint}")

    def error(self, message: str) -> NoReturn:
        raise _ArgumentsError(message, self)


def _masked(message: str, words: Sequence[str]) -> str:
    """``message`` without what is secret in the words of the command line that it repeats."""
    from edge.cameras.address import shown_value

    for word in words:
        for said in filter(None, (word, word.partition("=")[2])):
            spelt = (said, repr(said)[1:-1])
            message = functools.reduce(lambda text, one: text.replace(one, shown_value(said)), spelt, message)
    return message


class _Version(argparse.Action):
    """Looks up the version only on request: that takes longer than the rest of the command line."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"maskgate {version('maskgate')}")
        except PackageNotFoundError:
            print("maskgate, run from its source tree without being installed")
        parser.exit()


class _Sentences(logging.Formatter):
    """Warnings as the operator reads them; where the live line shares the terminal, over it."""

    def format(self, record: logging.LogRecord) -> str:
        over = "\r\x1b[K" if sys.stderr.isatty() else ""
        return f"{over}maskgate: {record.levelname.lower()}: {super().format(record)}"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as logging calls it
        return printable(super().formatMessage(record))


def _configure_logging(verbose: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Sentences("%(message)s"))
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler], force=True)

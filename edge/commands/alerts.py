"""``maskgate alerts test``: does every lamp, buzzer, relay and sound work?"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from edge.alerts.state import OUTPUT_KINDS, AlertState, OutputState
from edge.errors import AlertError, ConfigError
from edge.streams import confirmed
from edge.text import HelpFormatter, did_you_mean

if TYPE_CHECKING:
    from edge.alerts.trial import Outputs
    from edge.config import Settings

SUMMARY = "test lamps, buzzer, relay and sound"
ABOUT = "Test the outputs of an alarm: through the running maskgate, or directly where none runs."
EXAMPLES = """\
examples:
  maskgate alerts test              each output after the other; a relay after a question
  maskgate alerts test buzzer       one of led, welcome, buzzer, relay, sound
  maskgate alerts test relay --yes  without a question, for scripts

exit codes:
  0  each output that was tested works, as far as can be known: look and listen
  2  there is no such output
  6  one does not work, or there is none at all
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``maskgate alerts``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    testing = actions.add_parser(
        "test",
        help="switch each output on for a moment",
        description="Switch each output on for a moment, also while it is muted. That is no alarm and is not counted.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    testing.add_argument("name", nargs="?", metavar="NAME", help=f"only this output: {', '.join(OUTPUT_KINDS)}")
    testing.add_argument("--yes", action="store_true", help="energise a relay without a question")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Try the outputs, say what was done and what failed, and return the exit code.

    Raises:
        ConfigError: There is no such output, or a script did not say ``--yes``.
        AlertError: There is no output at all, or one cannot be opened.
    """
    from edge.alerts.trial import outputs_of

    if args.name and args.name not in OUTPUT_KINDS:
        hint = did_you_mean(args.name, OUTPUT_KINDS, f"there are: {', '.join(OUTPUT_KINDS)}.")
        raise ConfigError(f"There is no output {args.name!r}; {hint}")
    with outputs_of(settings) as outputs:
        state = outputs.state()
        wanted = _wanted(args.name, state)
        print(f"Testing {outputs.where}. Look and listen.")
        failed = [output for output in wanted if not _works(output, outputs, args)]
        _say_silence(state)
    if failed:
        print(f"{len(failed)} of {len(wanted)} failed.")
    return AlertError.exit_code if failed else 0


def _wanted(name: str | None, state: AlertState) -> tuple[OutputState, ...]:
    if not state.outputs:
        raise AlertError(
            "This door has no lamp, buzzer, relay or sound, so nobody notices an alarm; `maskgate doctor` says what "
            "was found, docs/how-to/alerts.md how to connect one."
        )
    wanted = tuple(output for output in state.outputs if name in (None, output.kind))
    if not wanted:
        there = ", ".join(output.kind for output in state.outputs)
        raise ConfigError(f"This door has no {name}; it has: {there}.")
    return wanted


def _works(output: OutputState, outputs: Outputs, args: argparse.Namespace) -> bool:
    from edge.alerts.trial import attempt

    if output.kind == "relay" and not args.yes and not _confirmed(output, asked_for=args.name is not None):
        print(f"  {output.kind:8} {output.name}: left out; `maskgate alerts test relay` tests it")
        return True
    print(f"  {output.kind:8} {output.name}: on ...", end="", flush=True)
    outcome = attempt(outputs, output)
    print(f" FAILED: {outcome.trouble}" if outcome.trouble else " off again", flush=True)
    return outcome.trouble is None


def _confirmed(output: OutputState, *, asked_for: bool) -> bool:
    """Whether a relay may be energised; without anybody to ask it is left out, or refused where it was asked for."""
    if not sys.stdin.isatty():
        if asked_for:
            raise ConfigError("A relay may open a door, so this asks first; in a script, add --yes.")
        return False
    return confirmed(f"The {output.name} may open a door. Energise it for a moment?")


def _say_silence(state: AlertState) -> None:
    """A test sounds whatever keeps an alarm silent."""
    if state.muted_until is not None:
        print("Buzzer and sound are muted now: an alarm would only show.")
    elif state.quiet_hours:
        print("It is in the quiet hours now: an alarm would only show.")

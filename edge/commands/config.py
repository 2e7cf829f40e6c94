"""``maskgate config``: the effective settings, or a documented file to start from."""

from __future__ import annotations

import argparse
import json

from edge.config import Settings, show

SUMMARY = "print the settings"
ABOUT = "Print the effective settings as TOML, each with its meaning and where it comes from."

HEADING = """\
# maskgate: every setting with its meaning and default.
# Keep what you change, leave out the rest. Put it at /etc/maskgate/config.toml for the service, at
# ~/.config/maskgate/config.toml for one user, or name it with --config.
# Each setting can also come from the environment: MASKGATE_ALERTS_LED_PIN=22.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print JSON: value and origin of each setting")
    how.add_argument("--example", action="store_true", help="print a documented file of all defaults")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print, and return the exit code."""
    if args.example:
        print(HEADING + show.example(), end="")
    elif args.json:
        print(json.dumps(show.as_json(settings), indent=2, ensure_ascii=False))
    else:
        print(show.as_toml(settings, origins=True), end="")
    return 0

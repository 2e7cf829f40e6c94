"""``maskgate alerts-off``: switches every configured output off after a process was killed.

It opens no camera and no model. The service runs it after each end, so also after one that no program can catch.
"""

from __future__ import annotations

import argparse

from edge.alerts.choose import open_chosen
from edge.config import Settings
from edge.errors import AlertError

SUMMARY = "switch every lamp, buzzer and relay off"
ABOUT = (
    "Switch every configured lamp, buzzer and relay off. The service does this each time it ends, also after a crash."
)


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(_args: argparse.Namespace, settings: Settings) -> int:
    """Switch everything off, say what, and return the exit code.

    Raises:
        AlertError: The pins cannot be driven, for example because another process drives them.
    """
    alerts = settings.config.alerts
    try:
        output = open_chosen(alerts)
    except AlertError as error:
        if alerts.output != "auto":
            raise
        print(f"No pins to switch off: {error}")
        return 0
    output.close()
    print(f"Off: {output.name}.")
    return 0

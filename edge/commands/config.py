"""``maskgate config``: the effective settings, or a documented file to start from."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from edge.cameras.address import without_secrets
from edge.config import NOT_WIRED, Config, Setting, Settings, declared

WIDTH = 100
HEADING = """\
# maskgate: every setting with its meaning and default.
# Keep what you change, leave out the rest. Put it at /etc/maskgate/config.toml for the service, at
# ~/.config/maskgate/config.toml for one user, or name it with --config.
# Each setting can also come from the environment: MASKGATE_ALERTS_LED_PIN=22.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print JSON: value and origin of each setting")
    how.add_argument("--example", action="store_true", help="print a documented file of all defaults")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print, and return the exit code."""
    if args.example:
        print(HEADING + as_toml(Settings(Config(), {}, None)), end="")  # noqa: T201
    elif args.json:
        print(json.dumps(as_json(settings), indent=2, ensure_ascii=False))  # noqa: T201
    else:
        print(as_toml(settings, origins=True), end="")  # noqa: T201
    return 0


def as_json(settings: Iterable[Setting]) -> dict[str, dict[str, Any]]:
    """Value and origin of each setting, by its dotted key. Passwords are masked."""
    return {one.key: {"value": _plain(one.value), "origin": one.origin} for one in settings}


def as_toml(settings: Iterable[Setting], origins: bool = False) -> str:
    """A file that ``edge.config.load`` reads. Settings without a value are commented out; passwords are masked.

    Args:
        settings: In the order of the model.
        origins: Say behind each value where it came from.
    """
    about = {section: words for section, words, _, _ in declared()}
    unset = {one.key for one in Settings(Config(), {}, None) if one.value is None}
    lines: list[str] = []
    section = ""
    for one in settings:
        name, key = one.key.split(".")
        if name != section:
            section = name
            lines += ["", f"# {about[name]}", f"[{name}]"]
        wired = one.value is not None or one.key in unset
        lines += _setting(key, one if wired else replace(one, value=NOT_WIRED), origins)
    return "\n".join(lines) + "\n"


def _setting(key: str, one: Setting, origins: bool) -> Iterator[str]:
    yield from (f"# {line}" for line in textwrap.wrap(one.description, WIDTH))
    value = _plain(one.value)
    line = f"# {key} =" if value is None else f"{key} = {_literal(value)}"
    yield f"{line}  # {one.origin}" if origins and value is not None else line


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, (Path, SecretStr)):
        return str(value)
    return without_secrets(value) if isinstance(value, str) else value


def _literal(value: Any) -> str:
    """A TOML literal: for these types JSON's, but for the one control character that JSON leaves bare."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

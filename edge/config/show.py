"""The settings for people and programs: as TOML, as JSON, and as the page docs/settings.md."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from edge.cameras.address import without_secrets
from edge.config.layers import toml_literal
from edge.config.model import Config, Setting, Settings, declared
from edge.config.section import NOT_WIRED

WIDTH = 100


def as_json(settings: Iterable[Setting]) -> dict[str, dict[str, Any]]:
    """Value and origin of each setting, by its dotted key. Passwords are masked."""
    return {one.key: {"value": _plain(one.value), "origin": one.origin} for one in settings}


def as_toml(settings: Iterable[Setting], origins: bool = False) -> str:
    """A file that ``edge.config.load`` reads. Settings without a value are commented out; passwords are masked.

    Args:
        settings: In the order of the model.
        origins: Say behind each value where it came from.
    """
    about = {one.section: one.about for one in declared()}
    unset = _unset()
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


def _unset() -> frozenset[str]:
    return frozenset(one.key for one in Settings(Config(), {}, None) if one.value is None)


def _setting(key: str, one: Setting, origins: bool) -> Iterator[str]:
    yield from (f"# {line}" for line in textwrap.wrap(one.description, WIDTH))
    value = _plain(one.value)
    line = f"# {key} =" if value is None else f"{key} = {toml_literal(value)}"
    yield f"{line}  # {one.origin}" if origins and value is not None else line


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, Path | SecretStr):
        return str(value)
    return without_secrets(value) if isinstance(value, str) else value

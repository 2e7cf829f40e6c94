"""The settings for people and programs: as TOML, as JSON, and as the page docs/settings.md."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from edge.cameras.address import shown, shown_value
from edge.config.layers import toml_literal
from edge.config.model import SOURCES, Config, Setting, Settings, declared
from edge.config.own_model import is_carried
from edge.config.section import NOT_WIRED

WIDTH = 100

CARRIED = "; unset: the model that came with this release"


def as_json(settings: Iterable[Setting]) -> dict[str, dict[str, Any]]:
    """Value and origin of each setting, by its dotted key. Passwords are masked."""
    return {one.key: {"value": _plain(one), "origin": one.origin} for one in settings}


def example() -> str:
    """A documented file of all defaults, without the path of a model in this release: the next release has another."""
    settings = Settings(Config(), {}, None)
    return as_toml(
        replace(one, value=None, description=one.description + CARRIED) if is_carried(one.value) else one
        for one in settings
    )


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
    return frozenset(one.key for one in Settings(Config(), {}, None) if one.value is None or is_carried(one.value))


def _setting(key: str, one: Setting, origins: bool) -> Iterator[str]:
    yield from (f"# {line}" for line in textwrap.wrap(one.description, WIDTH))
    value = _plain(one)
    line = f"# {key} =" if value is None else f"{key} = {toml_literal(value)}"
    yield f"{line}  # {one.origin}" if origins and value is not None else line


def _plain(one: Setting) -> Any:
    """Its value, JSON-ready and without secrets."""
    value = _printable(one.value)
    return shown(value) if one.key in SOURCES else shown_value(value)


def _printable(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_printable, value))
    return str(value) if isinstance(value, Path | SecretStr) else value

"""The settings that the operator page may change: a separate file in the state folder, next to the counts.

It is validated by the same model as every other layer. A file that is broken is set aside and reported, and the other
layers hold. To revert everything, delete the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge.cameras.address import shown_value
from edge.config.layers import Layer, Layers, nest, read_toml, toml_literal
from edge.config.model import Settings, fields
from edge.config.place import store_path
from edge.config.sections.counts import CountSettings
from edge.errors import ConfigError
from edge.files import exists, replace_text
from edge.messages import message, together

NAME = "page.toml"
HEADING = """\
# Written by the operator page. These values win over the configuration file.
# Delete this file to revert all of them.
"""


def page_file(counts: CountSettings, environment: Mapping[str, str]) -> Path:
    """Where the changes are kept."""
    return store_path(counts, environment).with_name(NAME)


def changeable() -> tuple[str, ...]:
    """Dotted keys of the settings that the operator page may change, in the order of the model."""
    return tuple(key for key, field in fields().items() if _on_page(field.json_schema_extra))


def with_page(below: Settings, layers: Layers) -> Settings:
    """Add the changes from the operator page, if there are any.

    Args:
        below: The settings without them, for the case that the file is broken.
        layers: All but those changes, with the place of their file.
    """
    assert layers.page_file is not None
    if not exists(layers.page_file):
        return replace(below, layers=layers)
    try:
        return replace(layers, on_page=_read(layers.page_file)).settings()
    except ConfigError as error:
        return replace(below, layers=layers, notices=(_set_aside(layers.page_file, error),))


def write_page_layer(changes: Mapping[str, Any], settings: Settings) -> Settings:
    """Change settings as the operator page does, and return the settings that hold from now on.

    The file is replaced atomically. A setting that the environment or the command line sets keeps that
    value; ``origins`` of the result says so.

    Args:
        changes: New values by dotted key; None reverts a setting.
        settings: As loaded.

    Raises:
        ConfigError: A key is not for the page, a value is refused, or the file cannot be written. Nothing is changed.
    """
    layers = settings.layers
    assert layers is not None and layers.page_file is not None, "only settings that were loaded can be changed"
    for key in changes:
        _refuse_others(key)
    now = with_page(replace(layers, on_page={}).settings(), replace(layers, on_page={}))
    assert now.layers is not None
    wanted = {key: value for key, value in {**_flat(now.layers.on_page), **changes}.items() if value is not None}
    new = replace(layers, on_page=nest({key: wanted[key] for key in changeable() if key in wanted}))
    result = new.settings()
    _write(layers.page_file, new.on_page)
    return replace(result, notices=now.notices)


def _on_page(extra: object) -> bool:
    return isinstance(extra, Mapping) and bool(extra.get("on_page"))


def _flat(layer: Layer) -> dict[str, Any]:
    return {f"{section}.{name}": value for section, values in layer.items() for name, value in values.items()}


def _read(path: Path) -> Layer:
    layer = read_toml(path)
    for section, values in layer.items():
        for name in values if isinstance(values, Mapping) else ():
            _refuse_others(f"{section}.{name}")
    return layer


def _refuse_others(key: str) -> None:
    if key not in changeable():
        raise ConfigError(message("config.not_on_page", key=shown_value(key), known=", ".join(changeable())))


def _set_aside(path: Path, error: ConfigError) -> str:
    aside = path.with_name(f"{path.name}.broken-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}")
    said = message("config.page_unused", reason=str(error))
    try:
        path.rename(aside)
    except OSError as failure:
        return together([said, message("config.page_stuck", path=path, reason=failure.strerror)])
    return together([said, message("config.page_set_aside", path=aside)])


def _write(path: Path, layer: Layer) -> None:
    lines = [HEADING]
    for section, values in layer.items():
        lines += [f"[{section}]\n", *(f"{name} = {toml_literal(value)}\n" for name, value in values.items()), "\n"]
    try:
        replace_text(path, "".join(lines))
    except OSError as error:
        raise ConfigError(message("config.unwritten", path=path, reason=error.strerror)) from error

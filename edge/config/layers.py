"""Where settings come from. Later layers win: defaults, file, operator page, environment, command line.

A key that does not exist is refused by name, with the nearest one that does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from edge.cameras.address import shown, shown_value
from edge.config.model import SECRET_FILES, SECRETS, SOURCES, Config, Settings, declared, fields, sections
from edge.config.section import FORMS
from edge.errors import ConfigError
from edge.files import NotTextError, exists, may_be_file, read_text
from edge.messages import message
from edge.text import did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENV_PREFIX = "MASKGATE_"
ENV_FILE = "MASKGATE_CONFIG"
SYSTEM_FILE = Path("/etc/maskgate/config.toml")
MODELS = ("face.model", "mask.model")
"""Settings that hold a name or a path."""
LONGEST_SHOWN = 100
"""Maximum length of a value in an error message, in characters."""
KINDS = {
    "int": message("config.whole_number"),
    "float": message("config.number"),
    "bool": message("config.switch"),
    "string": message("config.text"),
    "path": message("config.path"),
    "tuple": message("config.list"),
}
"""By the first word of the types of pydantic's errors: https://docs.pydantic.dev/latest/errors/validation_errors/."""
LIMITS = {
    "greater_than": "config.more_than",
    "greater_than_equal": "config.at_least",
    "less_than": "config.less_than",
    "less_than_equal": "config.at_most",
    "literal_error": "config.one_of",
    "string_too_long": "config.too_long",
    "string_too_short": "config.empty",
    "finite_number": "config.finite",
    "missing": "config.too_few",
    "too_long": "config.too_many",
}
"""What is said of a value that is not allowed, by the type of pydantic's error, whose context fills the sentence."""

Layer = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Layers:
    """What each source says, by section and key. ``repr`` shows no values: some are secret.

    Attributes:
        file: The configuration file, if there is one.
        in_file: What it sets.
        page_file: Where the changes from the operator page are kept.
        on_page: What they set.
        environment: What variables set.
        command_line: What options set.
    """

    file: Path | None = None
    in_file: Layer = field(default_factory=dict, repr=False)
    page_file: Path | None = None
    on_page: Layer = field(default_factory=dict, repr=False)
    environment: Layer = field(default_factory=dict, repr=False)
    command_line: Layer = field(default_factory=dict, repr=False)

    def __iter__(self) -> Iterator[tuple[str, Layer]]:
        """Origin and content of each, the weakest first."""
        yield str(self.file), self.in_file
        yield "page", self.on_page
        yield "environment", self.environment
        yield "command line", self.command_line

    def settings(self) -> Settings:
        """The effective configuration.

        Raises:
            ConfigError: A key is unknown or a value out of range.
        """
        merged: dict[str, dict[str, Any]] = {}
        origins: dict[str, str] = {}
        for origin, layer in self:
            for section, said in layer.items():
                _refuse_unknown(section, said, origin)
                values = _from_folder(self.file.parent, section, said) if self.file and layer is self.in_file else said
                merged.setdefault(section, {}).update(values)
                origins.update({f"{section}.{key}": origin for key in values})
        return Settings(_validate(merged, origins), origins, self.file, self)


def _from_folder(folder: Path, section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, with relative paths of models taken from the folder of the configuration file."""
    return {
        key: str(folder / value)
        if f"{section}.{key}" in MODELS and isinstance(value, str) and ("/" in value or value.endswith(".tflite"))
        else value
        for key, value in values.items()
    }


def load(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the configuration.

    Args:
        file: As given on the command line; None looks at ``MASKGATE_CONFIG``, the user's file, then the system's.
        environment: The process environment by default.
        overrides: From the command line, by dotted key: ``{"camera.source": "demo"}``.

    Raises:
        ConfigError: A file is unreadable, a key unknown or a value out of range; the text names file, key, remedy.
    """
    from edge.config.page import page_file, with_page

    env = os.environ if environment is None else environment
    path = _find_file(file, env)
    layers = Layers(
        file=path,
        in_file=read_toml(path) if path else {},
        environment=_read_environment(env),
        command_line=nest(overrides or {}),
    )
    below = layers.settings()
    return with_page(below, replace(layers, page_file=page_file(below.config.counts, env)))


def _find_file(explicit: Path | None, env: Mapping[str, str]) -> Path | None:
    if explicit or env.get(ENV_FILE):
        path = explicit or Path(env[ENV_FILE])
        if exists(path) and path.is_dir():
            raise ConfigError(f"{path} is a folder; name the configuration file in it with --config or {ENV_FILE}.")
        if not (exists(path) or may_be_file(path)):
            raise ConfigError(f"There is no configuration file {path}; check --config or {ENV_FILE}.")
        return path
    home = Path(env.get("XDG_CONFIG_HOME") or Path(env.get("HOME", "/")) / ".config")
    own = home / "maskgate/config.toml"
    if exists(own) and own.is_file():  # sudo and runuser may leave HOME at another user's, closed to this one
        return own
    return SYSTEM_FILE if may_be_file(SYSTEM_FILE) else None


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        ConfigError: It cannot be read, or is not TOML; the text says where.
    """
    try:
        return tomllib.loads(read_text(path))
    except OSError as error:
        raise ConfigError(message("config.unreadable", path=path, reason=error.strerror)) from error
    except NotTextError as error:
        raise ConfigError(f"{error}.") from error
    except (ValueError, RecursionError) as error:  # also of numbers too long and of nesting too deep
        raise ConfigError(message("config.no_toml", path=path, reason=str(error))) from error


def toml_literal(value: Any) -> str:
    """For text, numbers, booleans and arrays: JSON's, but for the one control character that JSON leaves as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _read_environment(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    keys = {f"{ENV_PREFIX}{one.section}_{one.name}".upper(): f"{one.section}.{one.name}" for one in declared()}
    said: dict[str, Any] = {}
    for name, text in env.items():
        if not name.startswith(ENV_PREFIX) or name == ENV_FILE:
            continue
        if name not in keys:
            raise ConfigError(f"The environment sets {name}, which is not a setting{_nearest(name, keys)}")
        key = keys[name]
        if key in SECRETS:
            file = f", or name a file with {name}_FILE" if f"{key}_file" in fields() else ""
            raise ConfigError(
                f"The environment sets {name}, where other programs can see it; put it into the configuration "
                f"file as {key}{file}."
            )
        said[key] = _from_text(text, fields()[key])
    return nest(said)


def _from_text(text: str, setting: FieldInfo) -> Any:
    """A TOML value where the text is one (numbers, true, arrays) and the setting takes it, else the text itself."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
    return text if _is_text(setting.annotation) and not isinstance(value, str) else value


def _is_text(kind: Any) -> bool:
    """Whether a setting of this type holds text only, or nothing."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _is_text(get_args(kind)[0])
    if origin in (Union, UnionType):
        return all(_is_text(one) for one in get_args(kind) if one is not NoneType)
    if origin is Literal:
        return all(isinstance(one, str) for one in get_args(kind))
    return isinstance(kind, type) and issubclass(kind, str | PurePath | SecretStr)


def nest(dotted: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By section and key, from dotted keys."""
    nested: dict[str, dict[str, Any]] = {}
    for key, value in dotted.items():
        section, name = key.split(".")
        nested.setdefault(section, {})[name] = value
    return nested


def _refuse_unknown(section: str, values: Any, origin: str) -> None:
    known: dict[str, list[str]] = {}
    for one in declared():
        known.setdefault(one.section, []).append(one.name)
    if section not in known:
        if not isinstance(values, Mapping) and (homes := _sections_with(section, known)):
            raise ConfigError(f"{origin}: {section} is under no section; write it below {homes}.")
        raise ConfigError(f"{origin}: there is no section [{shown_value(section)}]{_nearest(section, known)}")
    if not isinstance(values, Mapping):
        raise ConfigError(f"{origin}: [{section}] is a section of settings, not a single value.")
    for key in values:
        if key not in known[section]:
            raise ConfigError(f"{origin}: [{section}] has no key {shown_value(key)!r}{_nearest(key, known[section])}")


def _sections_with(name: str, known: Mapping[str, Collection[str]]) -> str:
    return " or ".join(f"[{section}]" for section, names in known.items() if name in names)


def _nearest(name: str, known: Collection[str]) -> str:
    everything = f"known: {', '.join(sorted(known))}."
    return f"; {did_you_mean(name, known, otherwise=everything)}"


def _validate(merged: Mapping[str, Any], origins: Mapping[str, str]) -> Config:
    try:
        return Config.model_validate({**{name: {} for name, _ in sections()}, **merged})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:2])
        whole_section = "." not in key
        of_section = " and ".join({origin: None for name, origin in origins.items() if name.startswith(f"{key}.")})
        origin = of_section if whole_section else origins.get(key, "configuration")
        value = "" if whole_section or key in SECRETS | SECRET_FILES else f" = {_shown(key, first['input'])}"
        raise ConfigError(message("config.wrong", origin=origin, setting=f"{key}{value}", why=_plain(first))) from error


def _plain_number(value: Any) -> Any:
    """``0`` for ``0.0``."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _shown(key: str, value: Any) -> str:
    """``value`` as far as it fits into a sentence, and without secrets."""
    try:
        text = repr(shown(value) if key in SOURCES and isinstance(value, str) else shown_value(value))
    except ValueError:  # a whole number of too many digits
        return "a number too long to print"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _plain(error: ErrorDetails) -> str:
    """What is wrong with a value, without the words of the library that found it."""
    name, _, fault = error["type"].partition("_")
    if name in KINDS and fault in ("type", "parsing", "from_float"):
        return message("config.kind", kind=KINDS[name])
    context = error.get("ctx", {})
    if "pattern" in context:
        return FORMS[context["pattern"]]
    if error["type"] in LIMITS:
        return message(LIMITS[error["type"]], **{name: _plain_number(value) for name, value in context.items()})
    return str(context["error"]) if "error" in context else error["msg"].replace("Input should be", "it must be", 1)

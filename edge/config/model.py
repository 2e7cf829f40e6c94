"""All settings as one model, and one effective configuration with the origin of each value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field
from pydantic.fields import FieldInfo

from edge.config.section import Section
from edge.config.sections.alerts import AlertSettings
from edge.config.sections.cameras import CameraSettings
from edge.config.sections.counts import CountSettings
from edge.config.sections.mqtt import MqttSettings
from edge.config.sections.notify import NotifySettings
from edge.config.sections.people import PeopleSettings
from edge.config.sections.runtime import RuntimeSettings
from edge.config.sections.vision import FaceSettings, MaskSettings
from edge.config.sections.web import WebSettings

if TYPE_CHECKING:
    from edge.config.layers import Layers

SECRETS = frozenset({"mqtt.password", "notify.webhook", "notify.urls"})
"""Settings that are never shown, and never taken from where other programs could see them."""
SECRET_FILES = frozenset({"mqtt.password_file", "web.token_file"})
"""Settings that name a file with a secret, and might be given the secret instead."""
SOURCES = frozenset({"camera.source"})
"""Settings that may hold an address with a password in it."""


class Config(Section):
    """All settings."""

    camera: CameraSettings = Field(default_factory=CameraSettings)
    face: FaceSettings = Field(default_factory=FaceSettings)
    mask: MaskSettings = Field(default_factory=MaskSettings)
    runtime: RuntimeSettings = Field(default_factory=RuntimeSettings)
    people: PeopleSettings = Field(default_factory=PeopleSettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    counts: CountSettings = Field(default_factory=CountSettings)
    mqtt: MqttSettings = Field(default_factory=MqttSettings)
    notify: NotifySettings = Field(default_factory=NotifySettings)


class Declared(NamedTuple):
    """A setting that exists: its section, what the section is, its name, what it means."""

    section: str
    about: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective setting, for display."""

    key: str
    value: Any
    origin: str
    description: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective configuration.

    Attributes:
        config: The values.
        origins: Where each value came from, by dotted key; defaults are left out.
        file: The configuration file, if there is one.
        layers: What each source says; None for settings that were not loaded.
        notices: What the operator should know of the layers, one sentence each.
    """

    config: Config
    origins: Mapping[str, str]
    file: Path | None
    layers: Layers | None = None
    notices: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Setting]:
        """Every setting, in the order of the model."""
        for section, about, name, description in declared():
            key = f"{section}.{name}"
            value = getattr(getattr(self.config, section), name)
            yield Setting(key, value, self.origins.get(key, "default"), description or about)


def sections() -> Iterator[tuple[str, type[Section]]]:
    """Every section by name, in the order of the model."""
    for name, field in Config.model_fields.items():
        kind = field.annotation
        assert isinstance(kind, type) and issubclass(kind, Section)
        yield name, kind


def declared() -> Iterator[Declared]:
    """Every setting that exists, in the order of the model."""
    for section, kind in sections():
        about = (kind.__doc__ or "").strip()
        for name, field in kind.model_fields.items():
            yield Declared(section, about, name, field.description or "")


def fields() -> dict[str, FieldInfo]:
    """The declaration of every setting, by dotted key."""
    return {f"{section}.{name}": field for section, kind in sections() for name, field in kind.model_fields.items()}

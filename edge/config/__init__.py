"""The one configuration: a model with a section for each room, filled from layers.

settings = load()
settings.config.alerts.led_pin
settings.origins["alerts.led_pin"]
"""

from __future__ import annotations

from edge.config.layers import ENV_FILE, ENV_PREFIX, SYSTEM_FILE, Layers, load
from edge.config.model import SECRETS, Config, Setting, Settings, declared
from edge.config.section import NOT_WIRED, Section
from edge.config.sections.alerts import AlertSettings
from edge.config.sections.cameras import CameraSettings
from edge.config.sections.counts import CountSettings
from edge.config.sections.mqtt import MqttSettings
from edge.config.sections.people import PeopleSettings
from edge.config.sections.runtime import RuntimeSettings
from edge.config.sections.vision import FaceSettings, MaskSettings
from edge.config.sections.web import WebSettings

__all__ = [
    "ENV_FILE",
    "ENV_PREFIX",
    "NOT_WIRED",
    "SECRETS",
    "SYSTEM_FILE",
    "AlertSettings",
    "CameraSettings",
    "Config",
    "CountSettings",
    "FaceSettings",
    "Layers",
    "MaskSettings",
    "MqttSettings",
    "PeopleSettings",
    "RuntimeSettings",
    "Section",
    "Setting",
    "Settings",
    "WebSettings",
    "declared",
    "load",
]

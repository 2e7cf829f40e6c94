"""The retained document that makes the door appear in Home Assistant as one device.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload

Earlier versions described each entity on its own topic. Those that the broker still retains are handed
over as Home Assistant documents: it is told to let go of each entity and keep its settings, then hears the device's
document, then the old topics are emptied. So no entity appears twice, and none loses its name or history.
"""

from __future__ import annotations

import json
import re
import socket
from typing import Any

from edge.config import MqttSettings, WebSettings
from edge.messages import ENGLISH
from edge.sinks.mqtt.entities import ENTITIES, Entity
from edge.sinks.mqtt.topics import OFFLINE, ONLINE, Topics
from edge.sinks.web.listen import EVERYWHERE, is_open, url_of
from edge.sinks.web.loopback import is_loopback

LISTEN_FOR = 1.0
"""Wait for retained topics of earlier versions before the device is described, in seconds."""
HAND_OVER = 2.0
"""Time for Home Assistant to process each migration step, in seconds."""
WITH_ATTRIBUTES = frozenset({"ok"})
"""Keys whose entity has the topic's other values as attributes: why a camera or an output has a problem."""
LET_GO = json.dumps({"migrate_discovery": True})


class Discovery:
    """The document of one door, and the hand-over from topics of earlier versions.

    Args:
        settings: Of the broker, ``discovery_prefix`` not empty.
        at: The door's topics.
        version: Of maskgate.
    """

    def __init__(self, settings: MqttSettings, at: Topics, version: str) -> None:
        self._settings, self._at, self._version = settings, at, version
        self.topic = f"{settings.discovery_prefix}/device/{at.node}/config"
        self.old_topics = f"{settings.discovery_prefix}/+/{at.node}/+/config"
        """Discovery topics of earlier versions, as subscriptions."""
        self._began = 0.0
        self._old: dict[str, None] = {}
        self._heard_at = 0.0

    def begin(self, now: float) -> None:
        """Note that a connection began at monotonic second ``now``."""
        self._began, self._old = now, {}

    def found_old(self, topic: str, now: float) -> None:
        """Note that the broker retains a description of an earlier version."""
        self._old[topic] = None
        self._heard_at = now

    def said(self, now: float, page: str | None, language: str) -> dict[str, str]:
        """What is to be retained at monotonic second ``now``, by topic, in order.

        Args:
            now: Later than ``begin``.
            page: Address of the operator page, for Home Assistant's link; None if others cannot reach it.
            language: Of the names.
        """
        if now - self._began < LISTEN_FOR:
            return {}
        document = {self.topic: json.dumps(self.document(page, language), ensure_ascii=False)}
        since = now - self._heard_at
        if not self._old or since >= 2 * HAND_OVER:
            return document | dict.fromkeys(self._old, "")
        letting_go = dict.fromkeys(self._old, LET_GO)
        return letting_go if since < HAND_OVER else letting_go | document

    def document(self, page: str | None, language: str = ENGLISH) -> dict[str, Any]:
        """The device, and every entity by its key, JSON-ready."""
        device = {
            "identifiers": [self._at.node],
            "connections": [],  # Home Assistant 2025.4 fails on an event entity without it
            "name": f"Maskgate {self._at.door}",
            "manufacturer": "Maskgate",
            "model": "Doorway mask detector",
            "sw_version": self._version,
        }
        return {
            "device": device | ({"configuration_url": page} if page else {}),
            "origin": {"name": "maskgate", "sw_version": self._version},
            "availability_topic": self._at["availability"],
            "payload_available": ONLINE,
            "payload_not_available": OFFLINE,
            "components": {entity.key: self._component(entity, language) for entity in ENTITIES if entity.platform},
        }

    def _component(self, entity: Entity, language: str) -> dict[str, Any]:
        if entity.needs and not getattr(self._settings, entity.needs):
            return {"platform": entity.platform}  # which removes it, in case it was there
        topic = self._at[entity.topic]
        state = {"state_topic": topic} if entity.topic else {}
        template = {"value_template": f"{{{{ value_json.{entity.member} }}}}"} if entity.member else {}
        attributes = {"json_attributes_topic": topic} if entity.member in WITH_ATTRIBUTES else {}
        command = {"command_topic": self._at.command(entity.command)} if entity.command else {}
        identity = {"unique_id": f"{self._at.node}_{entity.key}", "qos": 1}
        named = self._name(entity, language)
        return {
            **{"platform": entity.platform, **named, **identity},
            **{**state, **template, **attributes, **command, **entity.about},
        }

    def _name(self, entity: Entity, language: str) -> dict[str, str]:
        """Its name, and the id that its English name gives, so that the same automations work in every language."""
        name, english = entity.named(language), entity.named(ENGLISH)
        if name == english:
            return {"name": name}
        words = re.sub(r"[^a-z0-9]+", "_", f"maskgate {self._at.door} {english}".lower())
        return {"name": name, "default_entity_id": f"{entity.platform}.{words}"}


def operator_page(web: WebSettings, own_address: str) -> str | None:
    """The operator page's address for other machines; None if they cannot reach it.

    Args:
        web: Where the pages are served.
        own_address: This machine's on the way to the broker.
    """
    if not web.enabled or not web.port or not is_open(web.host):
        return None
    host = own_address if web.host in EVERYWHERE else web.host
    if not host or is_loopback(host):  # the broker is on this machine; its name is announced by mDNS
        host = f"{socket.gethostname().split('.')[0]}.local"
    return f"{url_of(host, web.port)}operator"

"""What Home Assistant is told so that a door appears there by itself, with its entities.

One retained document an entity, at ``<discovery prefix>/<platform>/<node>/<object>/config``
(https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery).
"""

from __future__ import annotations

import json
from typing import Any

from edge.sinks.mqtt.topics import OFF, OFFLINE, ON, ONLINE, Topics
from edge.verdicts import FALLBACK_LANGUAGE, Verdict


def documents(prefix: str, at: Topics, version: str) -> dict[str, str]:
    """Every entity's document, JSON, by its topic.

    Args:
        prefix: Where Home Assistant looks, mostly ``homeassistant``.
        at: The door's topics, where its states are.
        version: Of maskgate.
    """
    node = f"maskgate_{at.door}"
    common = {
        "availability_topic": at["availability"],
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
        "qos": 1,
        "device": {
            "identifiers": [node],
            "name": f"Maskgate {at.door}",
            "manufacturer": "Maskgate",
            "model": "Doorway mask detector",
            "sw_version": version,
        },
        "origin": {"name": "maskgate", "sw_version": version},
    }
    return {
        f"{prefix}/{platform}/{node}/{key}/config": json.dumps(
            {"unique_id": f"{node}_{key}", **entity, **common}, ensure_ascii=False
        )
        for platform, key, entity in _entities(at)
    }


def _entities(at: Topics) -> list[tuple[str, str, dict[str, Any]]]:
    """Platform, key and own fields of each."""
    counters = [("sensor", verdict.value, _counter(at, verdict)) for verdict in Verdict]
    people = {
        "name": "People in view",
        "icon": "mdi:account-eye",
        "state_topic": at["people"],
        "state_class": "measurement",
        "unit_of_measurement": "people",
    }
    alarm = {
        "name": "Alarm",
        "icon": "mdi:alarm-light",
        "state_topic": at["alarm"],
        "payload_on": ON,
        "payload_off": OFF,
    }
    camera = {
        "name": "Camera",
        "device_class": "problem",
        "entity_category": "diagnostic",
        "state_topic": at["camera"],
        "value_template": f"{{{{ '{OFF}' if value_json.ok else '{ON}' }}}}",
        "payload_on": ON,
        "payload_off": OFF,
        "json_attributes_topic": at["camera"],
    }
    return [
        *counters,
        ("sensor", "people", people),
        ("binary_sensor", "alarm", alarm),
        ("binary_sensor", "camera", camera),
    ]


def _counter(at: Topics, verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.row.words[FALLBACK_LANGUAGE].title,
        "icon": verdict.row.icon,
        "state_topic": at["counts"],
        "value_template": f"{{{{ value_json.{verdict.value} }}}}",
        "state_class": "total_increasing",
        "unit_of_measurement": "visits",
    }

"""Publishes what happens at the door to an MQTT broker, and through it to Home Assistant.

Everything retained is a state, and counts are lifetime totals: after an interruption of door, broker or listener, the
next message is complete again. docs/reference/mqtt.md lists the topics.
"""

from edge.sinks.mqtt.publisher import Publisher

__all__ = ["Publisher"]

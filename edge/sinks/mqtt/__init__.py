"""Telling an MQTT broker, and through it Home Assistant, what happens at the door.

Everything retained is a state, and counts are totals of a lifetime: whoever was away, door, broker or listener, is
right again with the next message. docs/reference/mqtt.md lists the topics.
"""

from edge.sinks.mqtt.publisher import Publisher

__all__ = ["Publisher"]

"""Where at the broker a door speaks and listens."""

from __future__ import annotations

from dataclasses import dataclass

from edge.config import MqttSettings

ONLINE, OFFLINE = "online", "offline"
ON, OFF = "ON", "OFF"
PRESS = "PRESS"


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one door.

    Attributes:
        prefix: Of every door.
        door: Its name: letters, digits, ``_`` and ``-``.
    """

    prefix: str
    door: str

    def __getitem__(self, name: str) -> str:
        """The topic of ``availability``, ``counts``, ``people`` and so on."""
        return f"{self.prefix}/{self.door}/{name}"

    def command(self, name: str) -> str:
        """The topic that a command comes on: ``mute``, ``test`` or ``restart``."""
        return self[f"command/{name}"]

    @property
    def node(self) -> str:
        """The door's name at Home Assistant, unique among its devices."""
        return f"maskgate_{self.door}"


def topics(settings: MqttSettings) -> Topics:
    """The topics of the door that the settings name, else of one with the name of this machine."""
    return Topics(settings.prefix, settings.door_name)

"""Where at the broker a door speaks, and what it says there of how things stand."""

from __future__ import annotations

import json
from dataclasses import dataclass

from edge.config import MqttSettings
from edge.status import Status
from edge.values import Verdict

ONLINE, OFFLINE = "online", "offline"
ON, OFF = "ON", "OFF"


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
        """The topic of ``availability``, ``counts``, ``people``, ``alarm``, ``camera``, ``version`` or ``events``."""
        return f"{self.prefix}/{self.door}/{name}"


def topics(settings: MqttSettings) -> Topics:
    """The topics of the door that the settings name, else of one with the name of this machine."""
    return Topics(settings.prefix, settings.door_name)


def states(at: Topics, status: Status, now: float, stale_after: float) -> dict[str, str]:
    """What is retained of a status, by topic.

    Args:
        at: The door's topics.
        status: The latest.
        now: Monotonic seconds, later than the status by much if the loop hangs.
        stale_after: A frame that is older, in seconds, is no picture of the door.
    """
    reasons = status.reasons(now, stale_after)
    camera = {"ok": not reasons, "trouble": " ".join(reasons) or None, "losses": status.camera.losses}
    said = {
        at["people"]: str(len(status.people)),
        at["alarm"]: ON if status.alarm else OFF,
        at["camera"]: json.dumps(camera, ensure_ascii=False),
    }
    before = status.counts.before if status.counts else None
    if before is not None:  # else nothing is known, or nothing is counted
        totals = {verdict.value: before.get(verdict, 0) + status.totals.get(verdict, 0) for verdict in Verdict}
        said[at["counts"]] = json.dumps({**totals, "visits": sum(totals.values())})
    return said

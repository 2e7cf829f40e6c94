"""A door that a test shows to a broker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.sinks.mqtt import Publisher
from edge.status import Status
from edge.values import BBox, Person, Verdict
from tests.stand_ins.broker import Listener

ROOT = Path(__file__).parents[3]
ABOUT = {"maskgate": "1.2.3", "face": "b6446fc2", "mask": "0892ab75", "confirm": "6c81c9b2", "first_look": "c2a1f0de"}
STATES = ("availability", "counts", "people", "alarm", "camera", "alerts", "diagnostics", "version")
MASKED, BARE = Verdict.WITH_MASK, Verdict.WITHOUT_MASK


@dataclass
class Door:
    """A publisher fed by a test in place of the loop, with the status it was last shown."""

    publisher: Publisher
    status: Status

    def show(self, **changes: Any) -> None:
        now = time.monotonic()
        camera = replace(self.status.camera, last_frame_at=now)
        self.status = replace(self.status, **{"at": now, "camera": camera} | changes)
        self.publisher.show(self.status)


OpenDoor = Callable[..., Door]


def person(number: int) -> Person:
    return Person(number, BBox(0, 0, 50, 50), MASKED, 0.0, 1.0)


def counts(listener: Listener, door: str = "front") -> dict[str, int]:
    return json.loads(listener.latest.get(f"maskgate/{door}/counts", "{}"))

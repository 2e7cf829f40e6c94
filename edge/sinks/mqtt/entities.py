"""Everything that a door publishes, one row per value: its topic, how it is read, and its Home Assistant entity.

A new entity is a row in ``ENTITIES``. Several rows with one topic share it as a JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edge.messages import message, together, translated
from edge.sinks.mqtt.surroundings import Surroundings
from edge.sinks.mqtt.topics import OFF, ON, PRESS, Topics
from edge.status import Status
from edge.values import Verdict

SLOWLY = 30.0
"""Interval between messages on topics that change all the time, in seconds."""
UNRESTING = frozenset({"diagnostics"})
"""Topics that change all the time."""

Platform = Literal["sensor", "binary_sensor", "event", "switch", "button"]
Need = Literal["commands", "events"]


@dataclass(frozen=True, slots=True)
class View:
    """The source of the values.

    Attributes:
        status: The latest.
        now: Monotonic seconds, later than the status by much if the loop hangs.
        stale_after: Maximum age of a current frame, in seconds.
        fps: Frames per second; None until it is known.
        about: Version of maskgate and of its models.
        around: Board and today's counts.
        muted_until: When a mute ends, RFC 3339; None while nothing is muted.
    """

    status: Status
    now: float
    stale_after: float
    fps: float | None
    about: Mapping[str, str]
    around: Surroundings
    muted_until: str | None = None


Reader = Callable[[View], Any]


@dataclass(frozen=True, slots=True)
class Entity:
    """One value.

    Attributes:
        topic: Its name; empty for what only takes commands.
        member: Its key in the topic's JSON object; None if the topic holds nothing else.
        read: None is not known. Without a reader the topic is not a state: events stand there.
        platform: What it is to Home Assistant; None if it is told but no entity.
        key: At Home Assistant, unique among the door's.
        about: Further fields of Home Assistant's description.
        needs: The setting under ``mqtt`` that must be on.
        command: The command that it takes.
        verdict: The verdict that it is named after; else its name is the message ``entity.<key>``.
    """

    topic: str
    member: str | None = None
    read: Reader | None = None
    platform: Platform | None = None
    key: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    needs: Need | None = None
    command: str | None = None
    verdict: Verdict | None = None

    def named(self, language: str) -> str:
        """Its name at Home Assistant."""
        return self.verdict.titled(language) if self.verdict else translated(message(f"entity.{self.key}"), language)


def states(at: Topics, view: View) -> dict[str, str]:
    """What is retained, by topic. Topics without a known value are left out."""
    said: dict[str, Any] = {}
    for entity in ENTITIES:
        if entity.read is None:
            continue
        value = entity.read(view)
        if entity.member is None:
            said[entity.topic] = value
        else:
            said.setdefault(entity.topic, {})[entity.member] = value
    return {at[name]: _payload(value) for name, value in said.items() if _known(value)}


def _known(value: Any) -> bool:
    return any(one is not None for one in value.values()) if isinstance(value, dict) else value is not None


def _payload(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _total(verdict: Verdict) -> Reader:
    def read(view: View) -> int | None:
        before = view.status.counts.before if view.status.counts else None
        return None if before is None else before.get(verdict, 0) + view.status.totals.get(verdict, 0)

    return read


def _visits(view: View) -> int | None:
    totals = [_total(verdict)(view) for verdict in Verdict]
    return None if None in totals else sum(total or 0 for total in totals)


def _ok(view: View) -> bool:
    return not view.status.reasons(view.now, view.stale_after)


def _trouble(view: View) -> str | None:
    reasons = view.status.reasons(view.now, view.stale_after)
    return _said(together(reasons), view) if reasons else None


def _outputs(view: View) -> list[dict[str, Any]]:
    return [
        {
            "kind": output.kind,
            "name": _said(output.name, view),
            "ok": output.trouble is None,
            "trouble": output.trouble and _said(output.trouble, view),
        }
        for output in view.status.alerts.outputs
    ]


def _said(sentence: str, view: View) -> str:
    return translated(sentence, view.status.language)


def _outputs_work(view: View) -> bool:
    return all(output.trouble is None for output in view.status.alerts.outputs)


def _frame_age(view: View) -> float | None:
    return _rounded(view.status.frame_age(view.now))


def _temperature(view: View) -> float | None:
    return _rounded(view.around.temperature)


def _compliance(view: View) -> float | None:
    today = view.around.today
    return None if today is None or today.compliance is None else round(100 * today.compliance, 1)


def _degraded(view: View) -> bool | None:
    counts = view.status.counts
    return None if counts is None else counts.degraded is not None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


_DIAGNOSTIC: Mapping[str, Any] = {"entity_category": "diagnostic"}
_PROBLEM: Mapping[str, Any] = {"device_class": "problem", **_DIAGNOSTIC}
_COUNTER: Mapping[str, Any] = {"state_class": "total_increasing", "unit_of_measurement": "visits"}
_COMMAND = '{"do": "{{ value }}", "at": "{{ utcnow().isoformat() }}"}'
"""Contains the time, so that a delayed command is not carried out much later."""


def _sensor(key: str, topic: str, member: str | None, read: Reader, **about: Any) -> Entity:
    return Entity(topic, member, read, "sensor", key, about)


def _binary(key: str, topic: str, member: str, read: Reader, *, bad: bool = True, **about: Any) -> Entity:
    """A value that is true or false in JSON; ``bad`` is the one of them that is on."""
    on_off = {"payload_on": str(bad), "payload_off": str(not bad)}
    return Entity(topic, member, read, "binary_sensor", key, {**on_off, **about})


def _button(key: str, icon: str) -> Entity:
    about = {"icon": icon, "payload_press": PRESS, "command_template": _COMMAND}
    return Entity("", None, None, "button", key, about, "commands", key)


_COUNTS = [
    Entity(
        *("counts", verdict.value, _total(verdict), "sensor", verdict.value),
        about={"icon": verdict.row.icon, **_COUNTER},
        verdict=verdict,
    )
    for verdict in Verdict
]
_PEOPLE = {"icon": "mdi:account-eye", "state_class": "measurement", "unit_of_measurement": "people"}
_SHARE = {"icon": "mdi:percent", "state_class": "measurement", "unit_of_measurement": "%"}
_SECONDS = {"device_class": "duration", "unit_of_measurement": "s", **_DIAGNOSTIC}
_DEGREES = {"device_class": "temperature", "unit_of_measurement": "°C", **_DIAGNOSTIC}
_RATE = {"icon": "mdi:speedometer", "unit_of_measurement": "fps", **_DIAGNOSTIC}
_HEARD = {"icon": "mdi:volume-high", **_DIAGNOSTIC}
_HUSHED = {"icon": "mdi:volume-off", **_DIAGNOSTIC}
_MUTE = {
    "icon": "mdi:volume-off",
    "value_template": "{{ value_json.muted }}",
    "state_on": "True",
    "state_off": "False",
    "payload_on": ON,
    "payload_off": OFF,
    "command_template": _COMMAND,
}
_VERDICT = {"icon": "mdi:face-mask", "event_types": [verdict.value for verdict in Verdict]}
_ALARM = {"icon": "mdi:alarm-light", "payload_on": ON, "payload_off": OFF}


ENTITIES: tuple[Entity, ...] = (
    *_COUNTS,
    _sensor("visits", "counts", "visits", _visits, icon="mdi:door", **_COUNTER),
    _sensor("compliance", "today", "compliance", _compliance, **_SHARE),
    Entity("today", "judged", lambda view: view.around.today and view.around.today.judged),
    Entity("today", "visits", lambda view: view.around.today and view.around.today.visits),
    _sensor("people", "people", None, lambda view: len(view.status.people), **_PEOPLE),
    Entity("alarm", None, lambda view: ON if view.status.alarm else OFF, "binary_sensor", "alarm", _ALARM),
    _binary("camera", "camera", "ok", _ok, bad=False, **_PROBLEM),
    Entity("camera", "trouble", _trouble),
    Entity("camera", "losses", lambda view: view.status.camera.losses),
    Entity("camera", "source", lambda view: view.status.camera.kind.value),
    _binary("outputs", "alerts", "ok", _outputs_work, bad=False, **_PROBLEM),
    _binary("audible", "alerts", "audible", lambda view: view.status.alerts.audible, **_HEARD),
    _binary("muted", "alerts", "muted", lambda view: view.status.alerts.muted_until is not None, **_HUSHED),
    Entity("alerts", "muted_until", lambda view: view.muted_until),
    Entity("alerts", "quiet_hours", lambda view: view.status.alerts.quiet_hours),
    Entity("alerts", "outputs", _outputs),
    _sensor("frame_rate", "diagnostics", "frame_rate", lambda view: _rounded(view.fps), **_RATE),
    _sensor("frame_age", "diagnostics", "frame_age", _frame_age, **_SECONDS),
    _sensor("temperature", "diagnostics", "temperature", _temperature, **_DEGREES),
    _binary("throttled", "diagnostics", "throttled", lambda view: view.around.throttled, **_PROBLEM),
    _binary("counts_degraded", "diagnostics", "counts_degraded", _degraded, **_PROBLEM),
    _sensor("version", "version", "maskgate", lambda view: view.about["maskgate"], **_DIAGNOSTIC),
    Entity("version", "face", lambda view: view.about["face"]),
    Entity("version", "mask", lambda view: view.about["mask"]),
    Entity("version", "confirm", lambda view: view.about.get("confirm")),
    Entity("version", "first_look", lambda view: view.about.get("first_look")),
    Entity("verdict", None, None, "event", "verdict", _VERDICT, needs="events"),
    Entity("alerts", None, None, "switch", "mute", _MUTE, needs="commands", command="mute"),
    _button("test", "mdi:bell-ring"),
    _button("restart", "mdi:restart"),
)

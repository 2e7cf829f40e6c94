"""What Home Assistant hears of a door, and what it may ask of it: with a real broker, Debian's mosquitto."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from edge.alerts.state import AlertState, OutputState
from edge.clock import SystemClock
from edge.config import WebSettings, load
from edge.control import Command, Commands, Mute, RefusedError, TryOutput, Unmute
from edge.sinks.counts.store import CountStore
from edge.sinks.mqtt import Publisher, discovery, inbox, link
from edge.sinks.mqtt.discovery import Discovery, operator_page
from edge.sinks.mqtt.topics import Topics
from edge.status import CameraState, CountsState, SourceKind, Status
from edge.values import Event, EventKind, Verdict
from tests.nonempty import some
from tests.stand_ins.broker import MOSQUITTO, Broker, Listener, wait_for

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="needs a broker: apt install mosquitto")
ABOUT = {"maskgate": "1.2.3", "face": "b6446fc2", "mask": "0892ab75"}
DEVICE = "homeassistant/device/maskgate_front/config"
OLD = (
    "homeassistant/sensor/maskgate_front/with_mask/config",
    "homeassistant/binary_sensor/maskgate_front/alarm/config",
)
MASKED, BARE = Verdict.WITH_MASK, Verdict.WITHOUT_MASK
LAMP, BUZZER, RELAY = (
    OutputState("led", "lamp on pin 17"),
    OutputState("buzzer", "buzzer on pin 27"),
    OutputState("relay", "relay on pin 5"),
)


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    listener = Listener(broker.port)
    yield listener
    listener.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "LISTEN_FOR", 0.3)
    monkeypatch.setattr(discovery, "HAND_OVER", 0.3)


class Loop:
    """Stands for the loop at the door: carries commands out in a thread, and remembers them."""

    def __init__(self) -> None:
        self.commands = Commands()
        self.obeyed: list[Command] = []
        self.broken = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(0.02):
            for command, answer in self.commands.waiting():
                self.obeyed.append(command)
                if self.broken:
                    answer.set_exception(RefusedError(self.broken))
                else:
                    answer.set_result(f"Done: {type(command).__name__}.")

    def close(self) -> None:
        self._ended.set()
        self._thread.join()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


OpenDoor = Callable[..., Publisher]


@pytest.fixture
def open_door(broker: Broker, loop: Loop, quick: None) -> Iterator[OpenDoor]:
    opened: list[Publisher] = []

    def open_door(status: Status | None = None, **mqtt: Any) -> Publisher:
        given = {"host": "127.0.0.1", "port": broker.port, "door": "front"} | mqtt
        settings = load(environment={}, overrides={f"mqtt.{key}": value for key, value in given.items()})
        opened.append(Publisher(settings, SystemClock(), ABOUT, loop.commands))
        opened[-1].show(status or a_status())
        return opened[-1]

    yield open_door
    for one in opened:
        one.close()


def a_status(uptime: float = 3600.0, **fields: Any) -> Status:
    now = time.monotonic()
    stored = CountsState(Path("/nowhere/counts.db"), None, {MASKED: 100, BARE: 7})
    given = {
        "camera": CameraState("a camera", last_frame_at=now),
        "counts": stored,
        "alerts": AlertState((LAMP, BUZZER)),
    }
    return Status(now, now - uptime, **(given | fields))


def told(listener: Listener, topic: str) -> dict[str, Any]:
    return dict(json.loads(wait_for(lambda: listener.latest.get(f"maskgate/front/{topic}"))))


def described(listener: Listener) -> dict[str, Any]:
    return dict(json.loads(wait_for(lambda: listener.latest.get(DEVICE))))


class TestDevice:
    def test_one_document_describes_the_device(self, open_door: OpenDoor, listener: Listener) -> None:
        open_door()
        document = described(listener)
        assert document["device"]["identifiers"] == ["maskgate_front"]
        assert document["device"]["name"] == "Maskgate front"
        assert document["device"]["sw_version"] == document["origin"]["sw_version"] == "1.2.3"
        assert listener.latest[document["availability_topic"]] == document["payload_available"]
        assert [topic for topic in listener.latest if topic.startswith("homeassistant/")] == [DEVICE]

    def test_entities_read_retained_topics(self, open_door: OpenDoor, listener: Listener) -> None:
        open_door()
        for key in ("counts", "diagnostics", "camera", "alerts", "people", "alarm", "version"):
            wait_for(lambda key=key: f"maskgate/front/{key}" in listener.latest)
        components = described(listener)["components"]
        for key, entity in some(components.items()):
            if "state_topic" not in entity or entity["state_topic"].endswith("/today"):
                continue
            assert entity["unique_id"] == f"maskgate_front_{key}"
            state = rendered(entity, listener.latest[entity["state_topic"]])
            if entity["platform"] == "binary_sensor":
                assert state in (entity["payload_on"], entity["payload_off"], "None"), key
            if entity.get("state_class") == "total_increasing":
                assert int(state) >= 0

    @pytest.mark.parametrize("verdict", [*Verdict, "visits"])
    def test_counters_only_grow(self, verdict: str, open_door: OpenDoor, listener: Listener) -> None:
        open_door()
        counter = described(listener)["components"][str(verdict)]
        assert counter["state_class"] == "total_increasing"
        assert counter["state_topic"] == "maskgate/front/counts"

    def test_keys_are_those_of_earlier_versions(self, open_door: OpenDoor, listener: Listener) -> None:
        open_door()
        assert {*map(str, Verdict), "people", "alarm", "camera"} <= set(described(listener)["components"])

    def test_home_assistant_restart_hears_again(self, open_door: OpenDoor, listener: Listener) -> None:
        open_door()
        wait_for(lambda: listener.times(DEVICE) == 1 and listener.times("maskgate/front/counts") == 1)
        listener.say("homeassistant/status", "offline")
        listener.say("homeassistant/status", "online")
        wait_for(lambda: listener.times(DEVICE) == 2 and listener.times("maskgate/front/counts") == 2)

    def test_no_discovery_prefix_no_description(self, open_door: OpenDoor, listener: Listener) -> None:
        open_door(discovery_prefix="")
        told(listener, "counts")
        time.sleep(2 * discovery.LISTEN_FOR)
        assert {topic.split("/")[0] for topic in listener.latest} == {"maskgate"}

    @pytest.mark.parametrize(
        ("web", "own", "page"),
        [
            ({"host": "0.0.0.0", "port": 8080}, "192.0.2.7", "http://192.0.2.7:8080/operator"),
            ({"host": "::", "port": 80}, "2001:db8::7", "http://[2001:db8::7]:80/operator"),
            ({"host": "192.0.2.9", "port": 8080}, "192.0.2.7", "http://192.0.2.9:8080/operator"),
            ({"host": "127.0.0.1", "port": 8080}, "192.0.2.7", None),
            ({"host": "0.0.0.0", "enabled": False}, "192.0.2.7", None),
        ],
    )
    def test_link_is_reachable_by_others(self, web: dict[str, Any], own: str, page: str | None) -> None:
        assert operator_page(WebSettings(**web), own) == page

    def test_link_uses_the_machine_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "gethostname", lambda: "door1.example.org")
        assert operator_page(WebSettings(host="0.0.0.0"), "127.0.0.1") == "http://door1.local:8080/operator"

    def test_link_is_part_of_the_device(self) -> None:
        one = Discovery(load(environment={}).config.mqtt, Topics("maskgate", "front"), "1.2.3")
        assert one.document("http://192.0.2.7:8080/operator")["device"]["configuration_url"]
        assert "configuration_url" not in one.document(None)["device"]


def rendered(entity: dict[str, Any], payload: str) -> str:
    """What Home Assistant makes of a payload, for the one form of template that is used here."""
    template = entity.get("value_template")
    if template is None:
        return payload
    assert template.startswith("{{ value_json.")
    return str(json.loads(payload)[template.removeprefix("{{ value_json.").removesuffix(" }}")])


class TestLanguage:
    @staticmethod
    def components(language: str) -> dict[str, dict[str, Any]]:
        settings = load(environment={}).config.mqtt
        found: dict[str, dict[str, Any]] = Discovery(settings, Topics("maskgate", "front-1"), "1.2.3").document(
            None, language
        )["components"]
        return {key: one for key, one in found.items() if "name" in one}

    def test_names_are_in_the_language_of_the_door(self) -> None:
        english, french = self.components("en"), self.components("fr")
        assert (french["visits"]["name"], french["without_mask"]["name"]) == ("Visites", "Sans masque")
        assert self.components("auto") == english
        assert english.keys() == french.keys()

    def test_ids_stay_those_of_the_documentation(self) -> None:
        english, french = self.components("en"), self.components("fr")
        for key, one in some(french.items()):
            words = f"maskgate_front_1_{english[key]['name']}".lower().replace(" ", "_")
            assert one.get("default_entity_id", f"{one['platform']}.{words}") == f"{one['platform']}.{words}"
            assert ("default_entity_id" in one) == (one["name"] != english[key]["name"])

    def test_changed_language_renames_at_once(self, open_door: OpenDoor, listener: Listener) -> None:
        door = open_door()
        described(listener)
        french = load(environment={}, overrides={"web.language": "fr"})
        door.show(a_status(settings=french))
        wait_for(lambda: json.loads(listener.latest[DEVICE])["components"]["visits"]["name"] == "Visites")


class TestMigration:
    def test_old_descriptions_are_handed_over(self, broker: Broker, open_door: OpenDoor, listener: Listener) -> None:
        for topic in OLD:
            listener.retain(topic, '{"name": "of an earlier version"}')
        open_door()
        wait_for(lambda: all(listener.latest.get(topic) == "" for topic in OLD))
        heard = [(topic, payload) for topic, payload in listener.heard if topic.startswith("homeassistant/")][
            len(OLD) :
        ]
        assert [topic for topic, _ in heard] == [*OLD, DEVICE, *OLD]
        assert [json.loads(payload) for _, payload in heard[:2]] == [{"migrate_discovery": True}] * 2
        assert [payload for _, payload in heard[3:]] == ["", ""]
        late = Listener(broker.port)
        wait_for(lambda: DEVICE in late.latest)
        assert [topic for topic in late.latest if topic.startswith("homeassistant/")] == [DEVICE]
        late.close()

    def test_other_devices_are_left_alone(self, broker: Broker, open_door: OpenDoor, listener: Listener) -> None:
        other = "homeassistant/sensor/maskgate_back/people/config"
        listener.retain(other, '{"name": "another door"}')
        open_door()
        described(listener)
        time.sleep(3 * discovery.HAND_OVER)
        assert listener.times(other) == 1

    def test_second_start_migrates_nothing(self, open_door: OpenDoor, listener: Listener) -> None:
        listener.retain(OLD[0], '{"name": "of an earlier version"}')
        open_door().show(a_status())
        wait_for(lambda: listener.latest.get(OLD[0]) == "")
        open_door(door="other").close()
        before = listener.times(OLD[0])
        open_door().show(a_status())
        time.sleep(4 * discovery.HAND_OVER)
        assert listener.times(OLD[0]) == before


class TestStates:
    def test_compliance_comes_from_the_store(self, open_door: OpenDoor, listener: Listener, tmp_path: Path) -> None:
        clock = SystemClock()
        store = CountStore(tmp_path / "counts.db", 0.0, 30, clock)
        for number, verdict in enumerate([MASKED, MASKED, MASKED, BARE, Verdict.UNSURE]):
            store.record(Event(EventKind.VISIT_ENDED, clock.monotonic(), number, verdict, 1.0))
        store.tick()
        store.close()
        open_door(a_status(counts=CountsState(tmp_path / "counts.db", None, {})))
        assert told(listener, "today") == {"compliance": 75.0, "judged": 4, "visits": 5}

    def test_nobody_judged_is_no_share(self, open_door: OpenDoor, listener: Listener, tmp_path: Path) -> None:
        CountStore(tmp_path / "counts.db", 0.0, 30, SystemClock()).close()
        open_door(a_status(counts=CountsState(tmp_path / "counts.db", None, {})))
        assert told(listener, "today") == {"compliance": None, "judged": 0, "visits": 0}

    def test_outputs_are_told_as_they_are(self, open_door: OpenDoor, listener: Listener) -> None:
        until = time.monotonic() + 300
        failed = replace(BUZZER, trouble="The buzzer's pin is taken.")
        door = open_door(a_status(alerts=AlertState((LAMP, failed), until, quiet_hours=True)))
        alerts = told(listener, "alerts")
        assert alerts["ok"] is alerts["audible"] is False
        assert alerts["muted"] is alerts["quiet_hours"] is True
        assert [(one["kind"], one["trouble"]) for one in alerts["outputs"]] == [
            ("led", None),
            ("buzzer", "The buzzer's pin is taken."),
        ]
        ends = datetime.fromisoformat(alerts["muted_until"].replace("Z", "+00:00")) - datetime.now(timezone.utc)
        assert timedelta(seconds=250) < ends <= timedelta(seconds=300)
        door.show(a_status(alerts=AlertState((LAMP, BUZZER))))
        wait_for(lambda: told(listener, "alerts")["audible"])
        assert told(listener, "alerts")["muted_until"] is None

    def test_a_mute_is_said_once(self, open_door: OpenDoor, listener: Listener) -> None:
        until = time.monotonic() + 300
        door = open_door(a_status(alerts=AlertState((BUZZER,), until)))
        for _ in range(20):
            door.show(a_status(alerts=AlertState((BUZZER,), until)))
            time.sleep(0.1)
        assert listener.times("maskgate/front/alerts") == 1

    def test_diagnostics_do_not_flood(self, open_door: OpenDoor, listener: Listener) -> None:
        door = open_door()
        for number in range(30):
            door.show(a_status(frames=10 * number))
            time.sleep(0.1)
        assert listener.times("maskgate/front/diagnostics") == 1
        assert told(listener, "diagnostics")["counts_degraded"] is False

    def test_demo_says_that_it_is_one(self, open_door: OpenDoor, listener: Listener) -> None:
        open_door(a_status(camera=CameraState("demo", kind=SourceKind.DEMO), counted=False, counts=None))
        assert told(listener, "camera")["source"] == "demo"
        assert "maskgate/front/counts" not in listener.latest

    def test_verdicts_are_events(self, open_door: OpenDoor, listener: Listener) -> None:
        door = open_door(events=True)
        entity = described(listener)["components"]["verdict"]
        door.tell([Event(EventKind.VERDICT, time.monotonic(), 7, BARE, confidence=0.93)])
        assert told(listener, "verdict") == {"event_type": "without_mask", "person": 7, "confidence": 0.93}
        assert "without_mask" in entity["event_types"]
        assert entity["state_topic"] == "maskgate/front/verdict"

    def test_no_single_verdict_is_told_otherwise(self, open_door: OpenDoor, listener: Listener) -> None:
        door = open_door()
        assert described(listener)["components"]["verdict"] == {"platform": "event"}
        door.tell([Event(EventKind.VERDICT, time.monotonic(), 7, BARE)])
        time.sleep(0.6)
        assert "maskgate/front/verdict" not in listener.latest


class Remote:
    """Gives commands over the broker, and waits for what the door answers."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def ask(self, name: str, payload: str) -> dict[str, Any]:
        self.send(name, payload)
        return self.next_answer()

    def send(self, name: str, payload: str) -> None:
        self._before = self._listener.times("maskgate/front/answer")
        self._listener.send(f"maskgate/front/command/{name}", payload)

    def next_answer(self) -> dict[str, Any]:
        wait_for(lambda: self._listener.times("maskgate/front/answer") > self._before)
        return dict(json.loads(self._listener.latest["maskgate/front/answer"]))


@contextlib.contextmanager
def stalled(broker: Broker) -> Iterator[None]:
    """A broker that neither takes nor passes on anything until the end of the block."""
    assert broker.process
    broker.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        broker.process.send_signal(signal.SIGCONT)


@pytest.fixture
def remote(listener: Listener) -> Remote:
    return Remote(listener)


@pytest.fixture
def commanded(open_door: OpenDoor, listener: Listener) -> Publisher:
    door = open_door(commands=True)
    described(listener)
    return door


@pytest.fixture
def soon_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "HELD_UP", 0.5)


class TestCommands:
    @pytest.mark.parametrize(("payload", "command"), [("ON", Mute()), ("OFF", Unmute())])
    def test_mute_switch_reaches_the_loop(
        self, commanded: Publisher, remote: Remote, loop: Loop, payload: str, command: Command
    ) -> None:
        answer = remote.ask("mute", payload)
        assert loop.obeyed == [command]
        assert answer == {"command": "mute", "done": True, "said": f"Done: {type(command).__name__}."}

    def test_test_button_spares_the_relay(
        self, commanded: Publisher, remote: Remote, loop: Loop, listener: Listener
    ) -> None:
        commanded.show(a_status(alerts=AlertState((LAMP, BUZZER, RELAY))))
        remote.ask("test", "PRESS")
        wait_for(lambda: listener.times("maskgate/front/answer") == 2)
        assert loop.obeyed == [TryOutput("led"), TryOutput("buzzer")]

    def test_restart_reaches_the_door(self, commanded: Publisher, remote: Remote, loop: Loop) -> None:
        assert remote.ask("restart", "PRESS")["done"] is True
        assert loop.commands.restart

    def test_early_restart_is_refused(self, commanded: Publisher, remote: Remote, loop: Loop) -> None:
        commanded.show(a_status(uptime=5.0))
        answer = remote.ask("restart", "PRESS")
        assert (answer["done"], loop.commands.restart) == (False, False)
        assert "started 5 s ago" in answer["said"]

    def test_impossible_command_is_answered(self, commanded: Publisher, remote: Remote, loop: Loop) -> None:
        loop.broken = "The buzzer's pin is taken."
        assert remote.ask("mute", "ON") == {"command": "mute", "done": False, "said": "The buzzer's pin is taken."}

    @pytest.mark.parametrize(
        ("name", "payload"),
        [
            ("mute", "on"),
            ("mute", "PRESS"),
            ("restart", ""),
            ("restart", "PRESS "),
            ("test", "relay"),
            ("restart", '["PRESS"]'),
            ("restart", '{"do": "PRESS", "by": "me"}'),
            ("restart", '{"at": "2025-01-31T08:15:30Z"}'),
            ("restart", '{"do": "PRESS", "at": "yesterday"}'),
            ("restart", '{"do": "PRESS", "at": "2025-01-31T08:15:30"}'),
            ("restart", '{"do": {"do": "PRESS"}}'),
            ("restart", "{" * 500),
            ("restart", "PRESS" * 100_000),
            ("restart", '{"do": "PRESS"' + " " * 500 + "}"),
        ],
    )
    def test_malformed_commands_are_refused(
        self, commanded: Publisher, remote: Remote, loop: Loop, name: str, payload: str
    ) -> None:
        answer = remote.ask(name, payload)
        assert answer["done"] is False
        assert "The payload is not" in answer["said"]
        assert (loop.obeyed, loop.commands.restart) == ([], False)

    def test_binary_payload_is_refused(self, commanded: Publisher, listener: Listener, loop: Loop) -> None:
        listener.say("maskgate/front/command/restart", b"\xff\xfe\x00")
        assert "The payload is not" in told(listener, "answer")["said"]
        assert not loop.commands.restart

    @pytest.mark.parametrize("seconds", [-3600, 3600])
    def test_old_command_is_refused(
        self, commanded: Publisher, remote: Remote, loop: Loop, seconds: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inbox, "clock_is_set", lambda: True)
        at = (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()
        answer = remote.ask("mute", json.dumps({"do": "ON", "at": at}))
        assert answer["done"] is False
        assert "compare the clocks" in answer["said"]
        assert loop.obeyed == []

    def test_command_with_its_time_is_obeyed(self, commanded: Publisher, remote: Remote) -> None:
        at = datetime.now(timezone(timedelta(hours=5))).isoformat()
        assert remote.ask("mute", json.dumps({"do": "ON", "at": at}))["done"] is True

    def test_door_without_time_ignores_age(
        self, commanded: Publisher, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inbox, "clock_is_set", lambda: False)
        assert remote.ask("mute", '{"do": "ON", "at": "2025-01-31T08:15:30Z"}')["done"] is True

    def test_retained_command_is_refused(
        self, open_door: OpenDoor, listener: Listener, loop: Loop, caplog: pytest.LogCaptureFixture
    ) -> None:
        listener.retain("maskgate/front/command/restart", "PRESS")
        open_door(commands=True)
        assert "It is retained by the broker" in told(listener, "answer")["said"]
        assert "The MQTT command restart was not carried out: It is retained" in caplog.text
        assert not loop.commands.restart

    @pytest.mark.slow
    @pytest.mark.usefixtures("soon_held_up")
    @pytest.mark.parametrize("name", ["test", "restart", "mute"])
    def test_command_held_up_on_its_way_is_refused(
        self, broker: Broker, commanded: Publisher, remote: Remote, loop: Loop, name: str
    ) -> None:
        with stalled(broker):
            commanded.show(a_status(alerts=AlertState((LAMP,))))
            remote.send(name, inbox.WORDS[name][0])
            time.sleep(3.0)
        answer = remote.next_answer()
        assert answer["done"] is False
        assert "had stalled, so this may be old" in answer["said"]
        assert (loop.obeyed, loop.commands.restart) == ([], False)

    @pytest.mark.slow
    @pytest.mark.usefixtures("soon_held_up")
    def test_command_with_its_time_may_be_held_up(
        self, broker: Broker, commanded: Publisher, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inbox, "clock_is_set", lambda: True)
        with stalled(broker):
            commanded.show(a_status(alerts=AlertState((LAMP,))))
            remote.send("mute", json.dumps({"do": "ON", "at": datetime.now(timezone.utc).isoformat()}))
            time.sleep(3.0)
        assert remote.next_answer()["done"] is True

    @pytest.mark.slow
    @pytest.mark.usefixtures("soon_held_up")
    def test_commands_are_obeyed_again_after_a_stall(
        self, broker: Broker, commanded: Publisher, remote: Remote
    ) -> None:
        with stalled(broker):
            commanded.show(a_status(alerts=AlertState((LAMP,))))
            time.sleep(3.0)
        wait_for(lambda: remote.ask("mute", "ON")["done"])

    def test_flood_is_bounded(
        self, commanded: Publisher, listener: Listener, loop: Loop, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        for _ in range(500):
            listener.say("maskgate/front/command/mute", "LOUD")
        listener.say("maskgate/front/command/mute", "OFF")
        wait_for(lambda: loop.obeyed == [Unmute()])
        assert len(caplog.records) == 1
        assert commanded.connected

    def test_commands_are_off_by_default(self, open_door: OpenDoor, listener: Listener, loop: Loop) -> None:
        open_door()
        components = described(listener)["components"]
        listener.say("maskgate/front/command/restart", "PRESS")
        listener.say("maskgate/front/command/mute", "ON")
        time.sleep(0.6)
        assert (loop.obeyed, loop.commands.restart) == ([], False)
        assert components["mute"] == {"platform": "switch"}
        assert components["restart"] == components["test"] == {"platform": "button"}

    def test_switch_and_buttons_are_described(self, commanded: Publisher, listener: Listener) -> None:
        components = described(listener)["components"]
        for key in ("mute", "test", "restart"):
            assert components[key]["command_topic"] == f"maskgate/front/command/{key}"
        assert rendered(components["mute"], listener.latest["maskgate/front/alerts"]) == components["mute"]["state_off"]


class TestDocumentation:
    PAGE = (Path(__file__).parents[3] / "docs/reference/mqtt.md").read_text("utf-8")

    def test_examples_name_real_entities(self, commanded: Publisher, listener: Listener) -> None:
        document = described(listener)
        there = {
            f"{one['platform']}.{document['device']['name']} {one['name']}".lower().replace(" ", "_")
            for one in document["components"].values()
            if "name" in one
        }
        named = set(re.findall(r"\b(?:sensor|binary_sensor|switch|button|event)\.maskgate_front_\w+", self.PAGE))
        assert len(named) == 9
        assert named <= there

    def test_every_topic_is_explained(self, open_door: OpenDoor, listener: Listener) -> None:
        open_door(commands=True, events=True)
        described(listener)
        told(listener, "version")
        topics = set(re.findall(r'"(?:\w+_)?topic": "([^"]+)"', listener.latest[DEVICE]))
        topics |= {topic for topic in listener.latest if topic.startswith("maskgate/")}
        assert len(topics) > 10
        assert [topic for topic in topics if f"`{topic}`" not in self.PAGE] == []

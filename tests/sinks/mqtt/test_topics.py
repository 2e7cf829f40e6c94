"""What a broker hears of a door: with a real broker, mosquitto of Debian."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Callable

import pytest

from edge.config import load
from edge.messages import message
from edge.sinks.mqtt import publisher
from edge.sinks.mqtt.link import MOST_UNACKNOWLEDGED
from edge.sinks.mqtt.topics import topics
from edge.status import CameraState
from edge.values import Event, EventKind, Verdict
from tests.sinks.mqtt.helpers import ABOUT, BARE, MASKED, STATES, OpenDoor, counts, person
from tests.stand_ins.broker import MOSQUITTO, Broker, Listener, wait_for

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="needs a broker: apt install mosquitto")


class TestWhatIsRetained:
    def test_late_subscribers_hear_the_state(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        door = open_door(broker.port, before={MASKED: 100, BARE: 7})
        early = listen(broker.port)
        door.show(people=(person(1), person(2)), totals={MASKED: 3, Verdict.UNSURE: 1}, alarm=True)
        wait_for(lambda: {"maskgate/front/counts", "maskgate/front/people"} <= set(early.latest))

        late = listen(broker.port)
        wait_for(lambda: set(STATES) <= {topic.removeprefix("maskgate/front/") for topic in late.latest})
        assert late.latest["maskgate/front/availability"] == "online"
        assert late.latest["maskgate/front/people"] == "2"
        assert late.latest["maskgate/front/alarm"] == "ON"
        assert json.loads(late.latest["maskgate/front/camera"]) == {
            "ok": True,
            "trouble": None,
            "losses": 0,
            "source": "camera",
        }
        assert json.loads(late.latest["maskgate/front/version"]) == ABOUT
        assert counts(late) == {
            "with_mask": 103,
            "without_mask": 7,
            "mask_worn_incorrectly": 0,
            "unsure": 1,
            "visits": 111,
        }
        assert all(late.retained.values())
        assert door.publisher.connected

    def test_lost_cameras_give_their_reason(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        door, listener = open_door(broker.port), listen(broker.port)
        door.show(camera=CameraState("usb:0", "usb:0 is unplugged.", time.monotonic(), 2))
        said = wait_for(lambda: listener.latest.get("maskgate/front/camera"))
        assert json.loads(said) == {
            "ok": False,
            "trouble": "usb:0 is unplugged.",
            "losses": 2,
            "source": "camera",
        }

    def test_faults_are_told_in_the_language_of_the_door(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        door, listener = open_door(broker.port), listen(broker.port)
        french = load(environment={}, overrides={"web.language": "fr"})
        lost = CameraState("usb:0", message("camera.silent", camera="usb:0"), time.monotonic(), 2)
        door.show(settings=french, camera=lost)
        said = wait_for(lambda: listener.latest.get("maskgate/front/camera"))
        assert json.loads(said)["trouble"] == "usb:0 n’envoie pas d’images."

    def test_hanging_loops_are_reported(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        door, listener = open_door(broker.port), listen(broker.port)
        door.show()
        wait_for(lambda: json.loads(listener.latest.get("maskgate/front/camera", "{}")).get("ok") is True)
        wait_for(lambda: json.loads(listener.latest["maskgate/front/camera"])["ok"] is False)
        assert "s old" in json.loads(listener.latest["maskgate/front/camera"])["trouble"]

    def test_counts_wait_for_earlier_totals(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        door, listener = open_door(broker.port, before=None), listen(broker.port)
        door.show(totals={MASKED: 3}, people=(person(1),))
        wait_for(lambda: "maskgate/front/people" in listener.latest)
        door.show(totals={MASKED: 4}, people=())
        wait_for(lambda: listener.latest["maskgate/front/people"] == "0")
        assert counts(listener) == {}

    def test_states_are_rate_limited(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        door, listener = open_door(broker.port), listen(broker.port)
        wait_for(lambda: door.publisher.connected)
        began = time.monotonic()
        for number in range(150):
            door.show(people=tuple(person(one) for one in range(number % 7)))
            time.sleep(0.01)
        door.show(people=tuple(person(one) for one in range(9)))
        wait_for(lambda: listener.latest.get("maskgate/front/people") == "9")
        assert 2 <= listener.times("maskgate/front/people") <= 2 + 2 * (time.monotonic() - began)

    def test_unchanged_states_are_not_repeated(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        door, listener = open_door(broker.port, before={}), listen(broker.port)
        for _ in range(20):
            door.show(people=(person(1),))
            time.sleep(0.1)
        assert listener.times("maskgate/front/people") == 1
        assert listener.times("maskgate/front/counts") == 1


class TestWhatIsOnlyTried:
    def test_the_demo_is_not_published(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        listener = listen(broker.port)
        door = open_door(broker.port, before={MASKED: 10}, counted=False, events=True)
        door.publisher.tell([Event(EventKind.VISIT_ENDED, time.monotonic(), 1, BARE, 2.5)])
        door.show(totals={MASKED: 3})
        wait_for(lambda: "maskgate/front/people" in listener.latest)
        door.publisher.close()
        wait_for(lambda: listener.latest["maskgate/front/availability"] == "offline")
        assert "maskgate/front/counts" not in listener.latest
        assert listener.times("maskgate/front/events") == 0


class TestEvents:
    def test_waiting_events_precede_offline(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        door, listener = open_door(broker.port, before={}, events=True), listen(broker.port)
        wait_for(lambda: door.publisher.connected and "maskgate/front/availability" in listener.latest)
        door.publisher.tell([self.visit(number) for number in range(300)])
        door.show(totals={BARE: 300})
        door.publisher.close()
        wait_for(lambda: listener.latest["maskgate/front/availability"] == "offline")
        assert listener.times("maskgate/front/events") == 300
        assert counts(listener)["without_mask"] == 300
        assert listener.heard[-1] == ("maskgate/front/availability", "offline")

    def visit(self, number: int) -> Event:
        return Event(EventKind.VISIT_ENDED, time.monotonic(), number, BARE, 2.5)

    def test_events_are_off_by_default(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        door, listener = open_door(broker.port), listen(broker.port)
        door.publisher.tell([self.visit(1)])
        door.show()
        wait_for(lambda: "maskgate/front/people" in listener.latest)
        assert "maskgate/front/events" not in listener.latest

    def test_events_are_sent_once_in_order(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        door, listener = open_door(broker.port, events=True), listen(broker.port)
        wait_for(lambda: door.publisher.connected and "maskgate/front/availability" in listener.latest)
        for number in range(60):
            door.publisher.tell([self.visit(number)])
        wait_for(lambda: listener.times("maskgate/front/events") == 60)
        told = [json.loads(payload) for topic, payload in listener.heard if topic == "maskgate/front/events"]
        assert [event["person"] for event in told] == list(range(60))
        assert {key: told[0][key] for key in ("event", "verdict", "seconds")} == {
            "event": "visit_ended",
            "verdict": "without_mask",
            "seconds": 2.5,
        }
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told[0]["time"])
        late = listen(broker.port)
        wait_for(lambda: "maskgate/front/availability" in late.latest)
        assert "maskgate/front/events" not in late.latest

    def test_old_waiting_events_are_dropped(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(publisher, "MOST_EVENTS", 10)
        door, listener = open_door(broker.port, events=True), listen(broker.port)
        wait_for(lambda: door.publisher.connected and "maskgate/front/availability" in listener.latest)
        assert broker.process
        broker.process.send_signal(signal.SIGSTOP)
        for number in range(60):
            door.publisher.tell([self.visit(number)])
        broker.process.send_signal(signal.SIGCONT)
        assert door.publisher.dropped >= 60 - 10 - MOST_UNACKNOWLEDGED
        wait_for(lambda: listener.times("maskgate/front/events") + door.publisher.dropped == 60)
        told = [json.loads(payload)["person"] for topic, payload in listener.heard if topic.endswith("/events")]
        assert told == sorted(set(told))
        assert told[-10:] == list(range(50, 60))


def test_unnamed_doors_use_the_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "door1.example.org")
    settings = load(environment={}).config.mqtt
    assert topics(settings)["counts"] == "maskgate/door1-example-org/counts"

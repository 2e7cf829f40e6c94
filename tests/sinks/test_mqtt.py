"""What an MQTT broker hears of a door, and Home Assistant through it: with a real broker, Debian's mosquitto."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from edge.clock import SystemClock
from edge.config import Settings, load
from edge.control import Commands
from edge.sinks.counts.database import lifetime_totals, open_for_reading
from edge.sinks.mqtt import Publisher, link, publisher
from edge.sinks.mqtt.link import MOST_UNACKNOWLEDGED
from edge.sinks.mqtt.topics import topics
from edge.status import CameraState, CountsState, Status
from edge.values import BBox, Event, EventKind, Person, Verdict
from tests.stand_ins import memory
from tests.stand_ins.broker import MOSQUITTO, PATIENCE, Broker, Listener, free_port, refusing_port, wait_for

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="needs a broker: apt install mosquitto")
ABOUT = {"maskgate": "1.2.3", "face": "b6446fc2", "mask": "0892ab75"}
STATES = ("availability", "counts", "people", "alarm", "camera", "alerts", "diagnostics", "version")
MASKED, BARE = Verdict.WITH_MASK, Verdict.WITHOUT_MASK


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    started = Broker(tmp_path).start()
    yield started
    started.stop()


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    opened: list[Listener] = []

    def listen(port: int, **account: str) -> Listener:
        opened.append(Listener(port, **account))
        return opened[-1]

    yield listen
    for listener in opened:
        listener.close()


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


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a test, not of a door."""
    monkeypatch.setattr(publisher, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(publisher, "LONGEST_PAUSE", 0.3)


@pytest.fixture
def open_door(quick: None, tmp_path: Path) -> Iterator[OpenDoor]:
    opened: list[Publisher] = []

    def open_door(
        port: int,
        before: Mapping[Verdict, int] | None = None,
        settings: Settings | None = None,
        counted: bool = True,
        **mqtt: Any,
    ) -> Door:
        given = {"host": "127.0.0.1", "port": port, "door": "front"} | mqtt
        settings = settings or load(environment={}, overrides={f"mqtt.{key}": value for key, value in given.items()})
        one = Publisher(settings, SystemClock(), ABOUT, Commands(), counted)
        opened.append(one)
        now = time.monotonic()
        stored = CountsState(Path("counts.db"), None, before) if counted else None
        return Door(one, Status(now, now, CameraState("a camera"), counts=stored, counted=counted))

    yield open_door
    for one in opened:
        one.close()


def person(number: int) -> Person:
    return Person(number, BBox(0, 0, 50, 50), MASKED, 0.0, 1.0)


def counts(listener: Listener, door: str = "front") -> dict[str, int]:
    return json.loads(listener.latest.get(f"maskgate/{door}/counts", "{}"))


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


class TestComingAndGoing:
    def test_a_clean_end_says_offline(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        door, listener = open_door(broker.port, before={}), listen(broker.port)
        door.show(people=(person(1),))
        wait_for(lambda: listener.latest.get("maskgate/front/people") == "1")
        door.show(people=(), totals={BARE: 1})
        door.publisher.close()
        door.publisher.close()
        wait_for(lambda: listener.latest.get("maskgate/front/availability") == "offline")
        assert listener.latest["maskgate/front/people"] == "0"
        assert counts(listener)["without_mask"] == 1
        assert listener.heard[-1] == ("maskgate/front/availability", "offline")

    def test_the_broker_reports_killed_doors(self, broker: Broker, listen: Callable[..., Listener]) -> None:
        listener = listen(broker.port)
        process = subprocess.Popen([sys.executable, "-c", OPEN_AND_WAIT, str(broker.port)], cwd=ROOT)
        wait_for(lambda: listener.latest.get("maskgate/front/availability") == "online")
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_for(lambda: listener.latest["maskgate/front/availability"] == "offline")

    def test_counts_survive_an_absent_broker(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        door, before = open_door(broker.port, before={MASKED: 10}), listen(broker.port)
        door.show(totals={MASKED: 1})
        wait_for(lambda: counts(before).get("with_mask") == 11)
        broker.stop()
        wait_for(lambda: not door.publisher.connected)
        for number in range(2, 30):
            door.show(totals={MASKED: number})
        assert door.publisher.trouble

        broker.start()
        after = listen(broker.port)
        wait_for(lambda: counts(after).get("with_mask") == 39)
        wait_for(lambda: after.latest.get("maskgate/front/availability") == "online")
        assert door.publisher.trouble is None

    def test_absent_brokers_are_awaited(
        self, tmp_path: Path, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        broker = Broker(tmp_path)
        door = open_door(broker.port, before={})
        door.show(totals={MASKED: 1})
        wait_for(lambda: door.publisher.trouble)
        try:
            listener = listen(broker.start().port)
            wait_for(lambda: counts(listener).get("with_mask") == 1)
        finally:
            broker.stop()

    def test_a_second_equal_name_is_suspected(
        self, broker: Broker, open_door: OpenDoor, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = open_door(broker.port)
        wait_for(lambda: first.publisher.connected)
        open_door(broker.port)
        wait_for(lambda: "is there another door with mqtt.door = 'front'?" in caplog.text)

    def test_two_doors_share_a_broker(
        self, broker: Broker, open_door: OpenDoor, listen: Callable[..., Listener]
    ) -> None:
        listener = listen(broker.port)
        for name, total in (("front", 3), ("back", 5)):
            open_door(broker.port, before={}, door=name).show(totals={MASKED: total})
        wait_for(lambda: counts(listener, "front").get("visits") == 3 and counts(listener, "back").get("visits") == 5)


OPEN_AND_WAIT = """
import sys, time
from edge.clock import SystemClock
from edge.config import load
from edge.control import Commands
from edge.sinks.mqtt import Publisher

settings = load(environment={}, overrides={
    "mqtt.host": "127.0.0.1", "mqtt.port": int(sys.argv[1]), "mqtt.door": "front"})
Publisher(settings, SystemClock(), {"maskgate": "1", "face": "2", "mask": "3"}, Commands())
time.sleep(120)
"""


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


class TestTrouble:
    @pytest.fixture
    def guarded(self, tmp_path: Path) -> Iterator[Broker]:
        """A broker that knows one account: door, with the password open sesame."""
        accounts = tmp_path / "accounts"
        subprocess.run(["mosquitto_passwd", "-b", "-c", accounts, "door", "open sesame"], check=True)
        started = Broker(tmp_path, f"allow_anonymous false\npassword_file {accounts}").start()
        yield started
        started.stop()

    def test_absent_brokers_are_reported_once(self, open_door: OpenDoor, caplog: pytest.LogCaptureFixture) -> None:
        with refusing_port() as port:
            door = open_door(port)
            wait_for(lambda: door.publisher.trouble)
            began = time.monotonic()
            for number in range(1000):
                door.show(totals={MASKED: number})
            assert time.monotonic() - began < 1.0
            time.sleep(1.0)
        assert [record.getMessage() for record in caplog.records] == [
            f"The MQTT broker 127.0.0.1:{port} cannot be reached (Connection refused); check mqtt.host, mqtt.port and "
            "the network. It is tried again and again; counts are kept."
        ]

    def test_a_password_from_file_is_accepted(
        self, guarded: Broker, open_door: OpenDoor, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_text("open sesame\n")
        secret.chmod(0o640)
        door = open_door(guarded.port, username="door", password_file=str(secret))
        wait_for(lambda: door.publisher.connected)
        assert caplog.records == []

    def test_wrong_passwords_recover_without_restart(
        self, guarded: Broker, open_door: OpenDoor, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_text("open barley\n")
        secret.chmod(0o600)
        door = open_door(guarded.port, username="door", password_file=str(secret))
        wait_for(lambda: "refuses this door (not authorized); check mqtt.username" in caplog.text)
        assert "barley" not in caplog.text
        time.sleep(0.5)
        assert len(caplog.records) == 1
        secret.write_text("open sesame\n")
        wait_for(lambda: door.publisher.connected)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (None, ", {file}, cannot be read (No such file or directory)"),
            (b"", ", {file}, is empty"),
            (b"\xff\xfe", " cannot be used: {file} is UTF-16 text"),
            (b"caf\xe9", " cannot be used: {file} is not UTF-8"),
        ],
    )
    def test_a_useless_password_file_is_reported(
        self, open_door: OpenDoor, tmp_path: Path, content: bytes | None, said: str
    ) -> None:
        secret = tmp_path / "secret"
        if content is not None:
            secret.touch(0o600)
            secret.write_bytes(content)
        door = open_door(free_port(), username="door", password_file=str(secret))
        trouble = wait_for(lambda: door.publisher.trouble)
        assert "The file of mqtt.password_file" + said.format(file=secret) in trouble

    def test_readable_password_files_are_warned_of(
        self, guarded: Broker, open_door: OpenDoor, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_text("open sesame\n")
        secret.chmod(0o644)
        door = open_door(guarded.port, username="door", password_file=str(secret))
        wait_for(lambda: door.publisher.connected)
        assert [record.getMessage() for record in caplog.records] == [
            f"Everybody on this machine can read the MQTT password in {secret}; run: chmod o= {secret}"
        ]

    def test_plain_passwords_are_warned_of(
        self, open_door: OpenDoor, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        file = tmp_path / "config.toml"
        file.write_text('[mqtt]\nhost = "broker.invalid"\nusername = "door"\npassword = "open sesame"\n')
        file.chmod(0o644)
        open_door(1, settings=load(file, {}))
        warnings = [record.getMessage() for record in caplog.records]
        assert warnings[:2] == [
            f"Everybody on this machine can read the MQTT password in {file}; run: chmod o= {file}",
            "The MQTT password travels to broker.invalid unencrypted; set mqtt.tls = true.",
        ]
        assert "sesame" not in caplog.text

    def test_a_server_that_is_no_broker(
        self, open_door: OpenDoor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("edge.sinks.mqtt.link.ANSWER_WITHIN", 0.3)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            open_door(port)
            wait_for(lambda: f"What listens at 127.0.0.1:{port} does not answer; is it an MQTT broker?" in caplog.text)

    @pytest.mark.parametrize(
        "said",
        [
            b"\x30\x06\0\2\xff\xfehi",
            b"\x32\x1d\0\x14homeassistant/status\0\7\xff\xfe\0",
            b"\x30\x16\0\x14homeassistant/status",
        ],
        ids=["topic that is no text", "payload that is no text", "no payload"],
    )
    def test_odd_messages_are_passed_over(self, open_door: OpenDoor, said: bytes) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            door = open_door(listener.getsockname()[1])
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"\x20\x02\0\0" + said)
                wait_for(lambda: door.publisher.connected)
                time.sleep(3 * publisher.TICK)
                assert door.publisher.connected

    def test_oversized_messages_are_refused(self, open_door: OpenDoor) -> None:
        memory.forget_peak()
        before = memory.resident()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            door = open_door(listener.getsockname()[1])
            connection, _ = listener.accept()
            with connection, contextlib.suppress(ConnectionError):
                connection.sendall(b"\x20\x02\0\0\x30\xff\xff\xff\x7f\0\x14homeassistant/status")
                for _ in range(200):
                    connection.sendall(bytes(2**20))
        wait_for(lambda: "sends a message larger than 1 MB" in (door.publisher.trouble or ""))
        assert memory.peak() - before < 64 * memory.MEGABYTE

    def test_an_unknown_host_is_reported(self, open_door: OpenDoor, caplog: pytest.LogCaptureFixture) -> None:
        open_door(1883, host="broker.invalid")
        wait_for(lambda: "The MQTT broker broker.invalid:1883 cannot be reached" in caplog.text)

    def test_closing_does_not_wait(self, open_door: OpenDoor) -> None:
        with refusing_port() as port:
            door = open_door(port)
            wait_for(lambda: door.publisher.trouble)
            began = time.monotonic()
            door.publisher.close()
            assert time.monotonic() - began < 2.0

    @pytest.mark.slow
    def test_hanging_links_are_noticed(
        self, broker: Broker, open_door: OpenDoor, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        door = open_door(broker.port, keepalive=5)
        wait_for(lambda: door.publisher.connected)
        assert broker.process
        broker.process.send_signal(signal.SIGSTOP)
        try:
            for number in range(100):
                door.show(totals={MASKED: number})
            wait_for(lambda: not door.publisher.connected)
            assert f"{broker.port} is lost" in caplog.text
        finally:
            broker.process.send_signal(signal.SIGCONT)
        wait_for(lambda: door.publisher.connected)

    def test_unacknowledging_brokers_are_lost(
        self, open_door: OpenDoor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(link, "SILENT_FOR", 0.1)
        with StuckBroker() as stuck:
            door = open_door(stuck.port, keepalive=5)
            wait_for(lambda: "acknowledges nothing" in (door.publisher.trouble or ""))
            wait_for(lambda: stuck.connections >= 3)
            assert not door.publisher.connected
            assert "acknowledges nothing" in (door.publisher.trouble or "")
            assert [record.levelname for record in caplog.records if "acknowledges nothing" in record.getMessage()] == [
                "WARNING"
            ]
            stuck.acknowledges = True
            wait_for(lambda: door.publisher.connected)
            assert door.publisher.trouble is None

    def test_retries_back_off(self, open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(link, "SILENT_FOR", 0.05)
        monkeypatch.setattr(publisher, "STEADY", 0.1)
        monkeypatch.setattr(publisher, "LONGEST_PAUSE", 60.0)
        with StuckBroker() as stuck:
            open_door(stuck.port, keepalive=5)
            wait_for(lambda: stuck.connections >= 6)
            pauses = [later - earlier for earlier, later in pairwise(stuck.connected_at)]
        assert pauses[-1] > pauses[0] + 0.3

    def test_quiet_doors_are_not_stuck(
        self, broker: Broker, open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(link, "SILENT_FOR", 0.1)
        door = open_door(broker.port, keepalive=5)
        wait_for(lambda: door.publisher.connected)
        time.sleep(1.5)
        assert door.publisher.trouble is None


class StuckBroker:
    """Accepts connections and answers pings and subscriptions; acknowledges messages only when told to."""

    def __init__(self) -> None:
        self.acknowledges = False
        self.connected_at: list[float] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])

    @property
    def connections(self) -> int:
        return len(self.connected_at)

    def __enter__(self) -> StuckBroker:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.connected_at.append(time.monotonic())
                threading.Thread(target=self._speak, args=(connection.makefile("rwb"),), daemon=True).start()

    def _speak(self, stream: BinaryIO) -> None:
        with stream, contextlib.suppress(OSError):
            while head := stream.read(1):
                body = stream.read(_length(stream))
                stream.write(self._answer(head[0] >> 4, body))
                stream.flush()

    def _answer(self, kind: int, body: bytes) -> bytes:
        connect, publish, subscribe, ping = 1, 3, 8, 12
        if kind == publish:
            number = body[2 + int.from_bytes(body[:2], "big") :][:2]
            return b"\x40\x02" + number if self.acknowledges else b""
        fixed = {connect: b"\x20\x02\0\0", subscribe: b"\x90\x03" + body[:2] + b"\1", ping: b"\xd0\0"}
        return fixed.get(kind, b"")


def _length(stream: BinaryIO) -> int:
    """Of an MQTT packet: seven bits a byte, the lowest first."""
    length = shift = 0
    while byte := stream.read(1):
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            break
    return length


class TestManyDoors:
    @pytest.fixture
    def kept_apart(self, tmp_path: Path) -> Iterator[Broker]:
        """A broker with the documented access list, an account for each of two doors and one that may read all."""
        documented = (ROOT / "docs/reference/mqtt.md").read_text("utf-8")
        rules = re.findall(r"^    (pattern .*)$", documented, re.MULTILINE)
        assert rules
        (tmp_path / "access").write_text("\n".join([*rules, "user reader", "topic read #"]) + "\n")
        accounts = tmp_path / "accounts"
        accounts.touch(0o600)
        for name in ("front", "back", "reader"):
            subprocess.run(["mosquitto_passwd", "-b", accounts, name, "sesame"], check=True)
        options = f"allow_anonymous false\npassword_file {accounts}\nacl_file {tmp_path}/access"
        started = Broker(tmp_path, options).start()
        yield started
        started.stop()

    def test_the_access_list_separates_doors(
        self, kept_apart: Broker, open_door: OpenDoor, listen: Callable[..., Listener], tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret"
        secret.touch(0o600)
        secret.write_text("sesame")
        listener = listen(kept_apart.port, username="reader", password="sesame")
        account = {"password_file": str(secret)}
        open_door(kept_apart.port, before={}, username="front", **account).show(totals={MASKED: 3})
        wait_for(lambda: counts(listener).get("visits") == 3)
        wait_for(lambda: "homeassistant/device/maskgate_front/config" in listener.latest)

        impostor = open_door(kept_apart.port, before={}, username="back", door="side", **account)
        impostor.show(totals={MASKED: 9})
        wait_for(lambda: "homeassistant/device/maskgate_side/config" in listener.latest)
        assert counts(listener, "side") == {}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate authority and a broker's certificate for 127.0.0.1 and localhost."""
    folder: Path = tmp_path_factory.mktemp("authority")
    (folder / "names").write_text("subjectAltName = IP:127.0.0.1, DNS:localhost\n")
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    for command in (
        f"req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority",
        f"req {key} -keyout broker.key -out broker.csr -subj /CN=broker",
        "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out broker.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder


class TestTls:
    @pytest.fixture
    def encrypted(self, tmp_path: Path, authority: Path) -> Iterator[Broker]:
        files = f"cafile {authority}/ca.pem\ncertfile {authority}/broker.pem\nkeyfile {authority}/broker.key"
        started = Broker(tmp_path, f"allow_anonymous true\n{files}").start()
        yield started
        started.stop()

    def test_trusted_certificates_are_accepted(self, encrypted: Broker, authority: Path, open_door: OpenDoor) -> None:
        door = open_door(encrypted.port, tls=True, ca_file=str(authority / "ca.pem"))
        wait_for(lambda: door.publisher.connected)

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"tls": True}, "is not trusted ("),
            ({"tls": True, "ca_file": "/no/such.pem"}, "/no/such.pem, cannot be used (No such file or directory)"),
            ({"tls": False}, "ends the connection; check mqtt.port and mqtt.tls"),
        ],
    )
    def test_untrusted_certificates_are_refused(
        self,
        encrypted: Broker,
        open_door: OpenDoor,
        caplog: pytest.LogCaptureFixture,
        settings: dict[str, Any],
        said: str,
    ) -> None:
        door = open_door(encrypted.port, **settings)
        wait_for(lambda: said in caplog.text)
        assert said in (door.publisher.trouble or "")
        assert not door.publisher.connected

    def test_certificates_must_name_the_host(self, encrypted: Broker, authority: Path, open_door: OpenDoor) -> None:
        door = open_door(encrypted.port, host="127.0.0.2", tls=True, ca_file=str(authority / "ca.pem"))
        trouble = wait_for(lambda: door.publisher.trouble)
        assert "127.0.0.2" in trouble

    def test_a_broker_without_tls_is_said(self, broker: Broker, open_door: OpenDoor) -> None:
        door = open_door(broker.port, tls=True)
        trouble = wait_for(lambda: door.publisher.trouble)
        assert re.search(r"check .*mqtt\.port.*mqtt\.tls", trouble)


@pytest.mark.slow
class TestWholeAppliance:
    @pytest.fixture
    def appliance(self, broker: Broker, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
        """Starts ``maskgate run`` on the demo clip, told of the broker, its screens on ``port``."""
        started: list[subprocess.Popen[str]] = []

        def appliance(port: int, *options: str) -> subprocess.Popen[str]:
            config = tmp_path / "config.toml"
            config.write_text(
                f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\ndoor = "front"\nevents = true\n'
                f'[web]\nport = {port}\n[counts]\npath = "{tmp_path}/counts.db"\n[alerts]\noutput = "none"\n'
            )
            command = [sys.executable, "-m", "edge", "run", "--config", config, "--source", "demo", "--count", *options]
            started.append(subprocess.Popen(command, cwd=ROOT, text=True, stderr=subprocess.PIPE))
            return started[-1]

        yield appliance
        for process in started:
            process.kill()
            process.communicate()

    def test_visits_reach_broker_and_prometheus(
        self,
        broker: Broker,
        listen: Callable[..., Listener],
        appliance: Callable[..., subprocess.Popen[str]],
        tmp_path: Path,
    ) -> None:
        listener, port = listen(broker.port), free_port()
        process = appliance(port, "--realtime")
        wait_for(lambda: counts(listener).get("visits", 0) >= 1 or process.poll() is not None, 4 * PATIENCE)
        page = wait_for(lambda: page_at(port))
        assert re.search(r"^maskgate_frames_total [1-9]", page, re.MULTILINE)
        assert re.search(r"^maskgate_mqtt_connected 1.0$", page, re.MULTILINE)
        assert 'maskgate_visits_total{verdict="with_mask"}' in page
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert "maskgate:" not in errors
        wait_for(lambda: listener.latest["maskgate/front/availability"] == "offline")
        first = counts(listener)
        assert first == stored(tmp_path / "counts.db")
        assert listener.latest["maskgate/front/people"] == "0"
        assert listener.latest["maskgate/front/alarm"] == "OFF"
        ended = [json.loads(payload) for topic, payload in listener.heard if topic == "maskgate/front/events"]
        assert sum(event["event"] == "visit_ended" for event in ended) == first["visits"]

        process = appliance(port, "--quiet", "--max-frames", "120")
        process.communicate(timeout=4 * PATIENCE)
        after = stored(tmp_path / "counts.db")
        assert after["visits"] > first["visits"]
        wait_for(lambda: counts(listener) == after)


def page_at(port: int) -> str | None:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        return str(page.read().decode())
    return None


def stored(path: Path) -> dict[str, int]:
    """What the store has counted in its life, as the broker is told of it."""
    with contextlib.closing(open_for_reading(path)) as connection:
        totals = {verdict.value: number for verdict, number in lifetime_totals(connection).items()}
    return totals | {"visits": sum(totals.values())}


def test_unnamed_doors_use_the_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "door1.example.org")
    settings = load(environment={}).config.mqtt
    assert topics(settings)["counts"] == "maskgate/door1-example-org/counts"

"""What a door says of a broker that refuses, vanishes or hangs."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from edge.config import load
from edge.sinks.mqtt import link, publisher
from tests.sinks.mqtt.helpers import MASKED, OpenDoor
from tests.stand_ins import memory
from tests.stand_ins.broker import MOSQUITTO, Broker, StuckBroker, free_port, refusing_port, wait_for

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="needs a broker: apt install mosquitto")


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
            for number in range(1000):
                door.show(totals={MASKED: number})
            time.sleep(1.0)
        assert [record.getMessage() for record in caplog.records] == [
            f"The MQTT broker 127.0.0.1:{port} cannot be reached (Connection refused); check mqtt.host, mqtt.port and "
            "the network. maskgate keeps trying; counts are kept."
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

    def test_closing_does_not_wait(self, open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(publisher, "FIRST_PAUSE", 600.0)
        monkeypatch.setattr(publisher, "LONGEST_PAUSE", 600.0)
        with refusing_port() as port:
            door = open_door(port)
            wait_for(lambda: door.publisher.trouble)
            began = time.monotonic()
            door.publisher.close()
            assert time.monotonic() - began < 60

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

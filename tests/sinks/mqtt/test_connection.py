"""How a door comes and goes at a broker, next to other doors and over TLS."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.mqtt.helpers import BARE, MASKED, ROOT, OpenDoor, counts, person
from tests.stand_ins.broker import MOSQUITTO, Broker, Listener, wait_for

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="needs a broker: apt install mosquitto")


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

"""Telling people who are not at the door, with a real web server that takes, refuses, hangs and is away."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edge.alerts.state import AlertState, OutputState
from edge.config import load
from edge.config.show import as_json, as_toml
from edge.errors import ConfigError
from edge.messages import message
from edge.sinks import delivery, notify
from edge.sinks.counts.store import CountStore
from edge.sinks.delivery import Apprise, Notice, Webhook, ways
from edge.sinks.notify import Notifier
from edge.status import CameraState, CountsState, Status
from edge.values import Event, EventKind, Verdict
from tests.stand_ins.broker import free_port, wait_for
from tests.stand_ins.clock import ManualClock

SECRET = "open-sesame"
BARE = Verdict.WITHOUT_MASK
BUZZER = OutputState("buzzer", "buzzer on pin 27", "The pin 27 cannot be switched.")
NOTICE = Notice("camera_lost", "now", "front", "Camera lost", "It is.")


class Hook:
    """A web server that remembers what it is sent.

    Attributes:
        code: What it answers.
        taken: Each notice that it answered with 200.
    """

    def __init__(self, port: int = 0) -> None:
        self.code = 200
        self.answers = threading.Event()
        self.answers.set()
        self.asked: list[dict[str, Any]] = []
        self.taken: list[dict[str, Any]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = json.loads(self.rfile.read(int(self.headers["content-length"])))
                hook.asked.append(said)
                hook.answers.wait(60)
                code = hook.code
                if code == 200:
                    hook.taken.append(said)
                self.send_response(code)
                if code == 302:
                    self.send_header("location", f"{hook.url}/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hooks/{SECRET}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def events(self) -> list[str]:
        return [one["event"] for one in self.taken]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(delivery, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(delivery, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(notify, "TICK", 3600.0)  # tests look themselves


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2025, 1, 29, 12, 0, tzinfo=timezone.utc))


Open = Callable[..., Notifier]


@pytest.fixture
def open_notifier(hook: Hook, clock: ManualClock) -> Iterator[Open]:
    opened: list[Notifier] = []

    def open_notifier(**settings: Any) -> Notifier:
        given = {"notify.webhook": hook.url, "mqtt.door": "front"}
        given |= {f"notify.{key}": value for key, value in settings.items()}
        config = load(environment={}, overrides=given).config
        opened.append(Notifier(config, clock, list(ways(config.notify))))
        return opened[-1]

    yield open_notifier
    for one in opened:
        one.close()


def lost(clock: ManualClock) -> Event:
    return Event(EventKind.CAMERA_LOST, clock.monotonic(), detail="usb:0 is unplugged.")


def back(clock: ManualClock) -> Event:
    return Event(EventKind.CAMERA_BACK, clock.monotonic())


def visit(verdict: Verdict) -> Event:
    return Event(EventKind.VISIT_ENDED, 0.0, 1, verdict, 2.0)


def status(clock: ManualClock, *outputs: OutputState, store: Path | None = None) -> Status:
    now = clock.monotonic()
    counts = CountsState(store) if store else None
    return Status(now, 0.0, CameraState("a camera"), alerts=AlertState(outputs), counts=counts)


class TestWhatIsTold:
    def test_camera_lost_and_back(self, open_notifier: Open, hook: Hook, clock: ManualClock) -> None:
        notifier = open_notifier()
        notifier.tell([lost(clock), back(clock)])
        wait_for(lambda: hook.events == ["camera_lost", "camera_back"])
        assert hook.taken[0] == {
            "event": "camera_lost",
            "time": "2025-01-29T12:00:00.000Z",
            "door": "front",
            "title": "Camera lost",
            "text": "usb:0 is unplugged.",
        }

    def test_notices_follow_the_doors_language(self, hook: Hook, clock: ManualClock) -> None:
        overrides = {"notify.webhook": hook.url, "web.language": "fr", "notify.bare_every": 1}
        config = load(environment={}, overrides=overrides).config
        notifier = Notifier(config, clock, list(ways(config.notify)))
        silent = message("camera.silent", camera="usb:0")
        notifier.tell([Event(EventKind.CAMERA_LOST, clock.monotonic(), detail=silent), visit(Verdict.WITHOUT_MASK)])
        notifier.look()
        wait_for(lambda: len(hook.taken) == 2)
        notifier.close()
        assert [(one["title"], one["text"]) for one in hook.taken] == [
            ("Caméra perdue", "usb:0 n’envoie pas d’images."),
            ("Visites sans masque", "1 visite : 1 sans masque."),
        ]

    def test_notices_carry_the_newest_name(self, open_notifier: Open, hook: Hook, clock: ManualClock) -> None:
        notifier = open_notifier()
        renamed = load(environment={}, overrides={"web.door_name": "Side entrance"})
        notifier.show(replace(status(clock), settings=renamed))
        notifier.tell([lost(clock)])
        wait_for(lambda: hook.taken)
        assert hook.taken[0]["door"] == "Side entrance"

    def test_a_failed_output_is_told_once(self, open_notifier: Open, hook: Hook, clock: ManualClock) -> None:
        notifier = open_notifier()
        for _ in range(5):
            notifier.show(status(clock, BUZZER))
        notifier.show(status(clock, OutputState("buzzer", BUZZER.name)))
        wait_for(lambda: hook.events == ["output_failed", "output_back"])
        assert hook.taken[0]["text"] == "The pin 27 cannot be switched."

    def test_switched_off_kinds_are_not_told(self, open_notifier: Open, hook: Hook, clock: ManualClock) -> None:
        notifier = open_notifier(camera=False, outputs=False, bare_every=10)
        notifier.tell([lost(clock), visit(BARE)])
        notifier.show(status(clock, BUZZER))
        notifier.look()
        wait_for(lambda: hook.events == ["bare_visits"])

    def test_bare_visits_are_gathered(self, open_notifier: Open, hook: Hook, clock: ManualClock) -> None:
        notifier = open_notifier(bare_every=10)
        notifier.tell([visit(BARE), visit(Verdict.WITH_MASK), visit(Verdict.UNSURE)])
        notifier.look()
        wait_for(lambda: len(hook.taken) == 1)
        for _ in range(9):
            clock.advance(60)
            notifier.tell([visit(BARE), visit(Verdict.MASK_WORN_INCORRECTLY)])
            notifier.look()
        assert len(hook.asked) == 1
        clock.advance(60)
        notifier.look()
        wait_for(lambda: len(hook.taken) == 2)
        assert hook.taken[0]["text"] == "1 visit: 1 no mask."
        assert (hook.taken[1]["without_mask"], hook.taken[1]["mask_worn_incorrectly"]) == (9, 9)

    def test_nobody_bare_is_no_message(self, open_notifier: Open, hook: Hook, clock: ManualClock) -> None:
        notifier = open_notifier(bare_every=10)
        for _ in range(100):
            clock.advance(600)
            notifier.look()
        assert hook.asked == []

    def test_the_summary_comes_once_daily(
        self, open_notifier: Open, hook: Hook, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
        store = CountStore(tmp_path / "counts.db", 0.0, 30, clock)
        for verdict in (Verdict.WITH_MASK, Verdict.WITH_MASK, Verdict.WITH_MASK, BARE, Verdict.UNSURE):
            store.record(Event(EventKind.VISIT_ENDED, clock.monotonic(), 1, verdict, 1.0))
        store.close()
        notifier = open_notifier(summary_at="18:00")
        notifier.show(status(clock, store=tmp_path / "counts.db"))
        for _ in range(3 * 24 * 12):
            clock.advance(300)
            notifier.look()
        wait_for(lambda: len(hook.taken) == 3)
        first, *_, last = hook.taken
        assert first["time"].startswith("2025-01-29T18:00")
        assert (
            first["text"]
            == "5 visits: 3 with mask, 1 no mask, 0 badly worn, 1 unsure. 75% of those judged wore a mask well."
        )
        assert (first["visits"], first["compliance"], last["visits"]) == (5, 0.75, 0)

    def test_a_late_start_sends_no_summary(
        self, open_notifier: Open, hook: Hook, clock: ManualClock, tmp_path: Path
    ) -> None:
        CountStore(tmp_path / "counts.db", 0.0, 30, clock).close()
        notifier = open_notifier(summary_at="00:00")
        notifier.show(status(clock, store=tmp_path / "counts.db"))
        notifier.look()
        time.sleep(0.2)
        assert hook.asked == []


class TestTrouble:
    def test_a_returning_service_hears_the_newest(
        self, hook: Hook, open_notifier: Open, clock: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        notifier = open_notifier(bare_every=10)
        hook.close()
        told = 0
        for minute in range(24 * 60):
            clock.advance(60)
            notifier.tell([visit(BARE)])
            if minute % 60 == 0:
                notifier.tell([lost(clock), back(clock)])
                told += 2
            notifier.look()
        told += 24 * 6
        wait_for(lambda: "cannot be reached (Connection refused)" in (notifier.trouble or ""))
        (box,) = notifier._mailboxes
        assert box.waiting == delivery.MOST_WAITING
        assert f"{told - delivery.MOST_WAITING} notifications were dropped" in (notifier.trouble or "")
        assert len([one for one in caplog.records if one.levelno == logging.WARNING]) == 1

        revived = Hook(hook.port)
        wait_for(lambda: box.waiting == 0)
        # One more where the oldest was dropped while it was being sent.
        assert len(revived.taken) in (delivery.MOST_WAITING, delivery.MOST_WAITING + 1)
        times = [one["time"] for one in revived.taken]
        assert times == sorted(times)
        assert times[-1] > (datetime(2025, 1, 30, 11, 45, tzinfo=timezone.utc)).isoformat()[:19]
        wait_for(lambda: notifier.trouble is None)
        revived.close()

    def test_a_hanging_service_delays_nothing(self, open_notifier: Open, hook: Hook, clock: ManualClock) -> None:
        hook.answers.clear()
        notifier = open_notifier()
        for _ in range(2000):
            notifier.tell([lost(clock)])
            notifier.show(status(clock, BUZZER))
        wait_for(lambda: hook.asked)
        notifier.close()
        notifier.close()
        assert (len(hook.asked), hook.taken) == (1, [])
        hook.answers.set()

    def test_a_failing_service_blocks_no_other(self, hook: Hook, clock: ManualClock) -> None:
        away = Webhook(f"http://127.0.0.1:{free_port()}/")
        notifier = Notifier(load(environment={}).config, clock, [away, Webhook(hook.url)])
        notifier.tell([lost(clock), back(clock)])
        wait_for(lambda: hook.events == ["camera_lost", "camera_back"])
        notifier.close()

    @pytest.mark.parametrize("code", [302, 401, 404, 429, 500, 503])
    def test_refusals_are_said_and_tried_again(
        self, open_notifier: Open, hook: Hook, clock: ManualClock, code: int
    ) -> None:
        hook.code = code
        notifier = open_notifier()
        notifier.tell([lost(clock)])
        wait_for(lambda: f"it answers with HTTP {code}" in (notifier.trouble or ""))
        wait_for(lambda: len(hook.asked) >= 3)
        hook.code = 200
        wait_for(lambda: hook.events == ["camera_lost"] and notifier.trouble is None)

    def test_a_refused_notice_blocks_nothing(self, open_notifier: Open, hook: Hook, clock: ManualClock) -> None:
        hook.code = 400
        notifier = open_notifier()
        notifier.tell([lost(clock)])
        wait_for(lambda: notifier.trouble)
        hook.code = 200
        notifier.tell([back(clock)])
        wait_for(lambda: hook.events == ["camera_back"])

    def test_a_missing_server_is_reported(self, clock: ManualClock) -> None:
        def babble(server: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.sendall(b"220 mail ready\r\n\r\n")
                    connection.close()

        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=babble, args=(server,), daemon=True).start()
            url = f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}"
            with pytest.raises(delivery.DeliveryError) as said:
                Webhook(url).send(NOTICE)
        assert SECRET not in str(said.value)

    def test_a_dripping_server_is_late(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(delivery, "WHOLE_TIMEOUT", 0.3)
        cut = threading.Event()

        def drip(server: socket.socket) -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not cut.wait(0.02):
                    connection.sendall(b"x")
            cut.set()

        with socket.create_server(("127.0.0.1", 0)) as server:
            dripping = threading.Thread(target=drip, args=(server,), daemon=True)
            dripping.start()
            with pytest.raises(delivery.DeliveryError, match="it does not answer in time"):
                Webhook(f"http://127.0.0.1:{server.getsockname()[1]}/").send(NOTICE)
            assert cut.wait(20), "the connection is still open"
            dripping.join(20)

    def test_a_service_without_an_end_is_trouble(self, clock: ManualClock) -> None:
        answers, asked = threading.Event(), threading.Event()

        class Endless:
            name = "an endless service"

            def send(self, _: Notice) -> None:
                asked.set()
                answers.wait(20)

        box = delivery.Mailbox(Endless(), clock)
        box.put(NOTICE)
        assert asked.wait(20)
        assert box.trouble is None
        clock.advance(2 * delivery.WHOLE_TIMEOUT + 1)
        assert "it does not answer in time" in (box.trouble or "")
        answers.set()
        wait_for(lambda: box.trouble is None)
        box.close(5)


class TestSecrets:
    def test_no_address_is_shown(
        self, open_notifier: Open, hook: Hook, clock: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        hook.code = 500
        notifier = open_notifier()
        notifier.tell([lost(clock)])
        trouble = wait_for(lambda: notifier.trouble)
        assert f"Notifications to http://127.0.0.1:{hook.port} are not delivered" in trouble
        assert SECRET not in trouble + caplog.text + repr(notifier.__dict__["_settings"])

    def test_settings_show_none(self, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_text(f'[notify]\nwebhook = "https://example.org/{SECRET}"\nurls = ["tgram://{SECRET}/1"]\n')
        settings = load(file, {})
        assert settings.config.notify.wanted
        assert SECRET not in as_toml(settings) + json.dumps(as_json(settings)) + repr(settings)

    @pytest.mark.parametrize("line", [f'webhook = "{SECRET}"', f'webhook = "ftp://{SECRET}"', f'urls = ["{SECRET}"]'])
    def test_wrong_addresses_are_not_repeated(self, tmp_path: Path, line: str) -> None:
        file = tmp_path / "config.toml"
        file.write_text(f"[notify]\n{line}\n")
        with pytest.raises(ConfigError) as refusal:
            load(file, {})
        assert SECRET not in str(refusal.value)

    def test_environment_holds_no_address(self) -> None:
        with pytest.raises(ConfigError, match=r"put it into the configuration file as notify\.webhook\.") as refusal:
            load(environment={"MASKGATE_NOTIFY_WEBHOOK": f"https://example.org/{SECRET}"})
        assert SECRET not in str(refusal.value)


class TestApprise:
    def test_missing_parts_are_said_early(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        config = load(environment={}, overrides={"notify.urls": ["ntfys://topic"]}).config
        with pytest.raises(ConfigError, match=r"pip install 'maskgate\[notify\]'"):
            list(ways(config.notify))

    def test_real_apprise_delivers(self, hook: Hook) -> None:
        pytest.importorskip("apprise", reason="needs the extra: pip install 'maskgate[notify]'")
        way = Apprise(f"json://127.0.0.1:{hook.port}/hooks/{SECRET}")
        way.send(Notice("camera_lost", "2025-01-29T12:00:00.000Z", "front", "Camera lost", "usb:0 is unplugged."))
        assert hook.asked[0]["title"] == "front: Camera lost"
        assert "usb:0 is unplugged." in hook.asked[0]["message"]
        assert way.name == "json://***"

    def test_failing_apprise_shows_no_address(self, hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
        pytest.importorskip("apprise", reason="needs the extra: pip install 'maskgate[notify]'")
        caplog.set_level(logging.DEBUG)
        hook.code = 500
        with pytest.raises(delivery.DeliveryError, match="Apprise could not deliver it"):
            Apprise(f"json://127.0.0.1:{hook.port}/hooks/{SECRET}").send(NOTICE)
        with pytest.raises(delivery.DeliveryError, match=r"check notify\.urls"):
            Apprise(f"nonsense://{SECRET}").send(NOTICE)
        assert SECRET not in caplog.text

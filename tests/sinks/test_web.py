"""The server behind the screens: what it tells whom, and what it refuses. Real HTTP to a real server on a free port."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np
import pytest

from edge import cli
from edge.alerts.state import AlertState, OutputState
from edge.board.findings import Machine
from edge.commands import doctor
from edge.config import load
from edge.errors import ConfigError
from edge.sinks.counts import database
from edge.sinks.web import app, gate, guard, loopback, server, streams, texts, token
from edge.status import CameraState, SourceKind
from edge.values import Event, EventKind, Image, Verdict
from tests.nonempty import some
from tests.stand_ins.clock import ManualClock
from tests.stand_ins.screens import PICTURE, Door, open_door, person

LONG = 20.0
"""Longest wait for what should come at once, in seconds: the machine may be busy."""


def until(condition: Callable[[], Any]) -> Any:
    """What ``condition`` says once it is true."""
    deadline = time.monotonic() + LONG
    while not (said := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)
    return said


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with open_door(tmp_path) as opened:
        yield opened


@pytest.fixture
def client(door: Door) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=door.url, timeout=LONG) as opened:
        yield opened


def port_of(door: Door) -> int:
    port = urlsplit(door.url).port
    assert port
    return port


def exchange(door: Door, request: bytes) -> bytes:
    """All that is answered to raw bytes."""
    with socket.create_connection(("127.0.0.1", port_of(door)), timeout=LONG) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


class Listener:
    """Reads /events in a thread."""

    def __init__(self, door: Door, **headers: str | bytes) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.times: list[float] = []
        self.ended = False
        self._url, self._headers = f"{door.url}events", headers
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [data for name, data in list(self.heard) if name == kind]

    def _listen(self) -> None:
        with httpx.stream("GET", self._url, headers=self._headers, timeout=LONG) as answer:
            kind = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.times.append(time.monotonic())
                    self.heard.append((kind, json.loads(line.removeprefix("data: "))))
        self.ended = True


class TestHealth:
    def test_a_watched_door_is_healthy(self, client: httpx.Client) -> None:
        answer = client.get("/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    def test_a_lost_camera_says_why(self, door: Door, client: httpx.Client) -> None:
        door.camera = CameraState("usb:0", trouble="usb:0 is unplugged.", last_frame_at=door.ago(1))
        answer = until(lambda: (got := client.get("/health")).status_code == 503 and got)
        assert answer.json() == {"status": "out of service", "reasons": ["usb:0 is unplugged."]}

    def test_hanging_loops_are_out_of_service(self, door: Door, client: httpx.Client) -> None:
        door.stalled = True
        answer = until(lambda: (got := client.get("/health")).status_code == 503 and got)
        assert re.fullmatch(r"The newest picture is \d+ s old\.", answer.json()["reasons"][0])

    def test_it_starts_before_the_first_picture(self, door: Door, client: httpx.Client) -> None:
        until(lambda: client.get("/health"))
        door.camera = CameraState("usb:0")
        door._begun = door.ago(0)
        answer = until(lambda: (got := client.get("/health")).status_code == 503 and got)
        assert answer.json()["status"] == "starting"

    def test_trouble_degrades_without_failing(self, door: Door, client: httpx.Client) -> None:
        door.troubles = ("The disk is full.",)
        answer = until(lambda: (got := client.get("/health")).json()["status"] != "ok" and got)
        assert (answer.status_code, answer.json()) == (200, {"status": "degraded", "reasons": ["The disk is full."]})


class TestStatus:
    def test_the_demo_stores_nothing(self, door: Door, client: httpx.Client) -> None:
        door.counts, door.more = None, {"counted": False}
        door.camera = CameraState("demo", last_frame_at=door.clock.monotonic(), kind=SourceKind.DEMO)
        said = until(lambda: (got := client.get("/api/status").json()).get("source") == "demo" and got)
        assert said["counted"] is False
        assert said["today"]["stored"] is False

    def test_it_reports_the_real_outputs(self, door: Door, client: httpx.Client) -> None:
        outputs = (OutputState("led", "red lamp on pin 17"), OutputState("buzzer", "buzzer on pin 27", "It hangs."))
        door.more = {"alerts": AlertState(outputs, door.clock.monotonic() + 60, quiet_hours=True)}
        said = until(lambda: (got := client.get("/api/status").json()["alerts"])["muted_for"] and got)
        assert 50 < said.pop("muted_for") <= 60
        assert said == {
            "audible": False,
            "quiet_hours": True,
            "outputs": [
                {"kind": "led", "name": "red lamp on pin 17", "trouble": None},
                {"kind": "buzzer", "name": "buzzer on pin 27", "trouble": "It hangs."},
            ],
        }

    def test_it_reports_the_doors_state(self, door: Door, client: httpx.Client) -> None:
        door.people = (person(1, Verdict.WITHOUT_MASK),)
        door.tell_a_day()
        said = until(lambda: (got := client.get("/api/status").json())["people"] and got)
        assert said["mode"] == "without_mask"
        assert said["alarm"] is True
        assert said["people"] == [{"id": 1, "verdict": "without_mask"}]
        assert said["camera"] == {"name": "a camera made for this test", "trouble": None, "losses": 0}
        assert [model["name"] for model in said["models"]] == ["face", "mask"]
        assert all(re.fullmatch("[0-9a-f]{64}", model["sha256"]) for model in some(said["models"]))
        assert said["runtime"] == "litert, 2 threads"
        assert 0 <= said["frame_age"] < LONG
        assert said["since_start"]["with_mask"] == 5

    def test_the_newest_fifty_events_are_kept(self, door: Door, client: httpx.Client) -> None:
        door.tell(*(Event(EventKind.VISIT_STARTED, door.ago(100 - n), n) for n in range(80)))
        events = client.get("/api/status").json()["events"]
        assert [event["person"] for event in events] == list(range(30, 80))
        moment = datetime.fromisoformat(events[-1]["time"].replace("Z", "+00:00"))
        assert abs((datetime.now(timezone.utc) - moment).total_seconds() - 21) < LONG

    def test_the_frame_rate_is_recent(self, door: Door, client: httpx.Client) -> None:
        fps = until(lambda: client.get("/api/status").json()["fps"])
        assert 1 < fps <= 21

    def test_todays_counts_come_from_the_store(self, tmp_path: Path) -> None:
        store = tmp_path / "counts.db"
        connection = database.open_for_writing(store)
        connection.execute("INSERT INTO boots (name, wall_offset) VALUES ('a boot', 0)")
        hour = int(time.time()) // 3600 * 3600
        connection.execute(
            "INSERT INTO hours (boot, hour, with_mask, without_mask, frames, uptime) VALUES (1, ?, 7, 2, 100, 60)",
            (hour,),
        )
        connection.execute("INSERT INTO hours (boot, hour, with_mask) VALUES (1, ?, 9)", (hour - 48 * 3600,))
        connection.close()
        with open_door(tmp_path, counts=store) as door:
            today = httpx.get(f"{door.url}api/status", timeout=LONG).json()["today"]
        assert today["trouble"] is None
        assert [(row["with_mask"], row["without_mask"], row["visits"]) for row in today["hours"]] == [(7, 2, 9)]

    def test_unreadable_counts_are_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "counts.db").write_bytes(b"this is no database" * 100)
        with open_door(tmp_path, counts=tmp_path / "counts.db") as door:
            today = httpx.get(f"{door.url}api/status", timeout=LONG).json()["today"]
        assert today["hours"] == []
        assert "Cannot read the counts" in today["trouble"]


class TestEvents:
    def test_listeners_hear_the_state_every_second(self, door: Door) -> None:
        listener = Listener(door)
        until(lambda: len(listener.of("state")) >= 4)
        assert {state["mode"] for state in listener.of("state")} == {"welcome"}
        assert max(later - earlier for earlier, later in pairwise(listener.times)) < LONG / 4

    def test_changes_arrive_immediately_and_mirrored(self, door: Door) -> None:
        listener = Listener(door)
        until(lambda: listener.of("state"))
        door.people = (person(7, Verdict.WITH_MASK, x=0, width=64),)
        state = until(lambda: next((state for state in listener.of("state") if state["people"]), None))
        assert (state["mode"], state["aspect"]) == ("with_mask", 1.333)
        assert state["people"] == [
            {"id": 7, "verdict": "with_mask", "x": 0.9, "y": 0.229, "w": 0.1, "h": 0.167, "away": False}
        ]

    @pytest.mark.parametrize(
        ("verdicts", "mode"),
        [
            ((), "welcome"),
            ((Verdict.UNSURE,), "unsure"),
            ((Verdict.WITH_MASK, Verdict.UNSURE), "unsure"),
            ((Verdict.WITH_MASK, Verdict.MASK_WORN_INCORRECTLY), "mask_worn_incorrectly"),
            ((Verdict.MASK_WORN_INCORRECTLY, Verdict.WITHOUT_MASK), "without_mask"),
        ],
    )
    def test_whoever_must_act_is_addressed(
        self, door: Door, client: httpx.Client, verdicts: tuple[Verdict, ...], mode: str
    ) -> None:
        door.people = tuple(person(number, verdict) for number, verdict in enumerate(verdicts))
        assert until(lambda: (got := client.get("/api/status").json())["mode"] == mode and got)

    def test_recent_leavers_are_addressed_last(self, door: Door, client: httpx.Client) -> None:
        bare, masked = person(1, Verdict.WITHOUT_MASK), person(2, Verdict.WITH_MASK)
        door.unseen = frozenset({bare.id})
        for people, mode in (((bare,), "without_mask"), ((bare, masked), "with_mask")):
            door.people = people
            assert until(lambda mode=mode: client.get("/api/status").json()["mode"] == mode)

    def test_events_come_once_with_numbers(self, door: Door) -> None:
        listener = Listener(door)
        until(lambda: listener.of("state"))
        door.tell(Event(EventKind.VERDICT, door.ago(0), 3, Verdict.WITHOUT_MASK))
        happened = until(lambda: listener.of("happened"))
        states = len(listener.of("state"))
        until(lambda: len(listener.of("state")) > states + 1)
        assert [(one["number"], one["event"], one["verdict"]) for one in happened] == [(1, "verdict", "without_mask")]
        assert listener.of("happened") == happened

    def test_listeners_resume_after_a_cut(self, door: Door) -> None:
        door.tell(*(Event(EventKind.VISIT_STARTED, door.ago(1), n) for n in range(5)))
        listener = Listener(door, **{"Last-Event-ID": "3"})
        until(lambda: listener.of("happened"))
        assert [one["number"] for one in listener.of("happened")] == [4, 5]

    def test_stopping_ends_the_stream(self, tmp_path: Path) -> None:
        with open_door(tmp_path) as door:
            listener = Listener(door)
            until(lambda: listener.of("state"))
        until(lambda: listener.ended)
        assert listener.heard[-1] == ("bye", {})

    def test_excess_listeners_are_refused(
        self, door: Door, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.get("/health")
        monkeypatch.setattr(streams.Audience, "has_room", lambda audience, kiosk: audience.size < 2)
        with httpx.stream("GET", f"{door.url}events"), httpx.stream("GET", f"{door.url}events"):
            refused = client.get("/events")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        until(lambda: httpx.stream("GET", f"{door.url}events").__enter__().status_code == 200)

    def test_four_places_are_the_kiosks(self) -> None:
        audience = streams.Audience(streams.MOST_LISTENERS)
        room = []
        for audience.size in (59, 60, 63, 64):
            room.append((audience.has_room(kiosk=False), audience.has_room(kiosk=True)))
        assert room == [(True, True), (False, True), (False, True), (False, False)]

    def test_listeners_leave_the_kiosk_room(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(streams, "MOST_LISTENERS", streams.KIOSKS + 1)
        monkeypatch.setattr(guard.Guard, "is_kiosk", lambda _, client, server: client.address == "127.0.0.7")
        with open_door(tmp_path) as door, ExitStack() as opened:
            url = f"{door.url}events"
            kiosk = opened.enter_context(httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.7")))
            codes = [opened.enter_context(httpx.stream("GET", url, timeout=LONG)).status_code for _ in range(3)]
            codes += [opened.enter_context(kiosk.stream("GET", url, timeout=LONG)).status_code for _ in range(5)]
        assert codes == [200, 503, 503, *[200] * streams.KIOSKS, 503]

    @pytest.mark.parametrize("number", ["9" * 5000, "0" * 5000, "-1", "3.5", "\u0663", ""])
    def test_unknown_event_ids_are_harmless(self, door: Door, number: str) -> None:
        door.tell(Event(EventKind.VISIT_STARTED, door.ago(1), 1))
        listener = Listener(door, **{"Last-Event-ID": number.encode("utf-8")})
        until(lambda: listener.of("state"))
        door.tell(Event(EventKind.VISIT_STARTED, door.ago(1), 2))
        until(lambda: 2 in [one["person"] for one in listener.of("happened")])

    def test_browsers_that_never_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("edge.sinks.web.listen.READ_WITHIN", 500)
        with open_door(tmp_path) as door, socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            deaf.connect(("127.0.0.1", port_of(door)))
            deaf.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            door.people = tuple(person(n, Verdict.WITH_MASK, x=n) for n in range(400))
            listener = Listener(door)

            def is_cut_off() -> bool:
                door.people = tuple(person(n, Verdict.WITH_MASK, x=n + door.frames % 100) for n in range(400))
                try:
                    return not deaf.send(b"x")
                except ConnectionError:
                    return True

            until(is_cut_off)
            heard = len(listener.of("state"))
            until(lambda: len(listener.of("state")) > heard)


class TestPicture:
    def test_no_picture_by_default(self, client: httpx.Client) -> None:
        assert client.get("/picture").status_code == 404

    def test_the_newest_picture_where_allowed(self, tmp_path: Path) -> None:
        with open_door(tmp_path, {"web.live_picture": True}) as door:
            with httpx.stream("GET", f"{door.url}picture", timeout=LONG) as answer:
                assert answer.headers["content-type"].startswith("multipart/x-mixed-replace; boundary=")
                received = b""
                chunks = answer.iter_bytes()
                while received.count(b"Content-Type: image/jpeg") < 3:
                    received += next(chunks)
                    door.picture = PICTURE.copy()
            begin = received.index(b"\r\n\r\n") + 4
            shown = cv2.imdecode(np.frombuffer(received[begin:], np.uint8), cv2.IMREAD_COLOR)
        assert shown.shape == PICTURE.shape
        assert np.abs(shown.astype(int) - PICTURE).max() < 12

    def test_nothing_is_encoded_while_nobody_looks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        encoded: list[int] = []
        encode = streams._encode_picture
        monkeypatch.setattr(streams, "_encode_picture", lambda image: encoded.append(1) or encode(image))
        with open_door(tmp_path, {"web.live_picture": True}) as door:
            listener = Listener(door)
            until(lambda: len(listener.of("state")) > 2)
            assert encoded == []

    def test_viewers_share_one_encoding(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        encoded: list[Image] = []
        encode = streams._encode_picture
        monkeypatch.setattr(streams, "_encode_picture", lambda image: encoded.append(image) or encode(image))
        with open_door(tmp_path, {"web.live_picture": True}) as door:
            url = f"{door.url}picture"
            with httpx.stream("GET", url) as one, httpx.stream("GET", url) as two, httpx.stream("GET", url) as three:
                parts = [answer.iter_bytes() for answer in (one, two, three)]
                received = [b""] * 3
                while not all(b"image/jpeg" in got for got in received):
                    door.picture = PICTURE.copy()
                    received = [got + next(part) for got, part in zip(received, parts, strict=True)]
        assert len({id(image) for image in encoded}) == len(encoded) >= 1


class TestStrictness:
    @pytest.mark.parametrize(
        "path", ["/", "/operator", "/login", "/health", "/api/status", "/static/kiosk.js", "/nowhere"]
    )
    def test_every_answer_carries_strict_headers(self, client: httpx.Client, path: str) -> None:
        headers = client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert set(policy.values()) <= {"'none'", "'self'"}
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        assert "server" not in headers

    @pytest.mark.parametrize(
        ("request_line", "headers", "code"),
        [
            ("GET /events HTTP/1.0", "Host: localhost", 200),
            ("HEAD / HTTP/1.1", "Host: localhost", 200),
            ("POST /login HTTP/1.1", "Host: localhost\r\nContent-Length: 7\r\n\r\ntoken=x", 303),
            ("POST /login HTTP/1.1", "Host: localhost\r\nContent-Length: 0", 400),
            ("POST /login HTTP/1.1", "Host: localhost\r\nOrigin: http://evil.example", 403),
            ("GET /nowhere HTTP/1.1", "Host: localhost", 404),
            ("DELETE / HTTP/1.1", "Host: localhost", 405),
            ("GET / HTTP/1.1", "Host: evil.example", 421),
            ("GET /metrics HTTP/1.1", "Host: localhost", 500),
        ],
    )
    def test_every_refusal_has_all_headers(self, tmp_path: Path, request_line: str, headers: str, code: int) -> None:
        def fail() -> tuple[bytes, str]:
            raise RuntimeError("a fault made for this test")

        with open_door(tmp_path, extra={"/metrics": fail}) as door:
            exact = f"{request_line}\r\nConnection: close\r\n{headers}\r\n\r\n".encode()
            with socket.create_connection(("127.0.0.1", port_of(door)), timeout=LONG) as connection:
                connection.sendall(exact)
                answer = connection.recv(65536).lower()
        assert answer.startswith(f"http/1.1 {code} ".encode())
        for name, value in gate.HEADERS.items():
            assert f"\r\n{name}: {value}\r\n".lower().encode() in answer

    def test_pages_load_nothing_from_elsewhere(self, client: httpx.Client) -> None:
        for path in ("/", "/operator", "/login"):
            page = client.get(path).text
            assert re.findall(r'(?:src|href|action)="(?:/|[^"]*:)[^"]*"', page) == []
            assert "style=" not in page
            assert re.findall(r"\son\w+=", page) == []
            assert [tag for tag in re.findall(r"<script[^>]*>", page) if "src=" not in tag] in (
                [],
                ['<script id="texts" type="application/json">', '<script id="verdicts" type="application/json">'],
                ['<script id="spoken" type="application/json">', '<script id="verdicts" type="application/json">'],
            )
        for name in ("kiosk.css", "operator.css", "base.css", "kiosk.js", "operator.js"):
            assert "//" not in re.sub(r"http://www\.w3\.org\S*|/\*.*?\*/|//.*", "", client.get(f"/static/{name}").text)

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:80", "127.8.8.8"])
    def test_a_loopback_name_is_answered(self, client: httpx.Client, host: str) -> None:
        assert client.get("/", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.7:8080", "[::1", ""])
    def test_other_names_for_here_are_refused(self, client: httpx.Client, host: str) -> None:
        answer = client.get("/api/status", headers={"Host": host})
        assert answer.status_code == 421
        assert "localhost" in answer.text

    def test_forms_from_other_sites_are_refused(self, client: httpx.Client) -> None:
        answer = client.post("/login", data={"token": "x"}, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 403

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE"])
    def test_other_methods_are_not_understood(self, client: httpx.Client, method: str) -> None:
        assert client.request(method, "/").status_code == 405

    @pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/picture/"])
    def test_only_what_is_there_is_served(self, door: Door, path: str) -> None:
        answer = exchange(door, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert answer.split()[1] in (b"404", b"307")
        assert b"import" not in answer

    @pytest.mark.parametrize(
        "request_bytes",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
            b"GET / HTTP/9.9\r\n\r\n",
            b"\r\n\r\nnonsense\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        ],
    )
    def test_malformed_http_is_refused(self, door: Door, client: httpx.Client, request_bytes: bytes) -> None:
        assert exchange(door, request_bytes).startswith(b"HTTP/1.1 4")
        assert client.get("/health").status_code == 200

    def test_headers_without_end_are_cut_off(self, door: Door, client: httpx.Client) -> None:
        answer = exchange_until_cut_off(door, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000)
        assert b" 200 " not in answer
        assert client.get("/health").status_code == 200

    def test_overlong_bodies_are_refused(self, client: httpx.Client) -> None:
        assert client.post("/login", content=b"token=" + b"a" * 1_000_000).status_code == 400

    def test_endless_requests_are_cut_off(self, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        httpx.get(f"{door.url}health", timeout=LONG)
        monkeypatch.setattr(server, "REQUEST_WITHIN", 0.3)
        assert exchange_until_cut_off(door, b"GET / HTTP/1.1\r\nHost: local") == b""
        assert exchange_until_cut_off(door, b"") == b""

    def test_idle_connections_leave_files_free(
        self, door: Door, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.get("/health")
        monkeypatch.setattr(server, "MOST_OPEN", 20)
        monkeypatch.setattr(server, "RESERVED", 5)
        with idle_connections(door, 60) as idle:
            until(lambda: sum(map(is_open, idle)) <= 20)
            assert sum(map(is_open, idle)) >= 15
        assert until(lambda: client.get("/health").status_code == 200)

    def test_others_cannot_block_the_kiosk(
        self, door: Door, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.get("/health")
        monkeypatch.setattr(server, "MOST_CONNECTIONS", 10)
        monkeypatch.setattr(server, "MOST_OPEN", 20)
        monkeypatch.setattr(guard.Guard, "is_kiosk", lambda _, client, server: client.address != "127.0.0.7")
        with idle_connections(door, 60, source="127.0.0.7") as idle:
            until(lambda: sum(map(is_open, idle)) <= 20)
            assert httpx.get(f"{door.url}health", timeout=LONG).status_code == 200

    def test_a_failing_page_spares_the_others(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        def fail() -> tuple[bytes, str]:
            raise RuntimeError("a fault made for this test")

        with open_door(tmp_path, extra={"/metrics": fail}) as door:
            for _ in range(3):
                answer = httpx.get(f"{door.url}metrics", timeout=LONG)
                assert (answer.status_code, "Traceback" in answer.text) == (500, False)
            assert httpx.get(f"{door.url}health").status_code == 200
        assert [record.getMessage() for record in caplog.records].count(
            "The page /metrics failed (RuntimeError: a fault made for this test); the door is watched all the same."
        ) == 1

    def test_repeated_faults_are_logged_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(_: object, request: Any, error: object) -> None:
            raise RuntimeError(request.url.path)

        monkeypatch.setattr(app.Site, "_absent", fail)
        with open_door(tmp_path) as door, httpx.Client(base_url=door.url, timeout=LONG) as client:
            assert {client.get(f"/{number}").status_code for number in range(20)} == {500}
        assert len([record for record in caplog.records if "failed" in record.getMessage()]) == 1

    def test_malformed_requests_are_not_page_faults(
        self, door: Door, client: httpx.Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        chunked = b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        for page in (b"/login", b"/nowhere"):
            answer = exchange(door, chunked.replace(b"/login", page) + b"5\r\ntoken\r\n4\r\n=x\r\n0\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 4")
        assert client.get("/health").status_code == 200
        assert "failed" not in caplog.text

    def test_requests_cannot_forge_log_lines(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(*_: object) -> None:
            raise RuntimeError("a fault made for this test")

        monkeypatch.setattr(app.Site, "_absent", fail)
        with open_door(tmp_path) as door:
            exchange(door, b"GET /a%0amaskgate:%20all%20is%20well%1b[2K HTTP/1.0\r\nHost: localhost\r\n\r\n")
        (said,) = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
        assert said.isprintable()

    def test_further_addresses_can_be_added(self, tmp_path: Path) -> None:
        with open_door(tmp_path, extra={"/metrics": lambda: (b"frames 7\n", "text/plain; version=0.0.4")}) as door:
            answer = httpx.get(f"{door.url}metrics", timeout=LONG)
        assert (answer.text, answer.headers["content-type"]) == ("frames 7\n", "text/plain; version=0.0.4")


@contextmanager
def idle_connections(door: Door, number: int, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """Connections from ``source`` over which nothing is said."""
    with ExitStack() as opened:
        address = ("127.0.0.1", port_of(door))
        yield [
            opened.enter_context(socket.create_connection(address, LONG, source_address=(source, 0)))
            for _ in range(number)
        ]


def is_open(connection: socket.socket) -> bool:
    """Whether the server has not ended it."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def exchange_until_cut_off(door: Door, request: bytes) -> bytes:
    """What is answered before the server ends the connection."""
    try:
        return exchange(door, request)
    except ConnectionResetError:
        return b""


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, str]:
    """A token's file, and the token."""
    path = tmp_path / "state" / "web-token"
    return path, token.make(path)


@pytest.fixture
def lan(tmp_path: Path, made: tuple[Path, str]) -> Iterator[Door]:
    """A door that is open to the network; a request for any but a loopback name counts as from there."""
    with open_door(tmp_path, {"web.host": "0.0.0.0", "web.token_file": str(made[0])}) as opened:
        yield opened


@pytest.fixture
def stranger(lan: Door) -> Iterator[httpx.Client]:
    """A browser elsewhere in the building."""
    with httpx.Client(base_url=lan.url, timeout=LONG, headers={"Host": "door1.local:8080"}) as opened:
        yield opened


class TestNetwork:
    @pytest.mark.parametrize("path", ["/", "/operator", "/api/status", "/events", "/metrics", "/nowhere"])
    def test_without_the_token_nothing_is_shown(self, stranger: httpx.Client, path: str) -> None:
        answer = stranger.get(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")

    def test_refusals_carry_every_strict_header(self, stranger: httpx.Client) -> None:
        refused = [stranger.get("/", headers={"Authorization": "Bearer x"}) for _ in range(6)]
        assert {answer.status_code for answer in refused} == {401, 429}
        for answer in (*refused, stranger.get("/operator", headers={"Accept": "text/html"})):
            assert gate.HEADERS.items() <= dict(answer.headers).items()

    def test_browsers_get_the_form(self, stranger: httpx.Client) -> None:
        answer = stranger.get("/operator", headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (303, "login?page=operator")
        assert stranger.get("/login").status_code == 200
        assert stranger.get("/static/operator.css").status_code == 200

    def test_the_token_opens_everything(self, stranger: httpx.Client, made: tuple[Path, str]) -> None:
        headers = {"Authorization": f"Bearer {made[1]}"}
        assert [stranger.get(path, headers=headers).status_code for path in ("/", "/api/status")] == [200, 200]

    @pytest.mark.parametrize("wrong", ["wrong", "é" * 40, "a" * 5000])
    def test_a_wrong_token_gets_401(self, stranger: httpx.Client, wrong: str) -> None:
        assert stranger.get("/", headers={"Authorization": b"Bearer " + wrong.encode()}).status_code == 401

    def test_tokens_in_addresses_are_ignored(self, stranger: httpx.Client, made: tuple[Path, str]) -> None:
        assert stranger.get(f"/api/status?token={made[1]}").status_code == 401

    def test_the_cookie_is_protected(self, stranger: httpx.Client, made: tuple[Path, str]) -> None:
        answer = stranger.post("/login", data={"token": made[1]}, headers={"Origin": "http://door1.local:8080"})
        assert (answer.status_code, answer.headers["location"]) == (303, "operator")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert made[1] not in cookie
        session = cookie.split(";")[0]
        assert stranger.get("/operator", headers={"Cookie": session}).status_code == 200
        assert stranger.get("/operator", headers={"Cookie": session[:-1] + "x"}).status_code == 401

    def test_another_token_makes_the_cookie_void(self, made: tuple[Path, str]) -> None:
        before = token.read(made[0], "0.0.0.0")
        token.make(made[0])
        assert not token.read(made[0], "0.0.0.0").admits(before.session)

    def test_the_form_reports_wrong_tokens(self, stranger: httpx.Client) -> None:
        answer = stranger.post("/login", data={"token": "wrong"})
        assert answer.status_code == 401
        assert "This is not the token." in answer.text
        assert "set-cookie" not in answer.headers

    def test_only_guesses_have_to_wait(self, stranger: httpx.Client, made: tuple[Path, str]) -> None:
        guesses = [stranger.get("/", headers={"Authorization": "Bearer x"}).status_code for _ in range(12)]
        assert guesses[:5] == [401] * 5
        assert guesses[-1] == 429
        wrong = stranger.get("/", headers={"Authorization": "Bearer x"})
        assert int(wrong.headers["retry-after"]) >= 1
        assert "Wait" in stranger.post("/login", data={"token": "x"}).text
        assert stranger.post("/login", data={"token": made[1]}).status_code == 303
        assert stranger.get("/", headers={"Authorization": f"Bearer {made[1]}"}).status_code == 200

    def test_health_is_open_but_terse(self, lan: Door, stranger: httpx.Client, made: tuple[Path, str]) -> None:
        lan.camera = CameraState("usb:0", trouble="usb:0 is unplugged.", last_frame_at=lan.ago(1))
        answer = until(lambda: (got := stranger.get("/health")).status_code == 503 and got)
        assert answer.json() == {"status": "out of service"}
        told = stranger.get("/health", headers={"Authorization": f"Bearer {made[1]}"})
        assert told.json()["reasons"] == ["usb:0 is unplugged."]

    @pytest.mark.parametrize("path", ["/operator", "/api/status", "/metrics", "/picture", "/events", "/"])
    def test_a_loopback_address_is_no_token(self, lan: Door, path: str) -> None:
        assert httpx.get(f"{lan.url}{path[1:]}", timeout=LONG).status_code == 401

    def test_loopback_needs_the_token_too(self, tmp_path: Path, made: tuple[Path, str]) -> None:
        with open_door(tmp_path, {"web.token_file": str(made[0])}) as door:
            assert httpx.get(f"{door.url}operator", timeout=LONG).status_code == 401
            right = {"Authorization": f"Bearer {made[1]}"}
            assert httpx.get(f"{door.url}operator", headers=right, timeout=LONG).status_code == 200

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
    def test_proxied_requests_need_a_token(self, door: Door, header: str) -> None:
        answer = httpx.get(f"{door.url}api/status", headers={header: "127.0.0.1"}, timeout=LONG)
        assert (answer.status_code, "maskgate token" in answer.text) == (403, True)


class TestKiosk:
    """The device's own browser, known by the user who runs it: here, the user who runs the tests."""

    @pytest.fixture
    def lan(self, tmp_path: Path, made: tuple[Path, str]) -> Iterator[Door]:
        user = pwd.getpwuid(os.geteuid()).pw_name
        settings = {"web.host": "0.0.0.0", "web.token_file": str(made[0]), "web.kiosk_user": user}
        with open_door(tmp_path, settings) as opened:
            yield opened

    @pytest.mark.parametrize("path", ["", "operator", "api/status"])
    def test_it_needs_no_token(self, lan: Door, path: str) -> None:
        assert httpx.get(f"{lan.url}{path}", timeout=LONG).status_code == 200

    def test_only_the_devices_names_are_served(self, lan: Door) -> None:
        assert httpx.get(f"{lan.url}operator", headers={"Host": "evil.example"}, timeout=LONG).status_code == 401

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
    def test_forwarded_requests_are_not_local(self, lan: Door, header: str) -> None:
        assert httpx.get(f"{lan.url}api/status", headers={header: "127.0.0.1"}, timeout=LONG).status_code == 401

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
    def test_other_local_users_need_the_token(self, lan: Door) -> None:
        request = b"GET /operator HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert exchange(lan, request).startswith(b"HTTP/1.1 200 ")
        os.seteuid(65534)
        try:
            assert exchange(lan, request).startswith(b"HTTP/1.1 401 ")
        finally:
            os.seteuid(0)


class TestOwner:
    @pytest.mark.parametrize(
        ("listening", "dialled", "seen"),
        [("127.0.0.1", "127.0.0.1", "127.0.0.1"), ("::1", "::1", "::1"), ("::", "127.0.0.1", "::ffff:127.0.0.1")],
    )
    def test_it_is_whoever_dialled(self, listening: str, dialled: str, seen: str) -> None:
        family = socket.AF_INET6 if ":" in listening else socket.AF_INET
        with socket.create_server((listening, 0), family=family, dualstack_ipv6=listening == "::") as server:
            with socket.create_connection((dialled, server.getsockname()[1]), LONG):
                accepted, client = server.accept()
                ends = loopback.End(*client[:2]), loopback.End(*accepted.getsockname()[:2])
                assert ends[0].address == seen
                assert loopback.made_by(*ends) == os.geteuid()
            assert loopback.made_by(*ends) is None
            accepted.close()

    @pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::1", "nonsense", ""])
    def test_another_machine_has_none_here(self, address: str) -> None:
        assert loopback.made_by(loopback.End(address, 4711), loopback.End("127.0.0.1", 8080)) is None

    def test_no_kernel_table_knows_nobody(self, tmp_path: Path) -> None:
        ends = loopback.End("127.0.0.1", 1), loopback.End("127.0.0.1", 2)
        assert loopback.made_by(*ends, tables=tmp_path) is None


class TestLimiter:
    def test_the_wait_doubles_and_is_forgotten(self) -> None:
        clock = ManualClock()
        limiter = guard.Limiter(clock)
        waits = []
        for _ in range(16):
            limiter.wrong("10.0.0.1")
            waits.append(limiter.wait("10.0.0.1"))
            clock.advance(waits[-1] + 1)
        assert waits[:8] == [0, 0, 0, 0, 1, 2, 4, 8]
        assert waits[-1] == 300
        clock.advance(guard.FORGOTTEN_AFTER)
        limiter.wrong("10.0.0.1")
        assert limiter.wait("10.0.0.1") == 0

    def test_another_address_is_not_held_up(self) -> None:
        limiter = guard.Limiter(ManualClock())
        for _ in range(10):
            limiter.wrong("10.0.0.1")
        assert limiter.wait("10.0.0.2") == 0

    def test_ipv6_hosts_share_their_guesses(self) -> None:
        limiter = guard.Limiter(ManualClock())
        for number in range(10):
            limiter.wrong(f"2001:db8::{number:x}")
        assert limiter.wait("2001:db8::ffff") > 0
        assert limiter.wait("2001:db8:1::1") == 0

    def test_many_guessers_all_wait(self) -> None:
        clock = ManualClock()
        limiter = guard.Limiter(clock)
        for number in range(guard.GLOBAL_TRIES):
            limiter.wrong(f"10.1.0.{number}")
        assert limiter.wait("10.2.0.1") > 0
        clock.advance(guard.GLOBAL_PERIOD)
        assert limiter.wait("10.2.0.1") == 0

    def test_its_memory_is_bounded(self) -> None:
        limiter = guard.Limiter(ManualClock())
        for number in range(3 * guard.MOST_ADDRESSES):
            limiter.wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        assert len(limiter._records) == guard.MOST_ADDRESSES


class TestToken:
    def run(self, *arguments: str) -> int:
        return cli.main(["token", *arguments])

    def test_only_the_tokens_hash_is_kept(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "new folder" / "token"
        assert self.run("--file", str(path)) == 0
        said = capsys.readouterr().out
        shown = re.findall(r"^Token: (\S{43})$", said, re.MULTILINE)
        assert len(shown) == 1
        assert "/login" in said
        assert shown[0] not in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert token.read(path, "0.0.0.0").opens(shown[0])

    def test_another_makes_the_one_before_void(self, tmp_path: Path) -> None:
        first, second = token.make(tmp_path / "token"), token.make(tmp_path / "token")
        secret = token.read(tmp_path / "token", "0.0.0.0")
        assert (secret.opens(first), secret.opens(second)) == (False, True)

    def test_the_folders_owner_owns_the_token(self, tmp_path: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can give files away")
        os.chown(tmp_path, 1234, 1234)
        token.make(tmp_path / "token")
        assert (tmp_path / "token").stat().st_uid == 1234

    def test_unwritable_places_are_explained(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "file").write_text("")
        assert self.run("--file", str(tmp_path / "file" / "token")) == 5
        assert "Cannot write the token file" in capsys.readouterr().err

    def test_logs_never_show_it(self, made: tuple[Path, str]) -> None:
        assert repr(token.read(made[0], "0.0.0.0")) == "Secret()"


class TestDoorName:
    def test_heads_the_operator_page(self, tmp_path: Path) -> None:
        with open_door(tmp_path, {"web.door_name": "North <entrance>"}) as door:
            page = httpx.get(f"{door.url}operator").text
        assert "<h1>North &lt;entrance&gt; <span>Operator</span></h1>" in page

    def test_is_maskgate_unless_set(self, tmp_path: Path) -> None:
        with open_door(tmp_path) as door:
            assert "<h1>maskgate <span>Operator</span></h1>" in httpx.get(f"{door.url}operator").text


class TestRefusals:
    """What keeps the screens from opening, in a sentence each."""

    def refusal(self, tmp_path: Path, **settings: Any) -> str:
        with pytest.raises(ConfigError) as refused, open_door(tmp_path, {f"web.{k}": v for k, v in settings.items()}):
            pass
        return str(refused.value)

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "door1.local"])
    def test_an_open_network_without_token(self, tmp_path: Path, host: str) -> None:
        assert "maskgate token --file" in self.refusal(tmp_path, host=host, token_file=str(tmp_path / "absent"))

    def test_another_file_as_token_file(self, tmp_path: Path) -> None:
        (tmp_path / "notes").write_bytes(b"hunter2\xff\n")
        assert "not a token file" in self.refusal(tmp_path, host="0.0.0.0", token_file=str(tmp_path / "notes"))

    def test_a_folder_as_token_file(self, tmp_path: Path) -> None:
        assert "is a folder, not a file" in self.refusal(tmp_path, host="0.0.0.0", token_file=str(tmp_path))

    def test_a_language_that_does_not_exist(self, tmp_path: Path) -> None:
        assert "en, fr, auto" in self.refusal(tmp_path, language="tlh")

    def test_readable_token_files_are_warned_of(
        self, tmp_path: Path, made: tuple[Path, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        made[0].chmod(0o644)
        with open_door(tmp_path, {"web.host": "0.0.0.0", "web.token_file": str(made[0])}):
            pass
        assert any(f"chmod 600 {made[0]}" in record.getMessage() for record in caplog.records)


class TestPort:
    def test_busy_ports_are_taken_when_free(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            opened = open_door(tmp_path, {"web.port": port})
            door = opened.__enter__()
            assert door.screens.url is None
            assert f"port {port} is in use" in (door.screens.trouble or "")
            assert "Alerts go on" in caplog.text
            assert caplog.text.count("in use") == 1
        until(lambda: door.screens.url)
        assert door.screens.trouble is None
        assert httpx.get(f"{door.url}health", timeout=LONG).status_code == 200
        opened.__exit__(None, None, None)

    @pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
    def test_foreign_addresses_are_a_warning(self, tmp_path: Path, made: tuple[Path, str], host: str) -> None:
        with open_door(tmp_path, {"web.host": host, "web.token_file": str(made[0])}) as door:
            assert f"{host} is no address of this machine" in (door.screens.trouble or "")

    def test_ipv6_works(self, tmp_path: Path) -> None:
        with open_door(tmp_path, {"web.host": "::1"}) as door:
            if door.screens.trouble:
                pytest.skip("this machine has no IPv6")
            assert door.url.startswith("http://[::1]:")
            assert httpx.get(f"{door.url}health", timeout=LONG).status_code == 200

    def test_closing_early_or_twice_is_fine(self, tmp_path: Path) -> None:
        with open_door(tmp_path) as door:
            pass
        door.screens.close()


class TestDoctor:
    """What ``maskgate doctor`` says of the screens."""

    def finding(self, tmp_path: Path, **settings: Any) -> tuple[str, str, str | None]:
        overrides = {f"web.{key}": value for key, value in settings.items()}
        config = load(environment={"HOME": str(tmp_path)}, overrides=overrides).config
        found = next(one for one in doctor.examine(Machine(), config) if one.name == "screens")
        return found.state.value, found.text, found.remedy

    def test_a_free_port_is_well(self, tmp_path: Path) -> None:
        port = free_port()
        assert self.finding(tmp_path, port=port) == ("ok", f"at http://127.0.0.1:{port}/", None)

    def test_maskgates_own_port_is_fine(self, tmp_path: Path, door: Door) -> None:
        assert self.finding(tmp_path, port=port_of(door))[0] == "ok"

    def test_busy_ports_are_a_warning(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=1) as other:
            state, text, remedy = self.finding(tmp_path, port=other.getsockname()[1])
        assert (state, "is in use" in text) == ("warning", True)
        assert remedy
        assert "web.port" in remedy

    def test_missing_tokens_name_the_command(self, tmp_path: Path) -> None:
        state, text, remedy = self.finding(tmp_path, host="0.0.0.0", token_file=str(tmp_path / "t"), port=free_port())
        assert (state, "will not start" in text) == ("problem", True)
        assert remedy == f"maskgate token --file {tmp_path / 't'}"


class TestLanguages:
    @pytest.mark.parametrize("language", texts.languages())
    def test_every_language_says_everything(self, language: str) -> None:
        words, english = texts.texts(language), texts.texts("en")
        assert words.keys() == english.keys()
        assert all(word.strip() for word in some(words.values()))
        fields = {key: set(re.findall(r"\{\w+\}", word)) for key, word in english.items()}
        assert {key: set(re.findall(r"\{\w+\}", word)) for key, word in words.items()} == fields

    @pytest.mark.parametrize(
        ("setting", "asked", "accepted", "chosen"),
        [
            ("en", None, "fr", "en"),
            ("fr", None, "en", "fr"),
            ("auto", None, "de-DE, fr-CH;q=0.8, en;q=0.5", "fr"),
            ("auto", None, "en;q=0.1, fr;q=0.9", "fr"),
            ("auto", None, "fr;q=0, nonsense;q=x", "en"),
            ("auto", None, "", "en"),
            ("en", "fr", "en", "fr"),
            ("fr", "tlh", "en", "fr"),
        ],
    )
    def test_pages_follow_the_language(self, setting: str, asked: str | None, accepted: str, chosen: str) -> None:
        assert texts.choose(setting, asked, accepted) == chosen


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.slow
class TestDaemon:
    """The real daemon on the demo clip."""

    @pytest.fixture
    def started(self, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
        port = free_port()
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "MASKGATE_CAMERA_LOOP": "true",
            "MASKGATE_WEB_PORT": str(port),
        }
        command = [sys.executable, "-m", "edge", "run", "--source", "demo"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            yield process, f"http://127.0.0.1:{port}/"
            process.kill()

    def answered(self, url: str) -> bool:
        try:
            return httpx.get(f"{url}health").status_code == 200
        except httpx.TransportError:
            return False

    def test_it_serves_and_ends_cleanly(self, started: tuple[subprocess.Popen[str], str]) -> None:
        process, url = started
        until(lambda: self.answered(url))
        until(lambda: httpx.get(f"{url}api/status").json()["events"])
        with httpx.stream("GET", f"{url}events", timeout=LONG) as answer:
            lines = answer.iter_lines()
            state = next(line for line in lines if line.startswith("data: "))
            assert "mode" in json.loads(state.removeprefix("data: "))
            process.send_signal(signal.SIGTERM)
            assert "event: bye" in list(lines)
        assert process.wait(LONG) == 0
        assert process.stdout
        assert f"Watch it at {url} (for visitors) and {url}operator (for you)." in process.stdout.read()

    def test_fast_recordings_are_not_served(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "edge", "run", "--source", "demo", "--max-frames", "5"]
        environment = {**os.environ, "HOME": str(tmp_path), "MASKGATE_WEB_PORT": "0"}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert "Watch it" not in ran.stdout

    def test_first_lines_say_where_to_watch(self, tmp_path: Path) -> None:
        options = ["--source", "demo", "--loop", "--port", "0", "--max-frames", "5"]
        environment = {**os.environ, "HOME": str(tmp_path)}
        command = [sys.executable, "-m", "edge", "run", *options]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        first = "\n".join(ran.stdout.splitlines()[:3])
        assert re.search(r"Watch it at http://127\.0\.0\.1:\d+/ ", first)
        assert ran.stderr == "", "the runtime's own notes stay off the terminal"

    def test_the_server_is_imported_late(self) -> None:
        code = "import sys, edge.door.wiring, edge.sinks.web.sink; print({'uvicorn', 'starlette'} & set(sys.modules))"
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ran.stdout == "set()\n"


def test_nonsense_settings_are_refused(tmp_path: Path) -> None:
    for key, value in {"web.port": 70000, "web.host": "", "web.live_picture": "perhaps"}.items():
        with pytest.raises(ConfigError, match=key):
            load(environment={"HOME": str(tmp_path)}, overrides={key: value})

"""The stream of states and events."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.messages import message
from edge.sinks.web import app, guard, report, statuses, streams
from edge.values import Event, EventKind, Verdict
from tests.sinks.web.helpers import LONG, Listener, port_of, until
from tests.stand_ins.screens import Door, open_door, person


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

    def test_calm_listeners_get_fewer_states(self, door: Door) -> None:
        kiosk, operator = Listener(door), Listener(door, "?calm")
        until(lambda: kiosk.of("state") and operator.of("state"))
        began = time.monotonic()
        for step in range(30):
            door.people = (person(1, Verdict.WITH_MASK, x=10 * step),)
            time.sleep(0.1)
        seconds = time.monotonic() - began
        assert len(operator.of("state")) <= seconds / streams.CALM_EVERY + 2
        assert len(operator.of("state")) < len(kiosk.of("state"))
        door.tell(Event(EventKind.VERDICT, door.ago(0), 1, Verdict.WITH_MASK))
        until(lambda: operator.of("happened"))

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


class TestStatus:
    """Listeners who follow what ``/api/status`` says, as the operators' pages do."""

    def test_status_comes_at_once_and_after_events(self, door: Door, client: httpx.Client) -> None:
        listener = Listener(door, "?status=fr")
        first = until(lambda: listener.of("status"))[0]
        assert first.keys() == client.get("/api/status").json().keys()
        door.tell(Event(EventKind.VERDICT, door.ago(0), 3, Verdict.WITHOUT_MASK))
        until(lambda: [one for one in listener.of("status") if one["events"]])
        assert [one["event"] for one in listener.of("happened")] == ["verdict"]
        assert "release" in listener.of("state")[0]

    def test_sentences_come_in_the_language_asked_for(self, door: Door) -> None:
        door.troubles = (message("screens.failed", reason="a fault"),)
        listeners = {language: Listener(door, f"?status={language}") for language in ("en", "fr", "klingon")}
        heard = {name: until(lambda one=one: one.of("status"))[0]["reasons"] for name, one in listeners.items()}
        assert heard["en"] == heard["klingon"] != heard["fr"]

    def test_failing_status_leaves_the_kiosk_running(
        self, door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: Any) -> None:
            raise OSError("no file descriptor is left")

        monkeypatch.setattr(report, "health", fail)
        operator, kiosk = Listener(door, "?status=en"), Listener(door)
        until(lambda: "no file descriptor is left" in caplog.text)
        states = len(kiosk.of("state"))
        until(lambda: len(kiosk.of("state")) > states + 1)
        assert (operator.of("status"), caplog.text.count("no file descriptor is left")) == ([], 1)


class TestWork:
    """States, statuses and pictures are put together once, however many look."""

    SECONDS = 0.6
    LOOKERS = ("events", "events?status=en", "camera/preview")

    def test_twenty_lookers_cost_no_more_than_one(
        self, tmp_path: Path, made: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done: Counter[str] = Counter()
        counting(monkeypatch, streams, "snapshot", done)
        counting(monkeypatch, streams, "_encode_picture", done)
        counting(monkeypatch, report, "health", done)
        allowed = {
            "snapshot": 1 / streams.LOOK_EVERY,
            "_encode_picture": 1 / app.PREVIEW_EVERY,
            "health": 1 / statuses.AT_MOST_EVERY,
        }
        with open_door(tmp_path, {"web.token_file": str(made[0])}) as door, ExitStack() as opened:
            for number in (1, 19):
                lookers = [look(door, made[1], path, opened) for path in self.LOOKERS for _ in range(number)]
                done.clear()
                began = time.monotonic()
                while time.monotonic() - began < self.SECONDS:
                    door.tell(Event(EventKind.VERDICT, door.ago(0), 1, Verdict.WITH_MASK))
                    time.sleep(0.05)
                seconds = time.monotonic() - began
                assert {name: done[name] <= seconds * most + 2 for name, most in allowed.items()} == dict.fromkeys(
                    allowed, True
                ), done
                until(lambda lookers=lookers: all(one.recv(65536) for one in lookers))
            assert done["snapshot"]
            assert done["_encode_picture"]


def counting(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, done: Counter[str]) -> None:
    """Count the calls of a function."""
    real: Callable[..., Any] = getattr(module, name)

    def counted(*args: Any) -> Any:
        done[name] += 1
        return real(*args)

    monkeypatch.setattr(module, name, counted)


def look(door: Door, key: str, path: str, opened: ExitStack) -> socket.socket:
    """A stream that has begun, and is not read any further."""
    connection = opened.enter_context(socket.create_connection(("127.0.0.1", port_of(door)), LONG))
    head = f"GET /{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
    connection.sendall(head.encode())
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection

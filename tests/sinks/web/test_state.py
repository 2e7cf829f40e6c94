"""What the pages and programs are told of a door: health, status, picture, language. Real HTTP on a free port."""

from __future__ import annotations

import re
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from edge.alerts.state import AlertState, OutputState
from edge.sinks.counts import database
from edge.sinks.web import streams, texts
from edge.status import CameraState, SourceKind
from edge.values import Event, EventKind, Image, Verdict
from tests.nonempty import some
from tests.sinks.web.helpers import LONG, Listener, until
from tests.stand_ins.screens import PICTURE, Door, open_door, person


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
        assert [model["name"] for model in said["models"]] == ["face", "confirm", "mask", "mask-small"]
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
            said = httpx.get(f"{door.url}api/status?lang=fr", timeout=LONG).json()["today"]["trouble"]
            history = httpx.get(f"{door.url}api/history?lang=fr", timeout=LONG).json()["trouble"]
            table = httpx.get(f"{door.url}history/visits.csv?lang=fr", timeout=LONG)
        assert today["hours"] == []
        assert "Cannot read the counts" in today["trouble"]
        assert said.endswith(
            "c’est un autre fichier, et non une base de maskgate ; donnez à counts.path le chemin de la base."
        )
        assert (history, table.status_code, table.text) == (said, 503, f"{said}\n")


class TestWithoutFurtherThreads:
    """A machine at its limit of tasks, for example because a driver hangs the readers of a camera."""

    def test_pages_still_answer(self, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
        until(lambda: client.get("/health").status_code == 200)

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as machine:
            machine.setattr(threading.Thread, "start", refuse)
            codes = {address: client.get(address).status_code for address in ("/api/status", "/api/history", "/")}
        assert codes == dict.fromkeys(codes, 200)

    def test_too_few_threads_are_reported(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        started = threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            if thread.name.startswith("web_"):
                raise RuntimeError("can't start new thread")
            started(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)
        with open_door(tmp_path) as door:
            until(lambda: "can't start new thread" in (door.screens.trouble or ""))


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
            ("auto", None, "tlh, fr-CH;q=0.8, en;q=0.5", "fr"),
            ("auto", None, "en;q=0.1, fr;q=0.9", "fr"),
            ("auto", None, "fr;q=0, nonsense;q=x", "en"),
            ("auto", None, "", "en"),
            ("en", "fr", "en", "fr"),
            ("fr", "tlh", "en", "fr"),
        ],
    )
    def test_pages_follow_the_language(self, setting: str, asked: str | None, accepted: str, chosen: str) -> None:
        assert texts.choose(setting, asked, accepted) == chosen

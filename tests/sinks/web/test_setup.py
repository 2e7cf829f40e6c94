"""Operators change a running door: only with the token, never from another site, in force at once, kept and shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from edge.messages import lasting, message, translated
from edge.sinks.web import texts, token
from edge.status import CameraState
from edge.values import BBox, EventKind, Verdict
from edge.vision.aim import advise
from tests.nonempty import some
from tests.stand_ins.broker import free_port
from tests.stand_ins.browser import small_targets, violations
from tests.stand_ins.screens import Door, open_door, person

LONG = 30
Found = TypeVar("Found")


def until(look: Callable[[], Found]) -> Found:
    """What ``look`` returns once it is true."""
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


@pytest.fixture
def key(tmp_path: Path) -> str:
    return token.make(tmp_path / "web-token")


@pytest.fixture
def door(tmp_path: Path, key: str) -> Iterator[Door]:
    with open_door(tmp_path, {"web.token_file": str(tmp_path / "web-token")}) as opened:
        until(lambda: answers(opened.url))
        yield opened


@pytest.fixture
def operator(door: Door, key: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=door.url, headers={"Authorization": f"Bearer {key}"}, timeout=LONG) as client:
        yield client


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}health").status_code in (200, 503)
    except httpx.TransportError:
        return False


def setting(client: httpx.Client, key: str) -> Mapping[str, Any]:
    return next(one for one in client.get("/api/settings").json()["settings"] if one["key"] == key)


class TestWhoMay:
    @pytest.mark.parametrize("address", ["/api/control", "/api/settings"])
    def test_token_is_required(self, door: Door, address: str) -> None:
        answer = httpx.post(f"{door.url}{address[1:]}", json={"do": "mute", "changes": {"web.language": "fr"}})
        assert answer.status_code == 401
        assert door.alerts.state(door.clock.monotonic()).muted_until is None

    def test_no_token_no_changes(self, tmp_path: Path) -> None:
        with open_door(tmp_path) as free:
            until(lambda: answers(free.url))
            said = httpx.get(f"{free.url}api/settings").json()
            assert not said["can_change"]
            assert "maskgate token" in said["why_not"]
            for address in ("api/control", "api/settings", "api/aim", "camera/preview"):
                method = "GET" if address in ("api/aim", "camera/preview") else "POST"
                assert httpx.request(method, f"{free.url}{address}", json={"do": "mute"}).status_code == 403

    def test_other_sites_change_nothing(self, door: Door, key: str, tmp_path: Path) -> None:
        signed_in = {"Cookie": f"maskgate_session={token.read(tmp_path / 'web-token', 'localhost').session}"}
        elsewhere = {**signed_in, "Origin": "http://evil.example"}
        assert httpx.post(f"{door.url}api/control", json={"do": "mute"}, headers=elsewhere).status_code == 403
        form = httpx.post(f"{door.url}api/control", data={"do": "mute"}, headers=signed_in)
        assert form.status_code == 415
        assert httpx.post(f"{door.url}api/control", json={"do": "mute"}, headers=signed_in).status_code == 200

    def test_too_many_changes_slow_down(self, operator: httpx.Client) -> None:
        codes = [operator.post("/api/control", json={"do": "unmute"}).status_code for _ in range(25)]
        assert codes[:20] == [200] * 20
        assert set(codes[20:]) == {429}


class TestCommands:
    def test_mute_and_unmute(self, door: Door, operator: httpx.Client) -> None:
        said = operator.post("/api/control", json={"do": "mute", "seconds": 300}).json()["said"]
        assert said == "Buzzer and sound are muted for 5 min."
        shown = until(lambda: (now := operator.get("/api/status").json()["alerts"])["muted_for"] and now)
        assert 290 < shown["muted_for"] <= 300
        operator.post("/api/control", json={"do": "unmute"})
        until(lambda: operator.get("/api/status").json()["alerts"]["muted_for"] is None)

    def test_answers_come_in_the_language_asked_for(self, operator: httpx.Client) -> None:
        said = operator.post("/api/control?lang=fr", json={"do": "mute", "seconds": 300}).json()["said"]
        assert said == translated(message("operator.muted", time=lasting(300)), "fr")
        refused = operator.post("/api/control?lang=fr", json={"do": "try", "output": "relay"}).json()["error"]
        assert refused == translated(message("operator.relay"), "fr")

    @pytest.mark.parametrize(
        ("address", "asked", "said"),
        [
            ("control", {"do": "dance"}, "do doit valoir mute, unmute, try, restart."),
            ("control", {"do": "mute", "seconds": "long"}, "seconds doit être un nombre."),
            ("control", {"do": "mute", "seconds": -1}, "Le silence dure de 1 seconde à 86400 (un jour)."),
            ("control", {"do": "try", "output": "cannon"}, "Il n’y a pas de sortie 'cannon'"),
            ("control", [], "Le corps doit être un objet JSON."),
            ("settings", {}, "changes doit nommer au moins un réglage."),
            ("settings", {"changes": {"mask.alarm_below": 7}}, "n’est pas valable : il faut moins de 1."),
        ],
    )
    def test_refusals_come_in_the_language_asked_for(
        self, operator: httpx.Client, address: str, asked: Any, said: str
    ) -> None:
        assert said in operator.post(f"/api/{address}?lang=fr", json=asked).json()["error"]

    def test_exposure_is_offered_where_it_can_be_set(self, door: Door, operator: httpx.Client) -> None:
        def offered() -> set[str]:
            settings = until(lambda: operator.get("/api/settings").json()["settings"])
            return {one["key"] for one in settings if one["key"].startswith("camera.")}

        assert offered() == set()
        operator.post("/api/settings", json={"changes": {"camera.exposure_value": 1}})
        assert offered() == {"camera.exposure_value"}
        door.camera = CameraState("a camera module", last_frame_at=door.clock.monotonic(), exposes=True)
        until(lambda: offered() == {"camera.exposure", "camera.exposure_value"})

    def test_output_is_tried(self, door: Door, operator: httpx.Client) -> None:
        assert operator.post("/api/control", json={"do": "try", "output": "led"}).json() == {
            "said": "Tried: red lamp on pin 17."
        }
        assert door.output.tried == ["led"]

    def test_relay_needs_confirmation(self, door: Door, operator: httpx.Client) -> None:
        asked = {"do": "try", "output": "relay"}
        refused = operator.post("/api/control", json=asked)
        assert (refused.status_code, door.output.tried) == (409, [])
        assert "confirm" in refused.json()["error"]
        assert operator.post("/api/control", json={**asked, "confirmed": True}).status_code == 200
        assert door.output.tried == ["relay"]

    def test_failed_output_is_tried_again(self, door: Door, operator: httpx.Client) -> None:
        answer = operator.post("/api/control", json={"do": "try", "output": "buzzer"})
        said = "The pin 27 cannot be switched. It was tried again just now."
        assert (answer.status_code, answer.json()["error"]) == (409, said)
        assert door.output.tried == ["buzzer"]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"not json",
            b'{"do": "dance"}',
            b'{"do": "mute", "seconds": "long"}',
            b'{"do": "mute", "seconds": true}',
            b'{"do": "mute", "seconds": -1}',
            b'{"do": "mute", "seconds": NaN}',
            b'{"do": "mute", "seconds": 1e999}',
            b'{"do": "mute", "seconds": 1' + b"0" * 400 + b"}",
            b'{"do": "try", "output": "cannon"}',
            b'{"do": "try", "output": ["led"]}',
            b'{"do": "try", "output": "\\ud800"}',
            b'{"do": "mute", "by": ' + b"[" * 900 + b"]" * 900 + b"}",
            b"[" * 20_000,
            b'"' + b"x" * 20_000 + b'"',
        ],
    )
    def test_nonsense_is_refused(self, operator: httpx.Client, body: bytes) -> None:
        answer = operator.post("/api/control", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 409)
        assert answer.json()["error"].endswith(".")

    def test_commands_are_events(self, operator: httpx.Client) -> None:
        operator.post("/api/control", json={"do": "mute", "seconds": 60})
        events = until(lambda: operator.get("/api/status").json()["events"])
        assert (events[-1]["event"], events[-1]["detail"]) == (
            str(EventKind.OPERATOR),
            "Buzzer and sound are muted for 1 min.",
        )


class TestSettings:
    def test_change_is_applied_and_stored(self, door: Door, operator: httpx.Client, tmp_path: Path) -> None:
        answer = operator.post("/api/settings", json={"changes": {"alerts.quiet_hours": "22:00-06:30"}})
        assert answer.json()["said"] == "Changed: alerts.quiet_hours = 22:00-06:30."
        assert door.settings
        assert door.settings.config.alerts.quiet_hours == "22:00-06:30"
        assert setting(operator, "alerts.quiet_hours")["origin"] == "page"
        (file,) = tmp_path.rglob("page.toml")
        assert 'quiet_hours = "22:00-06:30"' in file.read_text("utf-8")

    def test_change_can_be_reverted(self, operator: httpx.Client) -> None:
        operator.post("/api/settings", json={"changes": {"web.door_name": "East"}})
        operator.post("/api/settings", json={"changes": {"web.door_name": None}})
        assert setting(operator, "web.door_name") | {"description": ""} == setting(operator, "web.door_name") | {
            "value": "",
            "origin": "default",
            "description": "",
        }

    def test_changes_are_told_in_the_language_asked_for(self, operator: httpx.Client) -> None:
        zone = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]
        changes = {"people.zone": zone, "web.door_name": None, "alerts.mute_for": 30}
        said = operator.post("/api/settings?lang=fr", json={"changes": changes}).json()["said"]
        assert said == ("Modifié : people.zone = 3 coins; web.door_name : modification annulée; alerts.mute_for = 30.")

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"alerts.quiet_hours": "late"}, "quiet_hours"),
            ({"alerts.led_pin": 5}, "cannot change alerts.led_pin"),
            ({"mqtt.host": "evil.example"}, "cannot change mqtt.host"),
            ({"people.zone": [[0, 0], [2, 2], [0, 1]]}, "zone"),
            ({"mask.alarm_below": 7}, "alarm_below"),
        ],
    )
    def test_wrong_value_changes_nothing(
        self, door: Door, operator: httpx.Client, changes: dict[str, Any], said: str
    ) -> None:
        before = door.settings
        answer = operator.post("/api/settings", json={"changes": changes})
        assert answer.status_code == 409
        assert said in answer.json()["error"]
        assert door.settings is before

    @pytest.mark.parametrize(
        "changes",
        [
            '{"\\ud800": 1}',
            '{"web.door_name": "\\ud800"}',
            '{"web.door_name": "east\\u001b[2Jwest"}',
            '{"web.door_name": "east\\nwest"}',
            '{"mask.alarm_below": NaN}',
            '{"alerts.on_time": 1' + "0" * 400 + "}",
            '{"people.zone": ' + "[" * 900 + "]" * 900 + "}",
            "[]",
        ],
    )
    def test_nonsense_changes_nothing(self, door: Door, operator: httpx.Client, changes: str) -> None:
        before = door.settings
        content = f'{{"changes": {changes}}}'
        answer = operator.post("/api/settings", content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 409)
        assert answer.json()["error"].endswith(".")
        assert door.settings is before

    def test_two_operators_at_once_lose_nothing(self, operator: httpx.Client) -> None:
        def change(number: int) -> int:
            key, value = ("web.door_name", f"Door {number}") if number % 2 else ("alerts.mute_for", 30 + number)
            return operator.post("/api/settings", json={"changes": {key: value}}).status_code

        with ThreadPoolExecutor(2) as pool:
            assert set(pool.map(change, range(16))) == {200}
        assert setting(operator, "web.door_name")["value"].startswith("Door ")
        assert setting(operator, "alerts.mute_for")["value"] >= 30

    def test_last_of_two_operators_wins(self, operator: httpx.Client) -> None:
        operator.post("/api/settings", json={"changes": {"web.door_name": "East", "alerts.mute_for": 30}})
        operator.post("/api/settings", json={"changes": {"web.door_name": "West"}})
        assert (setting(operator, "web.door_name")["value"], setting(operator, "alerts.mute_for")["value"]) == (
            "West",
            30,
        )

    def test_pages_change_language(self, operator: httpx.Client) -> None:
        operator.post("/api/settings", json={"changes": {"web.language": "fr"}})
        until(lambda: 'lang="fr"' in operator.get("/operator").text)

    def test_settings_have_words_everywhere(self, operator: httpx.Client) -> None:
        keys = [one["key"] for one in operator.get("/api/settings").json()["settings"] if one["kind"] != "zone"]
        assert keys
        for language in some(texts.languages()):
            words = texts.texts(language)
            assert [key for key in keys if f"setting.{key}" not in words or f"setting.{key}.about" not in words] == []


class TestAim:
    def test_small_faces_get_advice(self, door: Door, operator: httpx.Client) -> None:
        door.people = (person(1, Verdict.WITH_MASK, width=28),)
        aim = until(lambda: (now := operator.get("/api/aim").json())["faces"] and now)
        assert aim["faces"][0]["pixels"] == 28
        assert [one["text"] for one in aim["advice"] if one["key"] == "far"] == [
            "Faces are 28 px; at least 32 are needed: come closer or raise camera.width."
        ]

    def test_lost_camera_gets_its_fault(self, door: Door, operator: httpx.Client) -> None:
        door.camera = CameraState("usb:0", message("camera.silent", camera="usb:0"), last_frame_at=door.ago(9))
        aim = until(lambda: (now := operator.get("/api/aim?lang=fr").json())["trouble"] and now)
        assert (aim["trouble"], aim["advice"], aim["width"]) == ("usb:0 n’envoie pas d’images.", [], None)

    @pytest.mark.parametrize(
        ("background", "face", "keys"),
        [(20, 20, ["dark"]), (220, 30, ["backlit"]), (120, 110, [])],
    )
    def test_light_is_judged(self, background: int, face: int, keys: list[str]) -> None:
        image = np.full((240, 320, 3), background, np.uint8)
        image[80:160, 120:200] = face
        assert [one.key for one in advise(image, [BBox(120, 80, 200, 160)], 32)] == keys

    @staticmethod
    def preview(operator: httpx.Client, language: str) -> bytes:
        """The first JPEG."""
        with operator.stream("GET", f"camera/preview?lang={language}") as answer:
            assert answer.headers["content-type"].startswith("multipart/x-mixed-replace")
            body = b""
            for part in answer.iter_bytes():
                body += part
                if b"\xff\xd9" in body:
                    break
        return body[body.index(b"\xff\xd8") : body.index(b"\xff\xd9")]

    def test_preview_speaks_the_language_of_the_page(self, door: Door, operator: httpx.Client) -> None:
        assert self.preview(operator, "en") == self.preview(operator, "fr")
        door.people = (person(1, Verdict.WITHOUT_MASK),)
        until(lambda: operator.get("/api/status").json()["people"])
        assert self.preview(operator, "en") != self.preview(operator, "fr")


@pytest.mark.slow
class TestPage:
    @pytest.fixture
    def page(self, browser: Browser, door: Door, key: str) -> Iterator[Page]:
        context = browser.new_context(bypass_csp=True)
        context.set_default_timeout(LONG * 1000)
        page = context.new_page()
        page.goto(f"{door.url}login")
        page.fill("input[name=token]", key)
        page.click("button")
        page.goto(f"{door.url}setup")
        page.wait_for_selector("#settings .field")
        yield page
        context.close()

    def test_zone_drawn_with_keyboard(self, door: Door, page: Page) -> None:
        page.click("#look")
        page.click("#zone-draw")
        page.focus(".corner >> nth=0")
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        page.click("#zone-save")
        expect(page.locator("#said")).to_contain_text("people.zone")
        assert door.settings
        assert door.settings.config.people.zone[0] == (0.15, 0.1)

    def test_zone_dragged_with_mouse(self, door: Door, page: Page) -> None:
        page.click("#look")
        page.wait_for_function("() => document.getElementById('preview').naturalWidth > 0")
        page.click("#zone-draw")
        page.locator(".corner").nth(2).drag_to(page.locator("#zone"))
        page.click("#zone-save")
        expect(page.locator("#said")).to_contain_text("people.zone")
        assert door.settings
        assert door.settings.config.people.zone[2] == pytest.approx((0.5, 0.5), abs=0.02)

    def test_outputs_are_named_once(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}setup?lang=fr")
        named = page.locator("#outputs .name")
        expect(named).to_have_text(["lampe rouge, broche 17", "buzzer, broche 27", "relais, broche 23"])

    def test_preview_of_a_lost_camera_says_so(self, door: Door, page: Page) -> None:
        page.click("#look")
        page.wait_for_function("() => document.getElementById('preview').naturalWidth > 0")
        door.camera = CameraState("usb:0", message("camera.silent", camera="usb:0"), last_frame_at=door.ago(9))
        expect(page.locator("#advice")).to_have_text("usb:0 sends no pictures.")
        expect(page.locator("#preview")).to_have_class("old")

    def test_setting_changed_in_form(self, door: Door, page: Page) -> None:
        field = page.locator(".field", has=page.locator("[id='set-web.door_name']"))
        field.locator("input").fill("Side entrance")
        field.get_by_role("button", name="Save").click()
        expect(page.locator("#said")).to_contain_text("Side entrance")
        assert door.settings
        assert door.settings.config.web.door_name == "Side entrance"

    def test_changes_of_another_operator_appear(self, page: Page, operator: httpx.Client) -> None:
        page.locator("[id='set-alerts.mute_for']").fill("77")
        operator.post("/api/settings", json={"changes": {"web.door_name": "East"}})
        expect(page.locator("[id='set-web.door_name']")).to_have_value("East")
        expect(page.locator("#said")).to_have_text("Another operator changed something. This page shows it now.")
        expect(page.locator("[id='set-alerts.mute_for']")).to_have_value("77")

    def test_setup_is_accessible(self, page: Page) -> None:
        page.click("#look")
        page.click("#zone-draw")
        assert violations(page) == []
        assert small_targets(page) == []

    def test_zone_editing_can_be_cancelled(self, door: Door, page: Page) -> None:
        page.click("#look")
        page.click("#zone-draw")
        page.focus(".corner >> nth=0")
        page.keyboard.press("ArrowRight")
        page.click("#zone-cancel")
        expect(page.locator(".corner")).to_have_count(0)
        expect(page.locator("#zone polygon")).to_have_attribute("points", "")
        assert door.settings
        assert not door.settings.config.people.zone

    def test_answers_stay_in_view(self, page: Page) -> None:
        page.set_viewport_size({"width": 390, "height": 600})
        page.click("#mute-long")
        expect(page.locator("#said")).to_be_in_viewport()
        expect(page.locator("#unmute")).to_be_visible()


class TestRunningDoor:
    """The whole appliance, on the demo clip."""

    @pytest.fixture
    def running(self, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client, Path]]:
        key, log = token.make(tmp_path / "web-token"), tmp_path / "events.jsonl"
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "MASKGATE_WEB_TOKEN_FILE": str(tmp_path / "web-token"),
            "MASKGATE_COUNTS_PATH": str(tmp_path / "counts.db"),
        }
        options = ["--source", "demo", "--loop", "--port", str(free_port()), "--events", str(log)]
        command = [sys.executable, "-m", "edge", "run", *options]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            first = "".join(process.stdout.readline() for _ in range(3))
            found = re.search(r"http://127\.0\.0\.1:\d+/", first)
            assert found, first
            until(lambda: answers(found[0]))
            with httpx.Client(base_url=found[0], headers={"Authorization": f"Bearer {key}"}, timeout=LONG) as client:
                yield process, client, log
            process.kill()

    def test_change_takes_effect_within_seconds(
        self, running: tuple[subprocess.Popen[str], httpx.Client, Path]
    ) -> None:
        _, client, log = running
        until(lambda: client.get("/api/settings").json()["settings"])
        zone = [[0, 0], [0.01, 0], [0.01, 0.01]]
        answer = client.post("/api/settings", json={"changes": {"people.zone": zone}})
        assert answer.status_code == 200, answer.text
        until(lambda: client.get("/api/status").json()["people"] == [])
        events = until(lambda: [line for line in log.read_text("utf-8").splitlines() if '"operator"' in line])
        assert json.loads(events[0])["detail"] == "Changed: people.zone = 3 corners."

    def test_no_setting_interrupts_the_run(self, running: tuple[subprocess.Popen[str], httpx.Client, Path]) -> None:
        process, client, log = running
        until(lambda: client.get("/api/status").json().get("frames", 0) > 5)
        changes = {"camera.exposure": "backlight", "alerts.on_time": 0.9}
        answer = client.post("/api/settings", json={"changes": changes})
        assert answer.status_code == 200, answer.text
        judged = client.get("/api/status").json()["frames"]
        assert judged > 5
        until(lambda: client.get("/api/status").json()["frames"] > judged + 5)
        assert setting(client, "camera.exposure")["origin"] == "page"
        assert (process.poll(), '"summary"' in log.read_text("utf-8")) == (None, False)

"""What people see: the pages in a real Chromium, at the sizes they are made for, in every language."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from edge.alerts.state import AlertState
from edge.messages import message
from edge.sinks.counts import database
from edge.sinks.web import texts, token
from edge.status import CameraState, SourceKind
from edge.values import BBox, Event, EventKind, Person, Verdict
from tests.nonempty import some
from tests.stand_ins.browser import LONG, fits_across, violations
from tests.stand_ins.screens import Door, open_door, person

pytestmark = pytest.mark.slow
SIZES = {"monitor": (1920, 1080), "small screen of a Pi": (800, 480), "phone": (390, 844)}
LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 30"><rect width="90" height="30" fill="#fff"/></svg>'
AT_THE_EDGE = """edge => {
    const mirror = document.querySelector(".mirror").getBoundingClientRect();
    const picture = document.getElementById("picture").getBoundingClientRect();
    const sign = document.querySelector(".person use:last-child")?.getBoundingClientRect();
    return picture.width > mirror.width + 20 && Math.abs(picture[edge] - mirror[edge]) < 2
        && sign?.width && sign.left >= mirror.left && sign.right <= mirror.right;
}"""
"""Whether the mirror shows the live picture up to an edge, and the sign above a head there."""
LOST = CameraState("usb:0", trouble="usb:0 is unplugged.", last_frame_at=0.0)
SCENES: dict[str, tuple[Verdict, ...]] = {
    "welcome": (),
    "unsure": (Verdict.UNSURE,),
    "with_mask": (Verdict.WITH_MASK,),
    "without_mask": (Verdict.WITHOUT_MASK, Verdict.WITH_MASK),
    "mask_worn_incorrectly": (Verdict.MASK_WORN_INCORRECTLY,),
    "out_of_service": (),
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("door")
    with open_door(folder, counts=store(folder)) as opened:
        opened.tell_a_day()
        yield opened


@pytest.fixture
def page(browser: Browser, door: Door) -> Iterator[Page]:
    """An empty page whose errors fail the test."""
    with_people(door, "welcome")
    yield from opened_page(browser)


@pytest.fixture
def audited(browser: Browser, door: Door) -> Iterator[Page]:
    """The same for axe-core, which puts styles of its own into the page: the strict policy would refuse them."""
    with_people(door, "welcome")
    yield from opened_page(browser, bypass_csp=True)


def opened_page(browser: Browser, **options: Any) -> Iterator[Page]:
    context = browser.new_context(**options)
    context.set_default_timeout(LONG)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    context.close()
    assert faults == []


def store(folder: Path) -> Path:
    """Counts of the hour that is now: 7 with mask, 2 without, 1 badly worn."""
    path = folder / "counts.db"
    connection = database.open_for_writing(path)
    connection.execute("INSERT INTO boots (name, wall_offset) VALUES ('a boot', 0)")
    connection.execute(
        "INSERT INTO hours (boot, hour, with_mask, without_mask, mask_worn_incorrectly) VALUES (1, ?, 7, 2, 1)",
        (int(time.time()) // 3600 * 3600,),
    )
    connection.close()
    return path


def with_people(door: Door, scene: str) -> None:
    verdicts = SCENES[scene]
    door.people = tuple(person(n, verdict, x=150 + 200 * n) for n, verdict in enumerate(verdicts))
    door.camera = LOST if scene == "out_of_service" else None


def await_mode(page: Page, mode: str) -> None:
    page.wait_for_function("mode => document.body.dataset.mode === mode && document.body.dataset.ready", arg=mode)


def await_fit(page: Page) -> None:
    """Wait until all of the page is in view, without scrollbars, and no word is cut."""
    page.wait_for_function("""() => {
            const root = document.documentElement;
            const inside = (node) => {
                const box = node.getBoundingClientRect();
                return box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight;
            };
            const shown = [...document.querySelectorAll("h1, #detail, footer p, .icon, .mirror")]
                .filter((node) => node.checkVisibility());
            const message = document.querySelector(".message");
            return root.scrollWidth <= innerWidth && root.scrollHeight <= innerHeight && shown.every(inside)
                && message.scrollHeight <= message.clientHeight && message.scrollWidth <= message.clientWidth;
        }""")


def contrast(page: Page) -> float:
    """Of the message's ink against its ground, as WCAG 2.2 defines it; from 1 to 21."""
    return float(
        page.evaluate("""() => {
            const light = (colour) => {
                const [r, g, b] = colour.match(/\\d+/g).slice(0, 3).map((part) => part / 255)
                    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            document.body.style.transition = "none";
            const style = getComputedStyle(document.querySelector("h1"));
            const ground = getComputedStyle(document.body).backgroundColor;
            const [a, b] = [light(style.color), light(ground)].sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05);
        }""")
    )


def await_font_size(part: Locator, least: float) -> None:
    """Wait until a part's letters are ``least`` pixels large."""
    page, handle = part.page, part.element_handle()
    page.wait_for_function(
        "([part, least]) => parseFloat(getComputedStyle(part).fontSize) >= least", arg=[handle, least]
    )


def await_heads_in_mirror(page: Page) -> None:
    """Wait until there are heads and signs, and the mirror's edge cuts none."""
    page.wait_for_function("""() => {
            const mirror = document.querySelector(".mirror").getBoundingClientRect();
            const inside = (box) => box.left >= mirror.left - 1 && box.top >= mirror.top - 1
                && box.right <= mirror.right + 1 && box.bottom <= mirror.bottom + 1;
            const drawn = [...document.querySelectorAll(".person:not(.ghost) use")].slice(1);
            return drawn.length > 0 && drawn.every((use) => inside(use.getBoundingClientRect()));
        }""")


class TestKiosk:
    @pytest.mark.parametrize("language", texts.languages())
    @pytest.mark.parametrize("size", SIZES)
    def test_messages_are_large_and_whole(self, door: Door, audited: Page, size: str, language: str) -> None:
        page = audited
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.goto(f"{door.url}?lang={language}")
        words = texts.texts(language)
        for scene in SCENES:
            with_people(door, scene)
            await_mode(page, scene)
            expect(page.locator("h1")).to_have_text(words[f"kiosk.{scene}.headline"])
            expect(page.locator("#detail")).to_have_text(words[f"kiosk.{scene}.detail"])
            await_fit(page)
            await_font_size(page.locator("h1"), 52)
            assert contrast(page) >= 7, scene
            assert violations(page) == [], scene

    @pytest.mark.parametrize(("words", "millimetres"), [("h1", 9.5), ("#detail", 6)])
    def test_words_are_readable_at_3_metres(self, door: Door, page: Page, words: str, millimetres: float) -> None:
        """1 cm of capital height for 3 m, 6 mm (7 arc minutes) for details, at 154 mm across 800 pixels.

        Capitals are 0.67 of the font's size.
        """
        page.set_viewport_size({"width": 800, "height": 480})
        page.goto(door.url)
        for scene in SCENES:
            with_people(door, scene)
            await_mode(page, scene)
            await_font_size(page.locator(words), millimetres / 0.67 / 154 * 800)

    def test_messages_differ_in_sign_and_colour(self, door: Door, page: Page) -> None:
        page.goto(door.url)
        seen = set()
        for scene in SCENES:
            with_people(door, scene)
            await_mode(page, scene)
            sign, ground = page.evaluate("""() => [document.getElementById("icon").getAttribute("href"),
                getComputedStyle(document.body).getPropertyValue("--ground")]""")
            expect(page.locator(f"symbol{sign}")).to_have_count(1)
            seen.add((sign, ground))
        assert len({sign for sign, _ in seen}) == len({ground for _, ground in seen}) == len(SCENES)

    def test_mirror_draws_figures_not_pictures(self, door: Door, page: Page) -> None:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(door.url)
        door.people = (person(1, Verdict.WITHOUT_MASK, x=0, width=64), person(2, Verdict.WITH_MASK, x=576, width=64))
        page.wait_for_function("""() => {
            const left = (who) => document.querySelector(`.person.${who}`)?.getBoundingClientRect().x;
            return left("without_mask") > left("with_mask");
        }""")  # who is on the left of the picture stands on the right of the mirror
        expect(page.locator(".person.without_mask use").nth(1)).to_have_attribute("href", "#missing")
        expect(page.locator(".person.with_mask use").nth(1)).to_have_attribute("href", "#worn")
        expect(page.locator("#picture")).to_be_hidden()
        assert not any("picture" in url for url in some(asked))
        assert all(url.startswith(door.url) for url in some(asked))

    @pytest.mark.parametrize("size", [*SIZES.values(), (1080, 1920)], ids=str)
    def test_heads_and_signs_stay_inside(self, door: Door, page: Page, size: tuple[int, int]) -> None:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.goto(door.url)
        for x, y in ((2, 2), (520, 2), (2, 330), (520, 330)):
            bbox = BBox(x, y, x + 110, y + 140)
            door.people = (Person(1, bbox, Verdict.WITHOUT_MASK, 0, 0),)
            await_mode(page, "without_mask")
            await_heads_in_mirror(page)

    def test_live_picture_follows_people(self, browser: Browser, tmp_path: Path) -> None:
        """On a small screen the mirror shows a part of the picture only."""
        with open_door(tmp_path, {"web.live_picture": True}) as own:
            for page in opened_page(browser, viewport={"width": 800, "height": 480}):
                page.goto(own.url)
                for x in (0, 560):
                    own.people = (person(1, Verdict.WITH_MASK, x=x, width=80),)
                    page.wait_for_function(AT_THE_EDGE, arg="right" if x == 0 else "left")

    def test_mirror_shows_those_addressed(self, door: Door, page: Page) -> None:
        page.goto(door.url)
        door.people, door.unseen = (person(1, Verdict.WITHOUT_MASK),), frozenset({1})
        try:
            await_mode(page, "without_mask")
            page.wait_for_selector(".person.without_mask.away")
        finally:
            door.unseen = frozenset()

    def test_far_people_have_feet(self, door: Door, page: Page) -> None:
        page.goto(door.url)
        door.people = (person(1, Verdict.WITH_MASK, width=20),)
        await_mode(page, "with_mask")
        page.wait_for_function("""() => {
            const body = document.querySelector(".person.with_mask use")?.getBoundingClientRect();
            return body && body.height > 2 * body.width;
        }""")  # a whole body, not a bust in the air

    def test_shadow_shows_where_to_stand(self, door: Door, page: Page) -> None:
        page.goto(door.url)
        page.wait_for_selector(".person.ghost", state="attached")

    def test_shadow_has_no_warm_colour(self, door: Door, page: Page) -> None:
        """The shadow is a place, not a person: nothing of it, the eyes included, stands out of its blue ground."""
        page.goto(door.url)
        await_mode(page, "welcome")
        page.wait_for_selector(".person.ghost", state="attached")
        shown = cv2.imdecode(np.frombuffer(page.locator(".mirror").screenshot(), np.uint8), cv2.IMREAD_COLOR)
        assert (shown[..., 2] <= shown[..., 0]).all()

    def test_screen_readers_hear_messages(self, door: Door, page: Page) -> None:
        page.goto(door.url)
        expect(page.locator(".message")).to_have_attribute("aria-live", "polite")
        expect(page.locator("main")).to_have_count(1)
        expect(page.locator("h1")).to_have_count(1)

    def test_reduced_motion_is_respected(self, browser: Browser, door: Door) -> None:
        with_people(door, "unsure")
        for page in opened_page(browser, reduced_motion="reduce"):
            page.goto(door.url)
            await_mode(page, "unsure")
            page.wait_for_function("() => document.getAnimations().length === 0")

    def test_languages_take_turns(self, browser: Browser, tmp_path: Path) -> None:
        with open_door(tmp_path, {"web.kiosk_languages": ["fr", "en"]}) as own:
            for page in opened_page(browser, viewport={"width": 800, "height": 480}):
                page.goto(own.url)
                for headline, language in (("Bienvenue", "fr"), ("Welcome", "en"), ("Bienvenue", "fr")):
                    expect(page.locator("h1")).to_have_text(headline)
                    expect(page.locator("html")).to_have_attribute("lang", language)
                    await_fit(page)
                page.goto(f"{own.url}?lang=en")
                expect(page.locator("h1")).to_have_text("Welcome")

    @pytest.mark.parametrize("size", [*SIZES.values(), (1080, 1920)], ids=str)
    def test_door_brings_words_name_and_logo(self, browser: Browser, tmp_path: Path, size: tuple[int, int]) -> None:
        folder = tmp_path / "kiosk"
        folder.mkdir()
        (folder / "words.toml").write_text('name = "City library"\n[en.welcome]\nheadline = "Hello, readers"\n')
        (folder / "logo.svg").write_text(LOGO)
        with open_door(tmp_path, {"counts.path": str(tmp_path / "counts.db")}) as own:
            for page in opened_page(browser, viewport={"width": size[0], "height": size[1]}):
                page.goto(own.url)
                expect(page.locator("h1")).to_have_text("Hello, readers")
                expect(page.locator("#detail")).to_have_text("Please wear a mask")
                expect(page.locator(".owner")).to_have_text("City library")
                expect(page.locator("#logo")).to_be_visible()
                await_fit(page)
                (folder / "words.toml").write_text('[en.welcome]\nheadline = "Come in"\n')
                expect(page.locator("h1")).to_have_text("Come in")

    def test_demo_is_named(self, browser: Browser, tmp_path: Path) -> None:
        with open_door(tmp_path) as one:
            one.more = {"counted": False}
            with_people(one, "with_mask")
            one.camera = CameraState("demo", last_frame_at=one.clock.monotonic() + 60, kind=SourceKind.DEMO)
            for page in opened_page(browser, viewport={"width": 800, "height": 480}):
                page.goto(one.url)
                page.get_by_text("Demo: these people are not at the door").wait_for()
                await_fit(page)
                page.goto(f"{one.url}operator")
                page.get_by_text("demo, nothing is counted").wait_for()

    def test_auto_language_follows_browser(self, browser: Browser, tmp_path: Path) -> None:
        with open_door(tmp_path, {"web.language": "auto"}) as own:
            for page in opened_page(browser, locale="fr-CH"):
                page.goto(own.url)
                await_mode(page, "welcome")
                expect(page.locator("h1")).to_have_text("Bienvenue")
                expect(page.locator("html")).to_have_attribute("lang", "fr")

    def test_daemon_stops_and_returns(self, browser: Browser, tmp_path: Path) -> None:
        for page in some(opened_page(browser)):
            with open_door(tmp_path) as own:
                page.goto(own.url)
                await_mode(page, "welcome")
                port = int(own.url.rstrip("/").rpartition(":")[2])
            await_mode(page, "out_of_service")
            with open_door(tmp_path, {"web.port": port}) as own:
                assert own.screens.url
                await_mode(page, "welcome")

    def test_silent_server_is_out_of_service(self, browser: Browser, door: Door) -> None:
        """As if the cable were cut: no farewell, no closed connection, only silence."""
        with_people(door, "welcome")
        for page in opened_page(browser):
            page.add_init_script("""
                const add = EventSource.prototype.addEventListener;
                EventSource.prototype.addEventListener = function (kind, hear) {
                    add.call(this, kind, (event) => window.cut || hear(event));
                };
            """)
            page.goto(door.url)
            await_mode(page, "welcome")
            page.evaluate("window.cut = true")
            await_mode(page, "out_of_service")

    def test_cut_stream_is_reopened(self, browser: Browser, door: Door) -> None:
        with_people(door, "welcome")
        for page in opened_page(browser):
            page.add_init_script("""
                const add = EventSource.prototype.addEventListener;
                EventSource.prototype.addEventListener = function (kind, hear) {
                    window.stream = this;
                    add.call(this, kind, (event) => this.cut || hear(event));
                };
            """)
            page.goto(door.url)
            await_mode(page, "welcome")
            page.evaluate("window.stream.cut = true")
            await_mode(page, "out_of_service")
            await_mode(page, "welcome")

    def test_hanging_loop_is_out_of_service(self, browser: Browser, tmp_path: Path) -> None:
        with open_door(tmp_path) as own:
            for page in opened_page(browser):
                page.goto(own.url)
                await_mode(page, "welcome")
                own.stalled = True
                await_mode(page, "out_of_service")
                own.stalled = False
                await_mode(page, "welcome")

    def test_older_page_reloads_after_update(self, browser: Browser, tmp_path: Path) -> None:
        for page in opened_page(browser):
            with open_door(tmp_path) as own:
                page.goto(own.url)
                await_mode(page, "welcome")
                port = int(own.url.rstrip("/").rpartition(":")[2])
            with open_door(tmp_path, {"web.port": port, "web.language": "fr"}):
                expect(page.locator("html")).to_have_attribute("lang", "fr")

    def test_live_picture_is_mirrored(self, browser: Browser, tmp_path: Path) -> None:
        with open_door(tmp_path, {"web.live_picture": True}) as own:
            for page in some(opened_page(browser, bypass_csp=True)):
                page.goto(own.url)
                await_mode(page, "welcome")
                page.wait_for_function("() => document.getElementById('picture').naturalWidth === 640")
                expect(page.locator("#picture")).to_have_css("transform", "matrix(-1, 0, 0, 1, 0, 0)")
                expect(page.locator("footer")).to_contain_text("No picture is kept")
                assert violations(page) == []
                own.camera = LOST
                await_mode(page, "out_of_service")
                expect(page.locator("#picture")).not_to_have_attribute("src", re.compile(".*"))


class TestOperator:
    @pytest.mark.parametrize("name", ["operator", "history", "setup"])
    def test_older_page_reloads_after_update(self, door: Door, page: Page, name: str) -> None:
        served: list[str] = []

        def older_at_first(route: Route) -> None:
            answer = route.fetch()
            text = answer.text()
            served.append(text)
            old = re.sub(r'data-release="\w+', 'data-release="earlier', text)
            route.fulfill(response=answer, body=old if len(served) == 1 else text)

        page.route(f"{door.url}{name}", older_at_first)
        page.goto(f"{door.url}{name}")
        expect(page.locator("body")).to_have_attribute("data-release", re.compile(r"^[0-9a-f]{12}\."))
        assert len(served) == 2

    @pytest.mark.parametrize("language", texts.languages())
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("scene", ["without_mask", "out_of_service"])
    def test_accessible_at_every_size(self, door: Door, audited: Page, size: str, language: str, scene: str) -> None:
        page = audited
        width, height = SIZES[size]
        with_people(door, scene)
        page.set_viewport_size({"width": width, "height": height})
        page.goto(f"{door.url}operator?lang={language}")
        expected = "out of service" if scene == "out_of_service" else "ok"
        expect(page.locator("#health")).to_have_text(texts.texts(language)[f"operator.health.{expected}"])
        page.locator("summary").click()
        fits_across(page)
        assert violations(page) == []

    def test_counts_chart_events_and_system(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        expect(page.locator("#tiles dd")).to_have_text(["10", "7", "2", "1", "0"])
        expect(page.locator("#chart rect")).to_have_count(3)
        page.locator("summary").click()
        expect(page.locator("#hours tr").last.locator("td")).to_have_text([re.compile(":00"), "7", "2", "1", "0", "10"])
        expect(page.locator("#events .what").first).to_have_text("Alarm off")
        for event in ("Person 1 left after 3.4 s: With mask", "Camera lost. The camera sends no pictures."):
            expect(page.locator("#events")).to_contain_text(event)
        for fact in ("a camera made for this test", "litert, 2 threads", "face (", "s ago"):
            expect(page.locator("#system")).to_contain_text(fact)

    def test_events_appear_by_themselves(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        page.wait_for_selector("#events .what")
        door.tell(Event(EventKind.VERDICT, door.ago(0), 4711, Verdict.MASK_WORN_INCORRECTLY))
        page.get_by_text("Person 4711: Badly worn").wait_for()

    def test_french_page_explains_faults_in_french(self, door: Door, page: Page) -> None:
        silent = message("camera.silent", camera="usb:0")
        door.camera = CameraState("usb:0", trouble=silent, last_frame_at=door.ago(200))
        door.tell(Event(EventKind.CAMERA_LOST, door.ago(0), detail=silent))
        page.goto(f"{door.url}operator?lang=fr")
        expect(page.locator("#reasons")).to_have_text("usb:0 n’envoie pas d’images.")
        expect(page.locator("#events .what").first).to_have_text("Caméra perdue. usb:0 n’envoie pas d’images.")

    def test_unreadable_counts_are_no_zeros(self, tmp_path: Path, page: Page) -> None:
        (tmp_path / "counts.db").write_text("this is no database " * 100)
        with open_door(tmp_path, counts=tmp_path / "counts.db") as door:
            page.goto(f"{door.url}operator")
            expect(page.locator("#counts-note")).to_contain_text("Cannot read the counts")
            expect(page.locator("#tiles dd")).to_have_text(["\N{EN DASH}"] * 5)
            expect(page.locator("#chart .none")).to_have_text("")

    def test_a_long_name_breaks_in_a_narrow_window(self, tmp_path: Path, page: Page) -> None:
        page.set_viewport_size({"width": 320, "height": 256})  # 1280 wide at a zoom of 400 %
        with open_door(tmp_path, {"web.door_name": "Donaudampfschifffahrtsgesellschaftshaupteingang"}) as door:
            for path in ("operator", "setup", "history"):
                page.goto(f"{door.url}{path}")
                expect(page.locator("h1")).to_contain_text("Donaudampfschifffahrts")
                fits_across(page)

    def test_events_are_in_order_of_time(self, browser: Browser, tmp_path: Path) -> None:
        with open_door(tmp_path) as own:
            own.tell(
                Event(EventKind.VISIT_STARTED, own.ago(6), 8),
                Event(EventKind.VISIT_ENDED, own.ago(9), 7, Verdict.WITH_MASK, 3.0),
                Event(EventKind.VERDICT, own.ago(4), 8, Verdict.WITH_MASK),
            )
            for page in opened_page(browser):
                page.goto(f"{own.url}operator")
                expect(page.locator("#events .what")).to_have_text(
                    ["Person 8: With mask", "Person 8 arrived", "Person 7 left after 3.0 s: With mask"]
                )

    def test_alarm_without_outputs_is_silent(self, door: Door, page: Page) -> None:
        with_people(door, "without_mask")
        door.more = {"alerts": AlertState()}
        page.goto(f"{door.url}operator")
        expect(page.locator("#system")).to_contain_text("on, but makes no sound; no output is connected")
        door.more = {}

    def test_age_of_picture_in_words(self, door: Door, page: Page) -> None:
        door.camera = CameraState("usb:0", trouble="usb:0 is unplugged.", last_frame_at=door.ago(200))
        page.goto(f"{door.url}operator")
        page.get_by_text("3 minutes ago").wait_for()

    def test_troubles_are_shown_as_text(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        door.troubles = ("<img src=x onerror=alert(1)> is full.",)
        page.get_by_text("<img src=x onerror=alert(1)> is full.").wait_for()
        expect(page.locator("#health")).to_have_text("In service, with a problem")
        door.troubles = ()
        expect(page.locator("#attention")).to_be_hidden()

    def test_tab_order_follows_the_page(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        page.wait_for_selector("#events .what")
        reached = []
        for _ in range(8):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate("(({ className, id, tagName }) => className || id || tagName)(document.activeElement)")
            )
        assert reached == ["skip", "A", "A", "A", "A", "A", "SUMMARY", "events"]

    def test_skip_link_leads_to_counts(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_in_viewport(ratio=1)
        page.keyboard.press("Enter")
        expect(page.locator("#today")).to_be_focused()

    def test_table_opens_from_keyboard(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        page.locator("summary").focus()
        page.keyboard.press("Enter")
        page.locator("#hours-table").wait_for(state="visible")

    def test_unreachable_server_is_reported(self, browser: Browser, tmp_path: Path) -> None:
        for page in some(opened_page(browser, bypass_csp=True)):
            with open_door(tmp_path) as own:
                page.goto(f"{own.url}operator")
                expect(page.locator("#health")).to_have_attribute("data-health", "ok")
            page.get_by_text("No connection to maskgate").wait_for()
            assert violations(page) == []


class TestLogin:
    """From another machine in the building: by an address of this one that is not loopback."""

    @pytest.fixture
    def secured(self, tmp_path: Path) -> Iterator[tuple[str, str]]:
        """Where the screens are, and their token."""
        made = token.make(tmp_path / "token")
        with open_door(tmp_path, {"web.host": "0.0.0.0", "web.token_file": str(tmp_path / "token")}) as own:
            port = own.url.rstrip("/").rpartition(":")[2]
            yield f"http://{own_address()}:{port}/", made

    def test_token_is_asked_once(self, browser: Browser, secured: tuple[str, str]) -> None:
        url, made = secured
        for page in some(opened_page(browser)):
            page.goto(f"{url}setup?lang=en")
            expect(page).to_have_url(f"{url}login?lang=en&page=setup")
            page.keyboard.type("wrong")
            page.keyboard.press("Enter")
            page.get_by_text("This token is not valid.").wait_for()
            page.locator("#token").fill(made)
            page.keyboard.press("Enter")
            page.wait_for_url(f"{url}setup?lang=en")
            page.goto(url)
            await_mode(page, "welcome")
            cookie = page.context.cookies()[0]
            assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
            assert page.evaluate("() => document.cookie") == ""

    def test_kiosk_returns_to_its_page(self, browser: Browser, secured: tuple[str, str]) -> None:
        url, made = secured
        for page in opened_page(browser):
            page.goto(f"{url}?lang=fr")
            page.locator("#token").fill("wrong")
            page.keyboard.press("Enter")
            page.get_by_text("Ce jeton n’est pas valable.").wait_for()
            page.locator("#token").fill(made)
            page.keyboard.press("Enter")
            expect(page).to_have_url(f"{url}?lang=fr")
            expect(page.locator("h1")).to_have_text("Bienvenue")

    @pytest.mark.parametrize("language", texts.languages())
    def test_form_is_accessible(self, browser: Browser, secured: tuple[str, str], language: str) -> None:
        for page in some(opened_page(browser, bypass_csp=True)):
            page.goto(f"{secured[0]}login?lang={language}")
            assert violations(page) == []
            page.keyboard.type("wrong")
            page.keyboard.press("Enter")
            page.locator("#error").wait_for()
            assert violations(page) == []


def own_address() -> str:
    """An address of this machine that is not loopback."""
    said = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    found = next((address for address in said if "." in address), None)
    if found is None:
        pytest.skip("this machine has no address but loopback")
    return found


def test_words_stay_in_their_element(door: Door, page: Page) -> None:
    page.goto(door.url)
    assert json.loads(page.locator("#spoken").text_content() or "")

"""What people see: the pages in a real Chromium, at the sizes they are made for, in every language."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edge.sinks.counts import database
from edge.sinks.web import texts, token
from edge.status import CameraState, SourceKind
from edge.values import BBox, Event, EventKind, Person, Verdict
from tests.stand_ins.browser import browser, violations
from tests.stand_ins.screens import PICTURE, Door, open_door, person

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]

pytestmark = pytest.mark.slow
LONG = 30_000
"""Longest wait for what should come at once, in milliseconds: the machine may be busy."""
SIZES = {"monitor": (1920, 1080), "small screen of a Pi": (800, 480), "phone": (390, 844)}
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


def fits(page: Page) -> bool:
    """Whether all of the page is in view, without scrollbars, and no word is cut."""
    return bool(
        page.evaluate("""() => {
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
    )


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


def heads_outside_the_mirror(page: Page) -> list[str]:
    """Heads and signs that the mirror's edge cuts, by what they are."""
    return list(
        page.evaluate("""() => {
            const mirror = document.querySelector(".mirror").getBoundingClientRect();
            const inside = (box) => box.left >= mirror.left - 1 && box.top >= mirror.top - 1
                && box.right <= mirror.right + 1 && box.bottom <= mirror.bottom + 1;
            return [...document.querySelectorAll(".person use")].slice(1)
                .filter((use) => !inside(use.getBoundingClientRect())).map((use) => use.getAttribute("href"));
        }""")
    )


def width_of_picture(page: Page) -> int:
    """In pixels; 0 before the first has come."""
    return int(page.evaluate("() => document.getElementById('picture').naturalWidth"))


class TestKiosk:
    @pytest.mark.parametrize("language", texts.languages())
    @pytest.mark.parametrize("size", SIZES)
    def test_each_message_is_large_whole_and_accessible(
        self, door: Door, audited: Page, size: str, language: str
    ) -> None:
        page = audited
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.goto(f"{door.url}?lang={language}")
        words = texts.texts(language)
        for scene in SCENES:
            with_people(door, scene)
            await_mode(page, scene)
            assert page.inner_text("h1") == words[f"kiosk.{scene}.headline"]
            assert page.inner_text("#detail") == words[f"kiosk.{scene}.detail"]
            assert fits(page), scene
            assert contrast(page) >= 7, scene
            assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('h1')).fontSize)") >= 52, scene
            assert violations(page) == [], scene

    def test_on_the_seven_inch_screen_letters_can_be_read_from_three_metres(self, door: Door, page: Page) -> None:
        """1 cm of capital height for 3 m, at 154 mm across 800 pixels; capitals are 0.67 of the font's size."""
        page.set_viewport_size({"width": 800, "height": 480})
        page.goto(door.url)
        for scene in SCENES:
            with_people(door, scene)
            await_mode(page, scene)
            size = page.evaluate("parseFloat(getComputedStyle(document.querySelector('h1')).fontSize)")
            assert size * 0.67 * 154 / 800 >= 9.5, scene

    def test_each_message_has_its_own_sign_and_ground(self, door: Door, page: Page) -> None:
        page.goto(door.url)
        seen = set()
        for scene in SCENES:
            with_people(door, scene)
            await_mode(page, scene)
            sign = page.get_attribute("#icon", "href")
            assert page.locator(f"symbol{sign}").count() == 1
            seen.add((sign, page.evaluate("getComputedStyle(document.body).getPropertyValue('--ground')")))
        assert len({sign for sign, _ in seen}) == len({ground for _, ground in seen}) == len(SCENES)

    def test_visitors_are_shapes_that_move_as_in_a_mirror_and_no_picture_is_loaded(
        self, door: Door, page: Page
    ) -> None:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(door.url)
        door.people = (person(1, Verdict.WITHOUT_MASK, x=0, width=64), person(2, Verdict.WITH_MASK, x=576, width=64))
        page.wait_for_function("() => document.querySelectorAll('.person:not(.ghost)').length === 2")
        page.wait_for_timeout(400)
        bare = page.locator(".person.without_mask").bounding_box()
        masked = page.locator(".person.with_mask").bounding_box()
        assert bare
        assert masked
        assert bare["x"] > masked["x"], "who is on the left of the picture stands on the right of the mirror"
        assert page.locator(".person.without_mask use").nth(1).get_attribute("href") == "#missing"
        assert page.locator(".person.with_mask use").nth(1).get_attribute("href") == "#worn"
        assert page.locator("#picture").is_hidden()
        assert not any("picture" in url for url in asked)
        assert all(url.startswith(door.url) for url in asked)

    @pytest.mark.parametrize("size", [*SIZES.values(), (1080, 1920)], ids=str)
    def test_heads_and_signs_stay_in_the_mirror(self, door: Door, page: Page, size: tuple[int, int]) -> None:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.goto(door.url)
        for x, y in ((2, 2), (520, 2), (2, 330), (520, 330)):
            bbox = BBox(x, y, x + 110, y + 140)
            door.people = (Person(1, bbox, Verdict.WITHOUT_MASK, 0, 0),)
            await_mode(page, "without_mask")
            page.wait_for_timeout(500)
            assert heads_outside_the_mirror(page) == [], (x, y)

    def test_the_mirror_is_never_empty_while_it_speaks_to_somebody(self, door: Door, page: Page) -> None:
        page.goto(door.url)
        door.people, door.unseen = (person(1, Verdict.WITHOUT_MASK),), frozenset({1})
        try:
            await_mode(page, "without_mask")
            page.wait_for_selector(".person.without_mask.away")
        finally:
            door.unseen = frozenset()

    def test_far_people_have_feet_on_the_ground(self, door: Door, page: Page) -> None:
        page.goto(door.url)
        door.people = (person(1, Verdict.WITH_MASK, width=20),)
        await_mode(page, "with_mask")
        page.wait_for_timeout(500)
        body = page.locator(".person use").first.bounding_box()
        assert body
        assert body["height"] > 2 * body["width"], "a whole body, not a bust in the air"

    def test_the_second_line_can_be_read_from_three_metres(self, door: Door, page: Page) -> None:
        """6 mm of capital height (7 arc minutes) at 154 mm across 800 pixels; capitals are 0.67 of the font's size."""
        page.set_viewport_size({"width": 800, "height": 480})
        page.goto(door.url)
        for scene in SCENES:
            with_people(door, scene)
            await_mode(page, scene)
            size = page.evaluate("parseFloat(getComputedStyle(document.querySelector('#detail')).fontSize)")
            assert size * 0.67 * 154 / 800 >= 6, scene

    def test_when_nobody_is_there_a_shadow_shows_where_to_stand(self, door: Door, page: Page) -> None:
        page.goto(door.url)
        page.wait_for_selector(".person.ghost", state="attached")

    def test_the_screen_says_what_happens_next_to_those_who_listen(self, door: Door, page: Page) -> None:
        page.goto(door.url)
        assert page.get_attribute(".message", "aria-live") == "polite"
        assert page.locator("main").count() == page.locator("h1").count() == 1

    def test_nothing_moves_for_those_who_asked_for_that(self, browser: Browser, door: Door) -> None:
        with_people(door, "unsure")
        for page in opened_page(browser, reduced_motion="reduce"):
            page.goto(door.url)
            await_mode(page, "unsure")
            assert page.evaluate("document.getAnimations().length") == 0

    def test_the_demo_says_that_it_is_one(self, browser: Browser, tmp_path: Path) -> None:
        with open_door(tmp_path) as one:
            one.more = {"counted": False}
            with_people(one, "with_mask")
            one.camera = CameraState("demo", last_frame_at=one.clock.monotonic() + 60, kind=SourceKind.DEMO)
            for page in opened_page(browser, viewport={"width": 800, "height": 480}):
                page.goto(one.url)
                page.get_by_text("Demo: these people are not at the door").wait_for()
                assert fits(page)
                page.goto(f"{one.url}operator")
                page.get_by_text("demo, nothing is counted").wait_for()

    def test_it_speaks_the_browsers_language_where_that_is_wanted(self, browser: Browser, tmp_path: Path) -> None:
        with open_door(tmp_path, {"web.language": "auto"}) as own:
            for page in opened_page(browser, locale="fr-CH"):
                page.goto(own.url)
                await_mode(page, "welcome")
                assert (page.inner_text("h1"), page.get_attribute("html", "lang")) == ("Bienvenue", "fr")

    def test_it_goes_out_of_service_when_the_daemon_stops_and_comes_back_with_it(
        self, browser: Browser, tmp_path: Path
    ) -> None:
        for page in opened_page(browser):
            with open_door(tmp_path) as own:
                page.goto(own.url)
                await_mode(page, "welcome")
                port = int(own.url.rstrip("/").rpartition(":")[2])
            await_mode(page, "out_of_service")
            with open_door(tmp_path, {"web.port": port}) as own:
                assert own.screens.url
                await_mode(page, "welcome")

    def test_it_goes_out_of_service_when_the_server_falls_silent(self, browser: Browser, door: Door) -> None:
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
            begun = page.evaluate("window.cut = true, performance.now()")
            await_mode(page, "out_of_service")
            assert page.evaluate("performance.now()") - begun < LONG

    def test_it_asks_anew_when_a_stream_was_cut_off_without_a_word(self, browser: Browser, door: Door) -> None:
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

    def test_it_goes_out_of_service_when_the_loop_hangs(self, browser: Browser, tmp_path: Path) -> None:
        with open_door(tmp_path) as own:
            for page in opened_page(browser):
                page.goto(own.url)
                await_mode(page, "welcome")
                own.stalled = True
                await_mode(page, "out_of_service")
                own.stalled = False
                await_mode(page, "welcome")

    def test_an_older_page_loads_itself_anew_after_an_update(self, browser: Browser, tmp_path: Path) -> None:
        for page in opened_page(browser):
            with open_door(tmp_path) as own:
                page.goto(own.url)
                await_mode(page, "welcome")
                port = int(own.url.rstrip("/").rpartition(":")[2])
            with open_door(tmp_path, {"web.port": port, "web.language": "fr"}):
                page.wait_for_function("() => document.documentElement.lang === 'fr'")

    def test_the_live_picture_is_shown_mirrored_where_it_is_allowed(self, browser: Browser, tmp_path: Path) -> None:
        with open_door(tmp_path, {"web.live_picture": True}) as own:
            for page in opened_page(browser, bypass_csp=True):
                page.goto(own.url)
                await_mode(page, "welcome")
                for _ in range(100):
                    own.picture = PICTURE.copy()
                    page.wait_for_timeout(100)
                    if width_of_picture(page):
                        break
                assert width_of_picture(page) == 640
                style = page.evaluate("() => getComputedStyle(document.getElementById('picture')).transform")
                assert style.startswith("matrix(-1")
                assert "No picture is kept" in page.inner_text("footer")
                assert violations(page) == []
                own.camera = LOST
                await_mode(page, "out_of_service")
                assert page.locator("#picture").get_attribute("src") is None


class TestOperator:
    @pytest.mark.parametrize("language", texts.languages())
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("scene", ["without_mask", "out_of_service"])
    def test_it_is_accessible_and_nothing_is_cut(
        self, door: Door, audited: Page, size: str, language: str, scene: str
    ) -> None:
        page = audited
        width, height = SIZES[size]
        with_people(door, scene)
        page.set_viewport_size({"width": width, "height": height})
        page.goto(f"{door.url}operator?lang={language}")
        expected = "out of service" if scene == "out_of_service" else "ok"
        page.wait_for_function("health => document.getElementById('health').dataset.health === health", arg=expected)
        page.locator("summary").click()
        assert page.inner_text("#health") == texts.texts(language)[f"operator.health.{expected}"]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert violations(page) == []

    def test_it_shows_counts_chart_events_and_system(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        page.wait_for_function("() => document.getElementById('total-visits').textContent === '10'")
        assert [page.inner_text(f"#total-{verdict}") for verdict in Verdict] == ["7", "2", "1", "0"]
        assert page.locator("#chart rect").count() == 3
        page.locator("summary").click()
        cells = page.locator("#hours tr").last.locator("td").all_inner_texts()
        assert cells[1:] == ["7", "2", "1", "0", "10"]
        events = page.locator("#events .what").all_inner_texts()
        assert events[0] == "Alarm off"
        assert "Person 1 left after 3.4 s: With mask" in events
        assert "Camera lost. The camera sends no pictures." in events
        system = page.inner_text("#system")
        for fact in ("a camera made for this test", "litert, 2 threads", "face (", "s ago"):
            assert fact in system

    def test_what_happens_appears_by_itself(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        page.wait_for_selector("#events .what")
        door.tell(Event(EventKind.VERDICT, door.ago(0), 4711, Verdict.MASK_WORN_INCORRECTLY))
        page.get_by_text("Person 4711: Badly worn").wait_for()

    def test_how_long_there_has_been_no_picture_is_told_in_words(self, door: Door, page: Page) -> None:
        door.camera = CameraState("usb:0", trouble="usb:0 is unplugged.", last_frame_at=door.ago(200))
        page.goto(f"{door.url}operator")
        page.get_by_text("3 minutes ago").wait_for()

    def test_troubles_are_told_and_cannot_smuggle_in_markup(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        door.troubles = ("<img src=x onerror=alert(1)> is full.",)
        page.get_by_text("<img src=x onerror=alert(1)> is full.").wait_for()
        assert page.inner_text("#health") == "In service, with trouble"
        door.troubles = ()
        page.wait_for_function("() => document.getElementById('attention').hidden")

    def test_a_keyboard_reaches_everything_in_the_order_of_the_page(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        page.wait_for_selector("#events .what")
        reached = []
        for _ in range(7):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate(
                    "document.activeElement.className || document.activeElement.id || document.activeElement.tagName"
                )
            )
        assert reached == ["skip", "A", "A", "A", "A", "SUMMARY", "events"]

    def test_the_skip_link_shows_when_it_is_reached_and_leads_to_the_counts(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        page.keyboard.press("Tab")
        box = page.locator(".skip").bounding_box()
        assert box
        assert box["y"] >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "today"

    def test_the_table_opens_from_the_keyboard(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        page.locator("summary").focus()
        page.keyboard.press("Enter")
        page.locator("#hours-table").wait_for(state="visible")

    def test_a_server_that_is_gone_is_told(self, browser: Browser, tmp_path: Path) -> None:
        for page in opened_page(browser, bypass_csp=True):
            with open_door(tmp_path) as own:
                page.goto(f"{own.url}operator")
                page.wait_for_function("() => document.getElementById('health').dataset.health === 'ok'")
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

    def test_the_token_is_asked_for_once(self, browser: Browser, secured: tuple[str, str]) -> None:
        url, made = secured
        for page in opened_page(browser):
            page.goto(f"{url}operator")
            assert page.url == f"{url}login"
            page.keyboard.type("wrong")
            page.keyboard.press("Enter")
            page.get_by_text("This is not the token.").wait_for()
            page.locator("#token").fill(made)
            page.keyboard.press("Enter")
            page.wait_for_url(f"{url}operator")
            page.goto(url)
            await_mode(page, "welcome")
            cookie = page.context.cookies()[0]
            assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
            assert page.evaluate("() => document.cookie") == ""

    @pytest.mark.parametrize("language", texts.languages())
    def test_its_form_is_accessible(self, browser: Browser, secured: tuple[str, str], language: str) -> None:
        for page in opened_page(browser, bypass_csp=True):
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


def test_the_words_in_the_page_cannot_end_their_element(door: Door, page: Page) -> None:
    page.goto(door.url)
    assert json.loads(page.inner_text("#texts") or page.evaluate("document.getElementById('texts').textContent"))

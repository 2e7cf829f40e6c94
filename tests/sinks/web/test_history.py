"""The history page: the counts of a day, a week or a month, as a page and as CSV."""

from __future__ import annotations

import csv
import io
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from edge.sinks.counts import database
from edge.sinks.web import token
from edge.sinks.web.history import Span, UnknownSpanError, history_of, span
from tests.nonempty import some
from tests.stand_ins.browser import LONG, fits_across, small_targets, violations
from tests.stand_ins.screens import Door, open_door

WEDNESDAY = datetime(2025, 1, 29, 10, 30, tzinfo=timezone.utc)
GAPS = """table => [...table.querySelectorAll("tr")].flatMap((row) => {
  const texts = [...row.children].filter((cell) => cell.offsetWidth).map((cell) => {
    const text = document.createRange();
    text.selectNodeContents(cell);
    return text.getBoundingClientRect();
  });
  return texts.slice(1).map((text, before) => text.left - texts[before].right);
})"""
"""Between texts that stand next to each other, in pixels."""
SIZES = {"laptop": (1280, 800), "small screen": (800, 480), "phone": (390, 844)}


@pytest.fixture(autouse=True)
def paris(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def store(folder: Path, hours: dict[datetime, tuple[int, int]], visits: int = 0) -> Path:
    """Masked and bare visits by hour, and some single visits in the last one."""
    path = folder / "counts.db"
    connection = database.open_for_writing(path)
    connection.execute("INSERT INTO boots (name, wall_offset) VALUES ('a boot', 0)")
    for hour, counts in hours.items():
        at = hour.timestamp() // 3600 * 3600
        row = (at, *counts)
        connection.execute("INSERT INTO hours (boot, hour, with_mask, without_mask) VALUES (1, ?, ?, ?)", row)
    for number in range(visits):
        ended = max(hours).timestamp() + number
        row = (ended - 2.5, ended)
        connection.execute("INSERT INTO visits (boot, started, ended, verdict) VALUES (1, ?, ?, 'with_mask')", row)
    connection.close()
    return path


class TestSpan:
    @pytest.mark.parametrize(
        ("by", "start", "end"),
        [
            ("day", "2025-01-29T00:00:00+01:00", "2025-01-30T00:00:00+01:00"),
            ("week", "2025-01-27T00:00:00+01:00", "2025-02-03T00:00:00+01:00"),
            ("month", "2025-01-01T00:00:00+01:00", "2025-02-01T00:00:00+01:00"),
        ],
    )
    def test_spans_begin_at_local_midnight(self, by: str, start: str, end: str) -> None:
        one = span(by, "2025-01-29", WEDNESDAY)
        assert (one.start.isoformat(), one.end.isoformat()) == (start, end)

    def test_one_before_ends_where_this_begins(self) -> None:
        for by in ("day", "week", "month"):
            one = span(by, "2025-03-30", WEDNESDAY)
            assert one.before.end == one.start

    def test_clock_change_days_are_shorter(self) -> None:
        one = span("day", "2025-03-30", WEDNESDAY)
        assert one.end.astimezone(timezone.utc) - one.start.astimezone(timezone.utc) == timedelta(hours=23)

    def test_today_is_the_default(self) -> None:
        assert span(None, None, WEDNESDAY) == Span.around("day", WEDNESDAY)

    @pytest.mark.parametrize(
        ("by", "at"),
        [("year", None), ("day", "yesterday"), ("day", "2025-02-30"), ("week", "0001-01-01"), ("month", "9999-12-31")],
    )
    def test_other_times_are_refused(self, by: str, at: str | None) -> None:
        with pytest.raises(UnknownSpanError):
            span(by, at, WEDNESDAY)


class TestFigures:
    def test_hours_and_weekdays_are_summed(self, tmp_path: Path) -> None:
        monday, tuesday = (datetime(2025, 1, day, 8, tzinfo=timezone.utc) for day in (27, 28))
        path = store(tmp_path, {monday: (3, 1), tuesday: (6, 0)})
        said = history_of(path, span("week", "2025-01-29", WEDNESDAY), WEDNESDAY)
        assert said["total"]["visits"] == 10
        assert said["total"]["compliance"] == 0.9
        assert {number: one["visits"] for number, one in enumerate(said["hours"]) if one["visits"]} == {9: 10}
        assert [one["visits"] for one in said["weekdays"]] == [4, 6, 0, 0, 0, 0, 0]
        assert [one["compliance"] for one in said["weekdays"][:3]] == [0.75, 1.0, None]

    def test_unfinished_weeks_compare_equal_parts(self, tmp_path: Path) -> None:
        tuesday, thursday = (datetime(2025, 1, day, 8, tzinfo=timezone.utc) for day in (21, 23))
        path = store(tmp_path, {tuesday: (5, 0), thursday: (50, 0)})
        said = history_of(path, span("week", None, WEDNESDAY), WEDNESDAY)
        assert said["partial"] is True
        assert said["before"]["visits"] == 5

    def test_finished_weeks_compare_whole_weeks(self, tmp_path: Path) -> None:
        thursday = datetime(2025, 1, 23, 8, tzinfo=timezone.utc)
        said = history_of(
            store(tmp_path, {thursday: (50, 0)}), span("week", "2025-01-29", WEDNESDAY), WEDNESDAY + timedelta(days=30)
        )
        assert (said["partial"], said["before"]["visits"]) == (False, 50)


def fetched(door: Door, path: str) -> tuple[int, dict[str, str], str]:
    try:
        with urllib.request.urlopen(f"{door.url}{path}", timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    hour = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
    path = store(tmp_path, {hour - timedelta(days=7): (4, 4), hour: (7, 3)}, visits=3)
    with open_door(tmp_path, {"mqtt.door": "front"}, counts=path) as opened:
        yield opened


class TestAddresses:
    def test_figures_are_served(self, door: Door) -> None:
        code, _, text = fetched(door, "api/history?by=week")
        said = json.loads(text)
        assert (code, said["stored"], said["trouble"], said["next"]) == (200, True, None, None)
        assert said["total"]["visits"] == 10

    def test_other_times_are_bad_requests(self, door: Door) -> None:
        assert fetched(door, "api/history?by=year")[0] == 400
        assert fetched(door, "history/hours.csv?at=tomorrow")[0] == 400

    def test_hours_are_a_table_for_programs(self, door: Door) -> None:
        code, headers, text = fetched(door, "history/hours.csv?by=day")
        (row,) = csv.DictReader(io.StringIO(text))
        assert (code, headers["content-type"]) == (200, "text/csv; charset=utf-8")
        today = datetime.now().astimezone()
        assert headers["content-disposition"] == f'attachment; filename="maskgate-front-hours-day-{today:%Y-%m-%d}.csv"'
        assert (row["door"], row["with_mask"], row["visits"], row["compliance"]) == ("front", "7", "10", "0.7")
        assert datetime.fromisoformat(row["start"]).utcoffset() == today.utcoffset()

    def test_visits_are_a_table_for_programs(self, door: Door) -> None:
        rows = list(csv.DictReader(io.StringIO(fetched(door, "history/visits.csv?by=day")[2])))
        assert [(row["door"], row["verdict"], row["seconds"]) for row in rows] == [("front", "with_mask", "2.5")] * 3

    def test_demo_has_no_past(self, tmp_path: Path) -> None:
        with open_door(tmp_path) as opened:
            assert json.loads(fetched(opened, "api/history")[2])["stored"] is False
            assert fetched(opened, "history/hours.csv")[0] == 404

    def test_unreadable_store_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "counts.db").write_text("no store at all")
        with open_door(tmp_path, counts=tmp_path / "counts.db") as opened:
            assert "not a store of maskgate" in json.loads(fetched(opened, "api/history")[2])["trouble"]
            assert fetched(opened, "history/hours.csv")[0] == 503

    def test_past_is_not_open_to_strangers(self, tmp_path: Path) -> None:
        token.make(tmp_path / "web-token")
        with open_door(tmp_path, {"web.token_file": str(tmp_path / "web-token")}) as opened:
            for path in ("api/history", "history/hours.csv", "history/visits.csv"):
                assert fetched(opened, path)[0] == 401


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(accept_downloads=True, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(LONG)
    faults: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    bad = ("Content Security Policy", "is not valid")
    page.on("console", lambda said: faults.append(said.text) if any(word in said.text for word in bad) else None)
    yield page
    context.close()
    assert faults == []


@pytest.mark.slow
class TestPage:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("language", ["en", "fr"])
    def test_accessible_at_every_size(self, browser: Browser, door: Door, language: str, scheme: Any) -> None:
        context = browser.new_context(color_scheme=scheme, bypass_csp=True)  # axe-core brings styles of its own
        page = context.new_page()
        for path in ("history?by=week&", "operator?", "login?", "no/such/page?"):
            page.goto(f"{door.url}{path}lang={language}")
            if path.startswith("history"):
                page.wait_for_selector("#hours-rows tr")
            for width, height in SIZES.values():
                page.set_viewport_size({"width": width, "height": height})
                assert violations(page) == []
                assert small_targets(page) == []
                fits_across(page)
        context.close()

    @pytest.mark.parametrize("language", ["en", "fr"])
    def test_tables_fit_on_a_phone(self, door: Door, page: Page, language: str) -> None:
        for path, table in (("history?by=week&", ".wide"), ("operator?", "details")):
            page.goto(f"{door.url}{path}lang={language}")
            for closed in page.locator("summary").all():
                closed.click()
            expect(page.locator("#hours-table tbody tr").first).to_be_visible()
            for width, gap in ((360, 9.5), (320, 6.5)):
                page.set_viewport_size({"width": width, "height": 740})
                fits_across(page)
                for wide in some(page.locator(table).all()):
                    assert wide.evaluate("table => table.scrollWidth <= table.clientWidth")
                    assert min(wide.evaluate(GAPS)) >= gap

    def test_week_shows_rate_counts_and_change(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        page.get_by_role("link", name="History").click()
        page.click("#spans >> text=Week")
        page.wait_for_selector("#spans a[data-by=week][aria-current]")
        page.wait_for_selector("#hours-rows tr")
        expect(page.locator(".tile.rate dd")).to_have_text(["70%", "7 of 10", "before: 50%"])
        expect(page.locator(".tile.visits:not(.rate) .change")).to_have_text("before: 8 (+2)")
        expect(page.locator("#weekdays-chart rect")).to_have_count(2)

    def test_earlier_and_later_are_opposites(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}history?by=week&lang=fr")
        expect(page.locator("#tiles")).to_contain_text("7 sur 10")
        expect(page.locator("#next")).to_be_hidden()
        page.click("#previous")
        expect(page).to_have_url(re.compile("lang=fr"))
        expect(page.locator("#tiles")).to_contain_text("4 sur 8")
        page.click("#next")
        expect(page.locator("#tiles")).to_contain_text("7 sur 10")
        expect(page.locator("#next")).to_be_hidden()

    def test_download_carries_the_span(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}history?by=month")
        page.wait_for_selector("#hours-rows tr")
        with page.expect_download() as waiting:
            page.click("#hours-csv")
        assert waiting.value.suggested_filename.startswith("maskgate-front-hours-month-")

    def test_empty_periods_show_no_tables(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}history?by=week&at=2024-01-03")
        expect(page.locator("#hours-chart .none")).to_have_text("No visits in this period.")
        expect(page.locator("#hours-table")).to_be_hidden()
        expect(page.locator("#weekdays")).to_be_hidden()

    def test_unknown_pages_lead_back(self, door: Door, page: Page) -> None:
        answer = page.goto(f"{door.url}no/such/page?lang=fr")
        assert answer
        assert answer.status == 404
        expect(page.locator("h1")).to_have_text("Cette page n’existe pas")
        page.click("text=Supervision")
        expect(page).to_have_url(f"{door.url}operator")

    def test_print_leaves_out_controls(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}history")
        page.wait_for_selector("#hours-rows tr")
        page.emulate_media(media="print")
        assert page.pdf()
        for part in ("nav", "#bar", "#print", "#spans"):
            expect(page.locator(part)).to_be_hidden()
        expect(page.locator("#hours-table")).to_be_visible()

    def test_day_that_is_none_is_said(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}history?at=2025-02-30")
        page.wait_for_selector("#reason >> text=There is no such day")

    def test_language_is_kept_between_pages(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        page.click("#languages >> text=Français")
        page.click("text=Historique")
        page.wait_for_selector("text=Par heure de la journée")
        page.click("text=Supervision")
        page.wait_for_selector("text=Aujourd’hui")

    def test_clock_is_the_doors(self, browser: Browser, door: Door) -> None:
        context = browser.new_context(timezone_id="America/New_York")
        page = context.new_page()
        page.goto(f"{door.url}operator")
        now = datetime.now().astimezone()
        minutes = [f"{now + timedelta(minutes=late):%H:%M}" for late in (-1, 0, 1)]
        expect(page.locator("#clock")).to_have_text(re.compile("|".join(minutes)))
        context.close()

    def test_signing_out_closes_every_page(self, tmp_path: Path, page: Page) -> None:
        word = token.make(tmp_path / "web-token")
        with open_door(tmp_path, {"web.token_file": str(tmp_path / "web-token")}) as opened:
            page.goto(f"{opened.url}history?lang=fr")
            expect(page).to_have_url(f"{opened.url}login?lang=fr&page=history")
            page.fill("#token", word)
            page.click("button")
            page.wait_for_url("**/history?lang=fr")
            page.click("text=Se déconnecter")
            page.wait_for_url("**/login?lang=fr")
            page.goto(f"{opened.url}history")
            expect(page).to_have_url(re.compile("/login"))

    def test_the_device_has_no_sign_out(self, door: Door, page: Page) -> None:
        page.goto(f"{door.url}operator")
        expect(page.locator("#signout")).to_be_hidden()

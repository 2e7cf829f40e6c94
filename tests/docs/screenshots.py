"""The pictures of README and docs/how-to, from the pages themselves: ``python -m tests.docs.screenshots`` writes them.

A moment of the demo clip stands in front of the camera, judged by the shipped models; the counts are made up.
"""

from __future__ import annotations

import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Locator, Page, expect, sync_playwright

from edge.cameras.demo import DEMO_CLIP
from edge.config import Config
from edge.sinks.counts import database
from edge.sinks.web import token
from edge.values import Frame, Image, Person, Verdict
from edge.vision.pipeline import load_pipeline
from tests.stand_ins.browser import CHROMIUM, FLAGS
from tests.stand_ins.screens import Door, open_door

IMAGES = Path(__file__).parents[2] / "docs/images"
SECOND = 19.2
"""A moment of the clip with two people."""
QUALITY = 82
LARGEST = 120_000
"""In bytes."""
SETTLE = 600
"""Milliseconds in which figures and charts come to rest."""
OPENS, CLOSES = 7, 19


def main() -> None:
    """Write one picture for each part that docs/how-to explains."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        made = token.make(folder / "web-token")
        settings = {"web.token_file": str(folder / "web-token"), "web.door_name": "Main entrance"}
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = chromium.new_page(viewport={"width": 1180, "height": 820})
        with open_door(folder, settings, counts=counts(folder / "counts.db")) as door:
            door.picture, door.people = moment()
            door.tell_a_day()
            page.goto(f"{door.url}login?page=operator")
            page.fill("#token", made)
            page.click("button")
            operator(page)
            history(page, door)
            set_up(page, door)
            kiosk(page, door)
        chromium.close()


def moment() -> tuple[Image, tuple[Person, ...]]:
    """A picture of the clip, and who is in it."""
    capture = cv2.VideoCapture(str(DEMO_CLIP))
    capture.set(cv2.CAP_PROP_POS_MSEC, SECOND * 1000)
    image = np.asarray(capture.read()[1], np.uint8)
    readings = load_pipeline(Config()).process(Frame(image, SECOND, 0))
    people = [Person(n, one.face.bbox, Verdict(one.label.value), 0, 0) for n, one in enumerate(readings, start=1)]
    return image, tuple(people)


def counts(path: Path) -> Path:
    """Three weeks of visits, more at noon, fewer without a mask each day."""
    connection = database.open_for_writing(path)
    connection.execute("INSERT INTO boots (name, wall_offset) VALUES ('a boot', 0)")
    now = int(time.time()) // 3600 * 3600
    for hour in range(now - 21 * 86400, now + 1, 3600):
        local = datetime.fromtimestamp(hour, timezone.utc).astimezone()
        if OPENS <= local.hour <= CLOSES:
            masked = 6 + 5 * (6 - abs(13 - local.hour)) + (local.day * 7 + local.hour * 5) % 9
            bare = (local.day * 3 + local.hour) % 6 + timedelta(seconds=now - hour).days // 4
            row = (hour, masked, bare, bare // 3)
            connection.execute(
                "INSERT INTO hours (boot, hour, with_mask, without_mask, mask_worn_incorrectly) VALUES (1, ?, ?, ?, ?)",
                row,
            )
    connection.close()
    return path


def operator(page: Page) -> None:
    expect(page.locator("#events .what").first).to_be_visible()
    expect(page.locator("#chart rect").first).to_be_visible()
    keep("operator", page)


def history(page: Page, door: Door) -> None:
    yesterday = datetime.now().astimezone() - timedelta(days=7)
    page.goto(f"{door.url}history?by=week&at={yesterday:%Y-%m-%d}")
    expect(page.locator("#hours-chart rect").first).to_be_visible()
    keep("history", page)


def set_up(page: Page, door: Door) -> None:
    page.goto(f"{door.url}setup")
    page.click("#look")
    page.wait_for_function("() => document.getElementById('preview').naturalWidth > 0")
    expect(page.locator("#advice li").first).to_be_visible()
    keep("camera", page.locator(".camera"))
    page.click("#zone-draw")
    keep("zone", page.locator(".camera"))
    keep("outputs", page.locator(".card").nth(1))
    keep("settings", page.locator(".settings"))


def kiosk(page: Page, door: Door) -> None:
    """The visitors' page on a wide screen with two people, and on a small one with one."""
    first, second = (person.bbox for person in door.people[:2])
    door.people = (Person(1, first, Verdict.WITHOUT_MASK, 0, 0), Person(2, second, Verdict.WITH_MASK, 0, 0))
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(door.url)
    expect(page.locator("body")).to_have_attribute("data-mode", "without_mask")
    keep("kiosk", page)
    door.people = door.people[:1]
    page.set_viewport_size({"width": 800, "height": 480})
    page.goto(door.url)
    expect(page.locator("body")).to_have_attribute("data-mode", "without_mask")
    keep("kiosk-without-mask", page)


def keep(name: str, shown: Page | Locator) -> None:
    """Write one picture as WebP."""
    page = shown if isinstance(shown, Page) else shown.page
    page.wait_for_timeout(SETTLE)
    image = cv2.imdecode(np.frombuffer(shown.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    content = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes()
    assert len(content) <= LARGEST, f"{name}: {len(content)} bytes"
    (IMAGES / f"{name}.webp").write_bytes(content)
    print(IMAGES / f"{name}.webp", len(content))


if __name__ == "__main__":
    main()

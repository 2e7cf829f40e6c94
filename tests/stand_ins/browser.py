"""A real browser for tests of pages: Debian's Chromium, one for the whole session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

LONG = 30_000
"""Longest wait for what should come at once, in milliseconds: the machine may be busy."""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=LONG)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, headless: one for all tests."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def fits_across(page: Page) -> None:
    """Wait until nothing of the page is wider than the window."""
    page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")


def small_targets(page: Page) -> list[str]:
    """Links and fields that are lower than a fingertip is wide (44 px), except the skip link, a line each."""
    found: list[str] = page.evaluate("""() => [...document.querySelectorAll("a, button, input, select, summary")]
        .filter((node) => node.checkVisibility() && !node.classList.contains("skip"))
        .filter((node) => node.getBoundingClientRect().height < 44)
        .map((node) => `${node.outerHTML}: ${node.getBoundingClientRect().height}`)""")
    return found


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it stands, a line each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['help']} ({', '.join(node['html'] for node in one['nodes'])})" for one in found]

"""Documents link to files and headings that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")
LARGEST_PICTURE = 120_000
"""In bytes."""
DOCUMENTS = [
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "edge/**/*.md", ".github/**/*.md")
    for path in sorted(ROOT.glob(pattern))
]


def anchors(document: Path) -> Iterator[str]:
    """Of a document's headings, as GitHub names them."""
    for line in document.read_text("utf-8").splitlines():
        if line.startswith("#"):
            yield re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-")


def broken(document: Path) -> Iterator[str]:
    for link in LINK.findall(document.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    assert list(broken(ROOT / document)) == []


def test_the_index_lists_every_document() -> None:
    index = (ROOT / "docs/README.md").read_text("utf-8")
    listed = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in LINK.findall(index) if "://" not in link}
    documents = {path for path in (ROOT / "docs").rglob("*.md") if path.name != "README.md"}
    assert documents - listed == set()


def test_pictures_are_small() -> None:
    large = {picture.name for picture in (ROOT / "docs/images").iterdir() if picture.stat().st_size > LARGEST_PICTURE}
    assert large == set()

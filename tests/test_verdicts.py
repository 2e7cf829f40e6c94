"""One table says everything about a verdict; every room takes its words, colours and order from it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import edge
from edge import verdicts
from edge.sinks.web import texts
from edge.sinks.web import verdicts as pages
from edge.verdicts import LABELS, MOST_URGENT_FIRST, Label, Verdict, Words

EDGE = Path(edge.__file__).parent
ALLOWED = {"verdicts.py", "sinks/counts/database.py", "sinks/web/pages/kiosk.html"}
"""The table itself; the history of the counts' schema; drawings that the table names."""


def luminance(colour: str) -> float:
    """Of WCAG 2.2."""
    channels = [value / 255 for value in bytes.fromhex(colour[1:])]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_label_is_a_verdict() -> None:
    assert [str(label) for label in LABELS] == [str(verdict) for verdict in Verdict if verdict is not Verdict.UNSURE]


def test_every_verdict_has_a_row() -> None:
    assert list(verdicts.TABLE) == list(Verdict)


def test_unsure_never_alarms() -> None:
    assert not Verdict.UNSURE.alarming
    assert {verdict for verdict in Verdict if verdict.alarming} == {
        Verdict.WITHOUT_MASK,
        Verdict.MASK_WORN_INCORRECTLY,
    }
    assert not any(verdict.alarming and verdict.welcome for verdict in Verdict)


def test_the_kiosk_addresses_the_unmasked_first() -> None:
    assert MOST_URGENT_FIRST == (
        Verdict.WITHOUT_MASK,
        Verdict.MASK_WORN_INCORRECTLY,
        Verdict.UNSURE,
        Verdict.WITH_MASK,
    )


def test_every_language_names_every_verdict() -> None:
    assert len(texts.languages()) >= 2
    for verdict in Verdict:
        assert set(verdict.row.words) == set(texts.languages())


def test_outlines_and_figures_differ() -> None:
    assert len({verdict.row.outline for verdict in Verdict}) == len(Verdict)
    assert len({verdict.row.figure for verdict in Verdict}) == len(Verdict)


@pytest.mark.parametrize("verdict", Verdict)
def test_kiosk_text_has_contrast(verdict: Verdict) -> None:
    assert contrast(verdict.row.colours.ink, verdict.row.colours.ground) >= 7


@pytest.mark.parametrize("verdict", Verdict)
def test_the_kiosk_has_its_drawings(verdict: Verdict) -> None:
    page = (EDGE / "sinks/web/pages/kiosk.html").read_text("utf-8")
    assert f'id="icon-{verdict.row.figure}"' in page
    assert f'id="badge-{verdict.row.figure}"' in page


def test_no_other_file_spells_a_verdict() -> None:
    keys = "|".join(Label)
    spelt = re.compile(rf"""["'.#]({keys})\b|["']((?i:no|with|without) mask\b|(?i:badly worn)["'])""")
    files = [path for path in EDGE.rglob("*") if path.suffix in {".py", ".js", ".css", ".html"}]
    assert len(files) > 80
    spellers = {str(path.relative_to(EDGE)) for path in files if spelt.search(path.read_text("utf-8"))}
    assert spellers - ALLOWED == {"commands/check.py"}, "check.py shows a key in an example only"


def test_unknown_languages_fall_back_to_english() -> None:
    assert pages.words("xx") == pages.words("en")


def test_words_reach_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Verdict.UNSURE.row
    renamed = replace(row, words={**row.words, "en": Words("not sure", "Hm", "Look here")})
    monkeypatch.setattr(verdicts, "TABLE", {**verdicts.TABLE, Verdict.UNSURE: renamed})
    texts.texts.cache_clear()
    try:
        assert texts.texts("en")["operator.verdict.unsure"] == "Not sure"
        assert texts.texts("en")["kiosk.unsure.headline"] == "Hm"
    finally:
        texts.texts.cache_clear()


def test_scripts_get_the_table_in_order() -> None:
    drawings = json.loads(json.dumps(pages.drawings()))
    assert [drawing["key"] for drawing in drawings] == [str(verdict) for verdict in Verdict]

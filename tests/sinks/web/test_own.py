"""The door's own words and logo: what is valid is used, the rest is left out and said."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.board.findings import Machine, State
from edge.config import load
from edge.sinks.web import own
from edge.sinks.web.checks import screens
from edge.sinks.web.own import OwnFolder, read_own

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def words(folder: Path, text: str) -> Path:
    (folder / "words.toml").write_text(text, "utf-8")
    return folder


class TestWords:
    def test_nothing_there_is_nothing_wrong(self, tmp_path: Path) -> None:
        assert read_own(tmp_path / "nowhere").troubles == ()

    def test_name_and_sentences_are_read(self, tmp_path: Path) -> None:
        said = read_own(words(tmp_path, 'name = "Bibliothèque"\n[fr.welcome]\nheadline = "Bonjour"\ndetail = "Entrez"'))
        assert (said.name, said.troubles) == ("Bibliothèque", ())
        assert said.words == {"fr": {"kiosk.welcome.headline": "Bonjour", "kiosk.welcome.detail": "Entrez"}}

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("not toml", "not valid TOML"),
            ("name = 7", "name is not a text"),
            (f'name = "{"x" * 41}"', "has 41 letters"),
            ('[xx.welcome]\nheadline = "Hello"', "'xx' is neither name nor a table of a language"),
            ('en = "Hello"', "'en' is neither name nor a table of a language"),
            ('[en.nowhere]\nheadline = "Hello"', "nowhere.headline is shown nowhere"),
            ('[en.welcome]\ncolour = "red"', "welcome.colour is shown nowhere"),
            ('[en]\nwelcome = "Hello"', "is shown nowhere"),
            ('[en.welcome]\nheadline = ["Hello"]', "welcome.headline is not a text"),
            (f'[en.welcome]\ndetail = "{"x" * 61}"', "has 61 letters"),
            ('[en.welcome]\ndetail = "one\\ntwo"', "line break"),
            ("#" * 20_000, "more than 16 KiB"),
        ],
    )
    def test_invalid_words_are_left_out(self, tmp_path: Path, text: str, said: str) -> None:
        found = read_own(words(tmp_path, text))
        assert (found.name, found.words) == ("", {})
        (trouble,) = found.troubles
        assert said in trouble

    def test_one_bad_line_spares_the_others(self, tmp_path: Path) -> None:
        found = read_own(words(tmp_path, '[en.welcome]\nheadline = "Hello"\ndetail = 3'))
        assert found.words == {"en": {"kiosk.welcome.headline": "Hello"}}


class TestLogo:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("logo.png", PNG),
            ("logo.svg", b'<?xml version="1.0"?><svg></svg>\n'),
            ("logo.webp", b"RIFF\0\0\0\0WEBPVP8 "),
        ],
    )
    def test_pictures_are_served(self, tmp_path: Path, name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        logo = read_own(tmp_path).logo
        assert logo
        assert (logo.content, logo.content_type) == (content, own.LOGOS[name])

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("logo.png", b"<html>", "is not image/png"),
            ("logo.svg", PNG, "is not image/svg+xml"),
            ("logo.webp", PNG, "is not image/webp"),
            ("logo.png", PNG + bytes(262_144), "more than 256 KiB"),
        ],
    )
    def test_other_files_are_left_out(self, tmp_path: Path, name: str, content: bytes, said: str) -> None:
        (tmp_path / name).write_bytes(content)
        found = read_own(tmp_path)
        assert found.logo is None
        assert said in found.troubles[0]

    def test_a_folder_is_no_logo(self, tmp_path: Path) -> None:
        (tmp_path / "logo.png").mkdir()
        assert "not a regular file" in read_own(tmp_path).troubles[0]


def test_changes_are_seen_within_seconds(tmp_path: Path) -> None:
    now = 100.0
    folder = OwnFolder(words(tmp_path, 'name = "A"'), lambda: now)
    before = folder.now
    words(tmp_path, 'name = "Another"')
    assert folder.now is before
    now += own.LOOK_EVERY
    assert folder.now.name == "Another"
    assert folder.now.digest != before.digest


def test_doctor_says_what_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "kiosk").mkdir()
    words(tmp_path / "kiosk", "name = 7")
    config = load(environment={}, overrides={"counts.path": str(tmp_path / "counts.db"), "web.port": 0}).config
    found = [finding for finding in screens(Machine(), config) if finding.state is State.WARNING]
    assert "name is not a text" in found[0].text

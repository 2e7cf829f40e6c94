"""Text files from any editor: with a byte order mark, in the wrong encoding."""

import codecs
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.config import MqttSettings, load
from edge.errors import ConfigError
from edge.files import LARGEST, NotTextError, read_text, replace_text
from edge.sinks.mqtt.account import BrokerError, password
from edge.sinks.web import token

TOML = '[alerts]\nled_pin = 5\n[mqtt]\ndoor = "Zürich"\n'.replace("Zürich", "north")


def saved(path: Path, text: str, encoding: str) -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_byte_order_marks_are_ignored(tmp_path: Path, encoding: str) -> None:
    assert read_text(saved(tmp_path / "a", "ä\n", encoding)) == "ä\n"
    assert load(saved(tmp_path / "b", TOML, encoding), {}).config.alerts.led_pin == 5
    settings = MqttSettings(username="door", password_file=saved(tmp_path / "c", "secret\r\n", encoding))
    assert password(settings) == "secret"


def test_token_files_may_have_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "web-token"
    made = token.make(path)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes().replace(b"\n", b"\r\n"))
    assert token.read(path, "0.0.0.0").opens(made)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_named(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path = saved(tmp_path / "config.toml", mark + TOML, encoding)
    with pytest.raises(ConfigError, match="UTF-16 text; save it as UTF-8"):
        load(path, {})
    with pytest.raises(BrokerError, match="UTF-16"):
        password(MqttSettings(username="door", password_file=path))
    with pytest.raises(ConfigError, match="UTF-16"):
        token.read(path, "0.0.0.0")


def test_other_encodings_name_the_line(tmp_path: Path) -> None:
    with pytest.raises(NotTextError, match="is not UTF-8 text"):
        read_text(saved(tmp_path / "a", "a\nZürich\n", "latin-1"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "is a FIFO, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device, not a file"),
        (Path.mkdir, "is a folder, not a file"),
        (lambda path: path.write_bytes(b"#" * (LARGEST + 1)), "is larger than 1 MB"),
    ],
)
def test_only_small_files_are_read(tmp_path: Path, make: Callable[[Path], Any], said: str) -> None:
    path = tmp_path / "a"
    make(path)
    with pytest.raises(NotTextError, match=said):
        read_text(path)


def test_replacing_follows_no_link(tmp_path: Path) -> None:
    path, precious = tmp_path / "a", tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / ".a.new").symlink_to(precious)
    replace_text(path, "ä")
    assert precious.read_text() == "kept"
    assert (path.read_text("utf-8"), path.is_symlink()) == ("ä", False)
    assert {one.name for one in tmp_path.iterdir()} == {"a", "precious"}


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        replace_text(path, "\ud800")
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["a"]

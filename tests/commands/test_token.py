"""``maskgate token``: made, replaced after a question, listed and revoked; and what a script relies on."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import qr
from edge.cli import main
from edge.sinks.web import token
from tests.nonempty import some


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web-token"


def run(path: Path, *words: str) -> int:
    return main(["token", *words, "--file", str(path)])


def shown(text: str) -> str:
    found = re.findall(r"^Token: (\S{43})\s*$", text, re.MULTILINE)
    assert len(found) == 1, text
    return str(found[0])


def opens(file: Path, word: str) -> bool:
    return token.read(file, "localhost").opens(word)


def on_terminal(path: Path, *words: str, answer: str = "") -> tuple[int, str]:
    """Run the command in a terminal, and type an answer."""
    main_end, terminal = pty.openpty()
    environment = {**os.environ, "HOME": str(path.parent), "PYTHONIOENCODING": "utf-8", "MASKGATE_WEB_HOST": "0.0.0.0"}
    command = [sys.executable, "-m", "edge", "token", *words, "--file", str(path)]
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment) as process:
        os.close(terminal)
        os.write(main_end, answer.encode())
        said = b""
        while True:
            try:
                part = os.read(main_end, 65536)
            except OSError:  # the command has ended
                break
            said += part
    os.close(main_end)
    return process.returncode, said.decode()


def test_scripts_replace_nothing_by_accident(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = token.make(path)
    assert run(path) == 2
    assert "add --yes" in capsys.readouterr().err
    assert opens(path, before)


def test_yes_replaces_without_question(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = token.make(path)
    assert run(path, "--yes") == 0
    said = capsys.readouterr().out
    assert opens(path, shown(said))
    assert not opens(path, before)
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("answer", "code", "kept"), [("n\n", 1, True), ("\n", 1, True), ("\x04", 1, True), ("y\n", 0, False)]
)
def test_people_are_asked_before_replacing(path: Path, answer: str, code: int, kept: bool) -> None:
    before = token.make(path)
    returned, said = on_terminal(path, answer=answer)
    assert (returned, "Replace it? [y/N]" in said, opens(path, before)) == (code, True, kept), said


def test_terminal_shows_readable_code(path: Path) -> None:
    returned, said = on_terminal(path)
    made = shown(said)
    address = re.search(r"Sign in at (\S+/login)", said)
    assert (returned, bool(address)) == (0, True), said
    lines = re.findall(re.escape(qr.BLACK_ON_WHITE) + "(.*?)" + re.escape(qr.RESET), said)
    assert address
    assert read_code(lines) == f"{address[1]}#token={made}"


def read_code(lines: list[str]) -> str:
    """What a camera reads from a terminal's lines."""
    halves = {shown: pair for pair, shown in qr.HALVES.items()}
    rows = [[halves[one][half] for one in line] for line in lines for half in (0, 1)]
    image = np.where(np.array(rows), 0, 255).astype(np.uint8)
    return cv2.QRCodeDetector().detectAndDecode(cv2.resize(image, None, fx=8, fy=8, interpolation=0))[0]


def test_named_tokens_come_and_go(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(path)
    first = shown(capsys.readouterr().out)
    assert run(path, "add", "reception") == 0
    second = shown(capsys.readouterr().out)
    assert run(path, "list") == 0
    listed = capsys.readouterr().out
    assert re.findall(r"^(\S+) +made on \d{4}-\d\d-\d\d \d\d:\d\d  not used yet$", listed, re.MULTILINE) == [
        "default",
        "reception",
    ]
    assert run(path, "list", "--json") == 0
    as_json = capsys.readouterr().out
    assert [one["name"] for one in json.loads(as_json)] == ["default", "reception"]
    assert not {first, second} & {*re.findall(r"[\w-]{43}", listed + as_json)}
    assert run(path, "revoke", "reception") == 0
    assert [one.name for one in token.kept(path)] == ["default"]
    assert opens(path, first)


def test_only_hashes_are_kept(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(path, "add", "reception")
    made = shown(capsys.readouterr().out)
    files = (file for file in path.parent.rglob("*") if file.is_file())
    assert not any(made.encode() in file.read_bytes() for file in some(files))


@pytest.mark.parametrize("name", ["", "../web-token", "a b", "x" * 33, ".hidden", "-x"])
def test_bad_names_are_refused(path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "add", "--file", str(path), "--", name]) == 2
    assert "is not a name for a token" in capsys.readouterr().err
    assert not path.with_name("web-token.d").exists()


def test_names_are_given_once(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(path, "add", "reception")
    made = shown(capsys.readouterr().out)
    assert run(path, "add", "reception") == 2
    assert "maskgate token revoke reception" in capsys.readouterr().err
    assert opens(token.file_of("reception", path), made)


def test_unknown_names_cannot_be_revoked(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(path)
    assert run(path, "revoke", "reception") == 2
    assert "there are: default" in capsys.readouterr().err


def test_open_doors_keep_last_token(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(path)
    monkeypatch.setenv("MASKGATE_WEB_HOST", "0.0.0.0")
    assert run(path, "revoke", "default") == 2
    assert "maskgate token add NAME" in capsys.readouterr().err
    assert path.exists()

"""Tokens that are made, replaced and revoked while a door runs: each change counts at once, without a restart."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from edge.cli import main
from edge.config import load
from edge.sinks.web import token, uses
from edge.sinks.web.lan import lan_address, lan_url
from tests.stand_ins.screens import Door, open_door

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LONG = 20.0


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def code(door: Door, word: str | None = None, session: str | None = None) -> int:
    headers = {"Authorization": f"Bearer {word}"} if word else {}
    headers |= {"Cookie": f"maskgate_session={session}"} if session else {}
    return httpx.get(f"{door.url}api/status", headers=headers, timeout=LONG).status_code


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "web-token"


@pytest.fixture
def door(tmp_path: Path, path: Path) -> Iterator[Door]:
    """A door that was started without a token."""
    with open_door(tmp_path, {"web.token_file": str(path)}) as opened:
        yield opened


def test_first_token_closes_running_door(door: Door, path: Path) -> None:
    assert code(door) == 200
    made = token.make(path)
    assert (code(door), code(door, made)) == (401, 200)


def listed(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str | None]:
    """When each token was last used, as ``maskgate token list`` says."""
    capsys.readouterr()
    assert main(["token", "list", "--json", "--file", str(path)]) == 0
    return {one["name"]: one["used_at"] for one in json.loads(capsys.readouterr().out)}


def test_list_shows_when_each_was_used(door: Door, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token.make(path)
    named, unused = (token.file_of(name, path) for name in ("reception", "spare"))
    word, _ = token.make(named), token.make(unused)
    before = datetime.now(timezone.utc).replace(microsecond=0)
    until(lambda: code(door, word) == 200)
    assert code(door, session=token.read(path, "localhost").session) == 200
    until(lambda: all(listed(path, capsys)[name] for name in ("default", "reception")))
    used = listed(path, capsys)
    assert used["spare"] is None
    assert before <= datetime.fromisoformat(str(used["reception"])) <= datetime.now(timezone.utc)


def test_replaced_token_was_not_used_yet(door: Door, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = token.make(path)
    until(lambda: code(door, first) == 200 and listed(path, capsys)["default"])
    os.utime(path, (time.time() + 60,) * 2)  # as one that was made a minute later
    assert listed(path, capsys)["default"] is None


def test_uses_outlive_the_door(tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    word = token.make(path)
    with open_door(tmp_path, {"web.token_file": str(path)}) as door:
        until(lambda: code(door, word) == 200)
    assert listed(path, capsys)["default"]
    assert main(["token", "list", "--file", str(path)]) == 0
    assert "last used on" in capsys.readouterr().out


def test_damaged_uses_are_begun_again(tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    word = token.make(path)
    file = uses.path_of(load().config.counts)
    file.parent.mkdir(parents=True)
    file.write_text('{"default": 7}')
    assert listed(path, capsys)["default"] is None
    with open_door(tmp_path, {"web.token_file": str(path)}) as door:
        until(lambda: code(door, word) == 200)
    assert listed(path, capsys)["default"]


def test_new_token_voids_earlier_sessions(door: Door, path: Path) -> None:
    first = token.make(path)
    session = token.read(path, "localhost").session
    assert (code(door, first), code(door, session=session)) == (200, 200)
    second = token.make(path)
    assert (code(door, first), code(door, session=session), code(door, second)) == (401, 401, 200)


def test_named_tokens_are_revoked_alone(door: Door, path: Path) -> None:
    first = token.make(path)
    named = token.make(token.file_of("reception", path))
    assert (code(door, first), code(door, named)) == (200, 200)
    token.file_of("reception", path).unlink()
    assert (code(door, first), code(door, named)) == (200, 401)


def test_each_token_has_its_session(door: Door, path: Path) -> None:
    token.make(path)
    named = token.make(token.file_of("reception", path))
    answer = httpx.post(f"{door.url}login", data={"token": named}, timeout=LONG)
    session = answer.cookies["maskgate_session"]
    assert code(door, session=session) == 200
    token.file_of("reception", path).unlink()
    assert code(door, session=session) == 401


def test_revoked_token_ends_its_stream(door: Door, path: Path) -> None:
    keeper, named = token.make(path), token.make(token.file_of("reception", path))
    with (
        httpx.stream("GET", f"{door.url}events", headers={"Authorization": f"Bearer {named}"}, timeout=LONG) as ending,
        httpx.stream("GET", f"{door.url}events", headers={"Authorization": f"Bearer {keeper}"}, timeout=LONG) as going,
    ):
        assert (ending.status_code, going.status_code) == (200, 200)
        going_on = going.iter_lines()
        next(going_on)
        token.file_of("reception", path).unlink()
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in ending.iter_lines():
                pass
        assert any(line.startswith("data: ") for line in going_on)


def test_first_token_ends_open_streams(door: Door, path: Path) -> None:
    with httpx.stream("GET", f"{door.url}events", timeout=LONG) as ending:
        token.make(path)
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in ending.iter_lines():
                pass


def test_network_stays_shut_without_tokens(tmp_path: Path, path: Path) -> None:
    made = token.make(path)
    with open_door(tmp_path, {"web.host": "0.0.0.0", "web.token_file": str(path)}) as door:
        assert code(door, made) == 200
        path.unlink()
        assert (code(door), code(door, made)) == (401, 401)


def test_damaged_file_changes_no_token(door: Door, path: Path) -> None:
    made = token.make(path)
    assert code(door, made) == 200
    path.write_text("not a hash\n")
    assert (code(door), code(door, made)) == (401, 200)


def test_named_tokens_alone_suffice(tmp_path: Path, path: Path) -> None:
    made = token.make(token.file_of("reception", path))
    with open_door(tmp_path, {"web.host": "0.0.0.0", "web.token_file": str(path)}) as door:
        assert (code(door), code(door, made)) == (401, 200)


def test_earlier_releases_file_is_read(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(f"sha256 {token._digest('word').hex()}\n")
    assert [one.name for one in token.kept(path)] == ["default"]
    assert token.find_at(path, "localhost")["default"].opens("word")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_state_folders_owner_owns_named_tokens(path: Path) -> None:
    path.parent.mkdir()
    os.chown(path.parent, 1234, 1234)
    file = token.file_of("reception", path)
    token.make(file)
    assert [(one.stat().st_uid, one.stat().st_mode & 0o777) for one in (file, file.parent)] == [
        (1234, 0o600),
        (1234, 0o700),
    ]


def test_scanned_code_signs_in(door: Door, path: Path, browser: Browser) -> None:
    from playwright.sync_api import expect

    made = token.make(path)
    page = browser.new_page()
    page.goto(f"{door.url}login#token={made}")
    page.wait_for_url(f"{door.url}operator")
    expect(page.locator("h1")).to_be_visible()
    page.go_back()
    assert made not in page.url
    page.close()


class TestAddress:
    def test_loopback_has_no_other_address(self) -> None:
        assert lan_url("127.0.0.1", 8080) is None

    def test_named_address_is_kept(self) -> None:
        assert lan_url("192.168.1.20", 8080) == "http://192.168.1.20:8080/"

    def test_network_address_is_found(self) -> None:
        address = lan_address()
        if address is None:
            pytest.skip("this machine has no network")
        assert not address.startswith("127.")
        assert lan_url("0.0.0.0", 80) == f"http://{address}:80/"

    def test_greeting_names_network_address(self, tmp_path: Path, path: Path) -> None:
        token.make(path)
        with open_door(tmp_path, {"web.host": "0.0.0.0", "web.token_file": str(path)}) as door:
            greeting = door.screens.greeting
            assert greeting
            port = door.url.rstrip("/").rpartition(":")[2]
            assert f"From other machines: {lan_url('0.0.0.0', int(port))}" in greeting

    def test_greeting_on_loopback_is_short(self, door: Door) -> None:
        assert "other machines" not in (door.screens.greeting or "")

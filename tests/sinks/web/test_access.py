"""Who may look: the device itself, its kiosk, and anyone with a token."""

from __future__ import annotations

import os
import pwd
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edge import cli
from edge.sinks.web import gate, guard, loopback, token
from edge.status import CameraState
from tests.sinks.web.helpers import LONG, exchange, until
from tests.stand_ins.clock import ManualClock
from tests.stand_ins.screens import Door, open_door


class TestNetwork:
    @pytest.mark.parametrize("path", ["/", "/operator", "/api/status", "/events", "/metrics", "/nowhere"])
    def test_without_the_token_nothing_is_shown(self, stranger: httpx.Client, path: str) -> None:
        answer = stranger.get(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")

    def test_refusals_carry_every_strict_header(self, stranger: httpx.Client) -> None:
        refused = [stranger.get("/", headers={"Authorization": "Bearer x"}) for _ in range(6)]
        assert {answer.status_code for answer in refused} == {401, 429}
        for answer in (*refused, stranger.get("/operator", headers={"Accept": "text/html"})):
            assert gate.HEADERS.items() <= dict(answer.headers).items()

    def test_refusals_come_in_the_language_asked_for(self, stranger: httpx.Client) -> None:
        assert "Il manque le jeton" in stranger.get("/?lang=fr").text
        assert "pas le bon jeton" in stranger.get("/?lang=fr", headers={"Authorization": "Bearer x"}).text
        assert stranger.post("/login?lang=fr", content=b"x").text == (
            "Ce n’est pas le formulaire de la page de connexion.\n"
        )
        assert stranger.put("/login?lang=fr").text == "Seuls GET, HEAD et POST sont acceptés.\n"
        other_site = stranger.post("/login?lang=fr", headers={"Origin": "http://evil.example"})
        assert other_site.text == "Ce formulaire vient d’un autre site.\n"

    def test_browsers_get_the_form(self, stranger: httpx.Client) -> None:
        answer = stranger.get("/operator", headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (303, "login?page=operator")
        assert stranger.get("/login").status_code == 200
        assert stranger.get("/static/operator.css").status_code == 200

    def test_the_token_opens_everything(self, stranger: httpx.Client, made: tuple[Path, str]) -> None:
        headers = {"Authorization": f"Bearer {made[1]}"}
        assert [stranger.get(path, headers=headers).status_code for path in ("/", "/api/status")] == [200, 200]

    @pytest.mark.parametrize("wrong", ["wrong", "é" * 40, "a" * 5000])
    def test_a_wrong_token_gets_401(self, stranger: httpx.Client, wrong: str) -> None:
        assert stranger.get("/", headers={"Authorization": b"Bearer " + wrong.encode()}).status_code == 401

    def test_tokens_in_addresses_are_ignored(self, stranger: httpx.Client, made: tuple[Path, str]) -> None:
        assert stranger.get(f"/api/status?token={made[1]}").status_code == 401

    def test_the_cookie_is_protected(self, stranger: httpx.Client, made: tuple[Path, str]) -> None:
        answer = stranger.post("/login", data={"token": made[1]}, headers={"Origin": "http://door1.local:8080"})
        assert (answer.status_code, answer.headers["location"]) == (303, "operator")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert made[1] not in cookie
        session = cookie.split(";")[0]
        assert stranger.get("/operator", headers={"Cookie": session}).status_code == 200
        assert stranger.get("/operator", headers={"Cookie": session[:-1] + "x"}).status_code == 401

    def test_another_token_makes_the_cookie_void(self, made: tuple[Path, str]) -> None:
        before = token.read(made[0], "0.0.0.0")
        token.make(made[0])
        assert not token.read(made[0], "0.0.0.0").admits(before.session)

    def test_the_form_reports_wrong_tokens(self, stranger: httpx.Client) -> None:
        answer = stranger.post("/login", data={"token": "wrong"})
        assert answer.status_code == 401
        assert "This token is not valid." in answer.text
        assert "set-cookie" not in answer.headers

    def test_only_guesses_have_to_wait(self, stranger: httpx.Client, made: tuple[Path, str]) -> None:
        guesses = [stranger.get("/", headers={"Authorization": "Bearer x"}).status_code for _ in range(12)]
        assert guesses[:5] == [401] * 5
        assert guesses[-1] == 429
        wrong = stranger.get("/", headers={"Authorization": "Bearer x"})
        assert int(wrong.headers["retry-after"]) >= 1
        assert "Wait" in stranger.post("/login", data={"token": "x"}).text
        assert stranger.post("/login", data={"token": made[1]}).status_code == 303
        assert stranger.get("/", headers={"Authorization": f"Bearer {made[1]}"}).status_code == 200

    def test_health_is_open_but_terse(self, lan: Door, stranger: httpx.Client, made: tuple[Path, str]) -> None:
        lan.camera = CameraState("usb:0", trouble="usb:0 is unplugged.", last_frame_at=lan.ago(1))
        answer = until(lambda: (got := stranger.get("/health")).status_code == 503 and got)
        assert answer.json() == {"status": "out of service"}
        told = stranger.get("/health", headers={"Authorization": f"Bearer {made[1]}"})
        assert told.json()["reasons"] == ["usb:0 is unplugged."]

    @pytest.mark.parametrize("path", ["/operator", "/api/status", "/metrics", "/picture", "/events", "/"])
    def test_a_loopback_address_is_no_token(self, lan: Door, path: str) -> None:
        assert httpx.get(f"{lan.url}{path[1:]}", timeout=LONG).status_code == 401

    def test_loopback_needs_the_token_too(self, tmp_path: Path, made: tuple[Path, str]) -> None:
        with open_door(tmp_path, {"web.token_file": str(made[0])}) as door:
            assert httpx.get(f"{door.url}operator", timeout=LONG).status_code == 401
            right = {"Authorization": f"Bearer {made[1]}"}
            assert httpx.get(f"{door.url}operator", headers=right, timeout=LONG).status_code == 200

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
    def test_proxied_requests_need_a_token(self, door: Door, header: str) -> None:
        answer = httpx.get(f"{door.url}api/status", headers={header: "127.0.0.1"}, timeout=LONG)
        assert (answer.status_code, "maskgate token" in answer.text) == (403, True)


class TestKiosk:
    """The device's own browser, known by the user who runs it: here, the user who runs the tests."""

    @pytest.fixture
    def lan(self, tmp_path: Path, made: tuple[Path, str]) -> Iterator[Door]:
        user = pwd.getpwuid(os.geteuid()).pw_name
        settings = {"web.host": "0.0.0.0", "web.token_file": str(made[0]), "web.kiosk_user": user}
        with open_door(tmp_path, settings) as opened:
            yield opened

    @pytest.mark.parametrize("path", ["", "operator", "api/status"])
    def test_it_needs_no_token(self, lan: Door, path: str) -> None:
        assert httpx.get(f"{lan.url}{path}", timeout=LONG).status_code == 200

    def test_only_the_devices_names_are_served(self, lan: Door) -> None:
        assert httpx.get(f"{lan.url}operator", headers={"Host": "evil.example"}, timeout=LONG).status_code == 401

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
    def test_forwarded_requests_are_not_local(self, lan: Door, header: str) -> None:
        assert httpx.get(f"{lan.url}api/status", headers={header: "127.0.0.1"}, timeout=LONG).status_code == 401

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
    def test_other_local_users_need_the_token(self, lan: Door) -> None:
        request = b"GET /operator HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert exchange(lan, request).startswith(b"HTTP/1.1 200 ")
        os.seteuid(65534)
        try:
            assert exchange(lan, request).startswith(b"HTTP/1.1 401 ")
        finally:
            os.seteuid(0)


class TestOwner:
    @pytest.mark.parametrize(
        ("listening", "dialled", "seen"),
        [("127.0.0.1", "127.0.0.1", "127.0.0.1"), ("::1", "::1", "::1"), ("::", "127.0.0.1", "::ffff:127.0.0.1")],
    )
    def test_it_is_whoever_dialled(self, listening: str, dialled: str, seen: str) -> None:
        family = socket.AF_INET6 if ":" in listening else socket.AF_INET
        with socket.create_server((listening, 0), family=family, dualstack_ipv6=listening == "::") as server:
            with socket.create_connection((dialled, server.getsockname()[1]), LONG):
                accepted, client = server.accept()
                ends = loopback.End(*client[:2]), loopback.End(*accepted.getsockname()[:2])
                assert ends[0].address == seen
                assert loopback.made_by(*ends) == os.geteuid()
            assert loopback.made_by(*ends) is None
            accepted.close()

    @pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::1", "nonsense", ""])
    def test_another_machine_has_none_here(self, address: str) -> None:
        assert loopback.made_by(loopback.End(address, 4711), loopback.End("127.0.0.1", 8080)) is None

    def test_no_kernel_table_knows_nobody(self, tmp_path: Path) -> None:
        ends = loopback.End("127.0.0.1", 1), loopback.End("127.0.0.1", 2)
        assert loopback.made_by(*ends, tables=tmp_path) is None


class TestLimiter:
    def test_the_wait_doubles_and_is_forgotten(self) -> None:
        clock = ManualClock()
        limiter = guard.Limiter(clock)
        waits = []
        for _ in range(16):
            limiter.wrong("10.0.0.1")
            waits.append(limiter.wait("10.0.0.1"))
            clock.advance(waits[-1] + 1)
        assert waits[:8] == [0, 0, 0, 0, 1, 2, 4, 8]
        assert waits[-1] == 300
        clock.advance(guard.FORGOTTEN_AFTER)
        limiter.wrong("10.0.0.1")
        assert limiter.wait("10.0.0.1") == 0

    def test_another_address_is_not_held_up(self) -> None:
        limiter = guard.Limiter(ManualClock())
        for _ in range(10):
            limiter.wrong("10.0.0.1")
        assert limiter.wait("10.0.0.2") == 0

    def test_ipv6_hosts_share_their_guesses(self) -> None:
        limiter = guard.Limiter(ManualClock())
        for number in range(10):
            limiter.wrong(f"2001:db8::{number:x}")
        assert limiter.wait("2001:db8::ffff") > 0
        assert limiter.wait("2001:db8:1::1") == 0

    def test_many_guessers_all_wait(self) -> None:
        clock = ManualClock()
        limiter = guard.Limiter(clock)
        for number in range(guard.GLOBAL_TRIES):
            limiter.wrong(f"10.1.0.{number}")
        assert limiter.wait("10.2.0.1") > 0
        clock.advance(guard.GLOBAL_PERIOD)
        assert limiter.wait("10.2.0.1") == 0

    def test_its_memory_is_bounded(self) -> None:
        limiter = guard.Limiter(ManualClock())
        for number in range(3 * guard.MOST_ADDRESSES):
            limiter.wrong(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        assert len(limiter._records) == guard.MOST_ADDRESSES


class TestToken:
    def run(self, *arguments: str) -> int:
        return cli.main(["token", *arguments])

    def test_only_the_tokens_hash_is_kept(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "new folder" / "token"
        assert self.run("--file", str(path)) == 0
        said = capsys.readouterr().out
        shown = re.findall(r"^Token: (\S{43})$", said, re.MULTILINE)
        assert len(shown) == 1
        assert "/login" in said
        assert shown[0] not in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert token.read(path, "0.0.0.0").opens(shown[0])

    def test_another_makes_the_one_before_void(self, tmp_path: Path) -> None:
        first, second = token.make(tmp_path / "token"), token.make(tmp_path / "token")
        secret = token.read(tmp_path / "token", "0.0.0.0")
        assert (secret.opens(first), secret.opens(second)) == (False, True)

    def test_the_folders_owner_owns_the_token(self, tmp_path: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can give files away")
        os.chown(tmp_path, 1234, 1234)
        token.make(tmp_path / "token")
        assert (tmp_path / "token").stat().st_uid == 1234

    def test_unwritable_places_are_explained(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "file").write_text("")
        assert self.run("--file", str(tmp_path / "file" / "token")) == 5
        said = f"Cannot write the token file {tmp_path}/file/token: File exists ({tmp_path}/file); name another"
        assert said in capsys.readouterr().err

    def test_logs_never_show_it(self, made: tuple[Path, str]) -> None:
        assert repr(token.read(made[0], "0.0.0.0")) == "Secret()"


class TestDoorName:
    def test_heads_the_operator_page(self, tmp_path: Path) -> None:
        with open_door(tmp_path, {"web.door_name": "North <entrance>"}) as door:
            page = httpx.get(f"{door.url}operator").text
        assert "<h1>North &lt;entrance&gt; <span>Operator</span></h1>" in page

    def test_is_maskgate_unless_set(self, tmp_path: Path) -> None:
        with open_door(tmp_path) as door:
            assert "<h1>maskgate <span>Operator</span></h1>" in httpx.get(f"{door.url}operator").text

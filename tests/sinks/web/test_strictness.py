"""What the server refuses, and the headers of every answer."""

from __future__ import annotations

import html
import re
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.errors import ConfigError
from edge.messages import message, translated
from edge.sinks.web import app, gate, guard, server
from tests.nonempty import some
from tests.sinks.web.helpers import LONG, exchange, exchange_until_cut_off, idle_connections, is_open, port_of, until
from tests.stand_ins.screens import Door, open_door


class TestStrictness:
    @pytest.mark.parametrize(
        "path", ["/", "/operator", "/login", "/health", "/api/status", "/static/kiosk.js", "/nowhere"]
    )
    def test_every_answer_carries_strict_headers(self, client: httpx.Client, path: str) -> None:
        headers = client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert set(policy.values()) <= {"'none'", "'self'"}
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        assert "server" not in headers

    @pytest.mark.parametrize(
        ("request_line", "headers", "code"),
        [
            ("GET /events HTTP/1.0", "Host: localhost", 200),
            ("HEAD / HTTP/1.1", "Host: localhost", 200),
            ("POST /login HTTP/1.1", "Host: localhost\r\nContent-Length: 7\r\n\r\ntoken=x", 303),
            ("POST /login HTTP/1.1", "Host: localhost\r\nContent-Length: 0", 400),
            ("POST /login HTTP/1.1", "Host: localhost\r\nOrigin: http://evil.example", 403),
            ("GET /nowhere HTTP/1.1", "Host: localhost", 404),
            ("DELETE / HTTP/1.1", "Host: localhost", 405),
            ("GET / HTTP/1.1", "Host: evil.example", 421),
            ("GET /metrics HTTP/1.1", "Host: localhost", 500),
        ],
    )
    def test_every_refusal_has_all_headers(self, tmp_path: Path, request_line: str, headers: str, code: int) -> None:
        def fail() -> tuple[bytes, str]:
            raise RuntimeError("a fault made for this test")

        with open_door(tmp_path, extra={"/metrics": fail}) as door:
            exact = f"{request_line}\r\nConnection: close\r\n{headers}\r\n\r\n".encode()
            with socket.create_connection(("127.0.0.1", port_of(door)), timeout=LONG) as connection:
                connection.sendall(exact)
                answer = connection.recv(65536).lower()
        assert answer.startswith(f"http/1.1 {code} ".encode())
        for name, value in gate.HEADERS.items():
            assert f"\r\n{name}: {value}\r\n".lower().encode() in answer

    @pytest.mark.parametrize("language", ["en", "fr"])
    @pytest.mark.parametrize(
        ("headers", "code", "key"),
        [
            ({"Host": "evil.example"}, 421, "access.host"),
            ({"X-Forwarded-For": "192.168.1.9"}, 403, "access.proxy"),
            ({}, 500, "access.failed"),
        ],
    )
    def test_browsers_get_refusals_as_pages(
        self, tmp_path: Path, headers: dict[str, str], code: int, key: str, language: str
    ) -> None:
        def fail() -> tuple[bytes, str]:
            raise RuntimeError("a fault made for this test")

        with (
            open_door(tmp_path, {"web.door_name": "North"}, extra={"/below/page": fail}) as door,
            httpx.Client(base_url=door.url, timeout=LONG, headers=headers) as client,
        ):
            answer = client.get(f"/below/page?lang={language}", headers={"Accept": "text/html,*/*"})
            page = answer.text
            assert (answer.status_code, answer.headers["content-type"]) == (code, "text/html; charset=utf-8")
            assert f'<html lang="{language}">' in page
            assert html.escape(translated(message(key), language)) in page
            assert "North" not in page
            assert gate.HEADERS.items() <= dict(answer.headers).items()
            for address in some(re.findall(r'(?:href|src)="([^"]+)"', page)):
                assert client.get(str(answer.url.join(address))).status_code == 200
            assert client.get(f"/below/page?lang={language}").headers["content-type"] == "text/plain; charset=utf-8"

    def test_pages_load_nothing_from_elsewhere(self, client: httpx.Client) -> None:
        for path in ("/", "/operator", "/login"):
            page = client.get(path).text
            assert re.findall(r'(?:src|href|action)="(?:/|[^"]*:)[^"]*"', page) == []
            assert "style=" not in page
            assert re.findall(r"\son\w+=", page) == []
            assert [tag for tag in re.findall(r"<script[^>]*>", page) if "src=" not in tag] in (
                [],
                ['<script id="texts" type="application/json">', '<script id="verdicts" type="application/json">'],
                ['<script id="spoken" type="application/json">', '<script id="verdicts" type="application/json">'],
            )
        for name in ("kiosk.css", "operator.css", "base.css", "kiosk.js", "operator.js"):
            assert "//" not in re.sub(r"http://www\.w3\.org\S*|/\*.*?\*/|//.*", "", client.get(f"/static/{name}").text)

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:80", "127.8.8.8"])
    def test_a_loopback_name_is_answered(self, client: httpx.Client, host: str) -> None:
        assert client.get("/", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.7:8080", "[::1", ""])
    def test_other_names_for_here_are_refused(self, client: httpx.Client, host: str) -> None:
        answer = client.get("/api/status", headers={"Host": host})
        assert answer.status_code == 421
        assert "localhost" in answer.text

    def test_forms_from_other_sites_are_refused(self, client: httpx.Client) -> None:
        answer = client.post("/login", data={"token": "x"}, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 403

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE"])
    def test_other_methods_are_not_understood(self, client: httpx.Client, method: str) -> None:
        assert client.request(method, "/").status_code == 405

    @pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/picture/"])
    def test_only_what_is_there_is_served(self, door: Door, path: str) -> None:
        answer = exchange(door, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert answer.split()[1] in (b"404", b"307")
        assert b"import" not in answer

    @pytest.mark.parametrize(
        "request_bytes",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
            b"GET / HTTP/9.9\r\n\r\n",
            b"\r\n\r\nnonsense\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        ],
    )
    def test_malformed_http_is_refused(self, door: Door, client: httpx.Client, request_bytes: bytes) -> None:
        assert exchange(door, request_bytes).startswith(b"HTTP/1.1 4")
        assert client.get("/health").status_code == 200

    def test_headers_without_end_are_cut_off(self, door: Door, client: httpx.Client) -> None:
        answer = exchange_until_cut_off(door, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000)
        assert b" 200 " not in answer
        assert client.get("/health").status_code == 200

    def test_overlong_bodies_are_refused(self, client: httpx.Client) -> None:
        assert client.post("/login", content=b"token=" + b"a" * 1_000_000).status_code == 400

    def test_endless_requests_are_cut_off(self, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        httpx.get(f"{door.url}health", timeout=LONG)
        monkeypatch.setattr(server, "REQUEST_WITHIN", 0.3)
        assert exchange_until_cut_off(door, b"GET / HTTP/1.1\r\nHost: local") == b""
        assert exchange_until_cut_off(door, b"") == b""

    def test_idle_connections_leave_files_free(
        self, door: Door, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.get("/health")
        monkeypatch.setattr(server, "MOST_OPEN", 20)
        monkeypatch.setattr(server, "RESERVED", 5)
        with idle_connections(door, 60) as idle:
            until(lambda: sum(map(is_open, idle)) <= 20)
            assert sum(map(is_open, idle)) >= 15
        assert until(lambda: client.get("/health").status_code == 200)

    def test_others_cannot_block_the_kiosk(
        self, door: Door, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.get("/health")
        monkeypatch.setattr(server, "MOST_CONNECTIONS", 10)
        monkeypatch.setattr(server, "MOST_OPEN", 20)
        monkeypatch.setattr(guard.Guard, "is_kiosk", lambda _, client, server: client.address != "127.0.0.7")
        with idle_connections(door, 60, source="127.0.0.7") as idle:
            until(lambda: sum(map(is_open, idle)) <= 20)
            assert httpx.get(f"{door.url}health", timeout=LONG).status_code == 200

    def test_a_failing_page_spares_the_others(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        def fail() -> tuple[bytes, str]:
            raise RuntimeError("a fault made for this test")

        with open_door(tmp_path, extra={"/metrics": fail}) as door:
            for _ in range(3):
                answer = httpx.get(f"{door.url}metrics", timeout=LONG)
                assert (answer.status_code, "Traceback" in answer.text) == (500, False)
            assert httpx.get(f"{door.url}health").status_code == 200
        assert [record.getMessage() for record in caplog.records].count(
            "The page /metrics failed (RuntimeError: a fault made for this test); the door is still watched."
        ) == 1

    def test_repeated_faults_are_logged_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(_: object, request: Any, error: object) -> None:
            raise RuntimeError(request.url.path)

        monkeypatch.setattr(app.Site, "_absent", fail)
        with open_door(tmp_path) as door, httpx.Client(base_url=door.url, timeout=LONG) as client:
            assert {client.get(f"/{number}").status_code for number in range(20)} == {500}
        assert len([record for record in caplog.records if "failed" in record.getMessage()]) == 1

    def test_malformed_requests_are_not_page_faults(
        self, door: Door, client: httpx.Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        chunked = b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        for page in (b"/login", b"/nowhere"):
            answer = exchange(door, chunked.replace(b"/login", page) + b"5\r\ntoken\r\n4\r\n=x\r\n0\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 4")
        assert client.get("/health").status_code == 200
        assert "failed" not in caplog.text

    def test_requests_cannot_forge_log_lines(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(*_: object) -> None:
            raise RuntimeError("a fault made for this test")

        monkeypatch.setattr(app.Site, "_absent", fail)
        with open_door(tmp_path) as door:
            exchange(door, b"GET /a%0amaskgate:%20all%20is%20well%1b[2K HTTP/1.0\r\nHost: localhost\r\n\r\n")
        (said,) = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
        assert said.isprintable()

    def test_further_addresses_can_be_added(self, tmp_path: Path) -> None:
        with open_door(tmp_path, extra={"/metrics": lambda: (b"frames 7\n", "text/plain; version=0.0.4")}) as door:
            answer = httpx.get(f"{door.url}metrics", timeout=LONG)
        assert (answer.text, answer.headers["content-type"]) == ("frames 7\n", "text/plain; version=0.0.4")


class TestRefusals:
    """What keeps the screens from opening, in a sentence each."""

    def refusal(self, tmp_path: Path, **settings: Any) -> str:
        with pytest.raises(ConfigError) as refused, open_door(tmp_path, {f"web.{k}": v for k, v in settings.items()}):
            pass
        return str(refused.value)

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "door1.local"])
    def test_an_open_network_without_token(self, tmp_path: Path, host: str) -> None:
        assert "maskgate token --file" in self.refusal(tmp_path, host=host, token_file=str(tmp_path / "absent"))

    def test_another_file_as_token_file(self, tmp_path: Path) -> None:
        (tmp_path / "notes").write_bytes(b"hunter2\xff\n")
        assert "not a token file" in self.refusal(tmp_path, host="0.0.0.0", token_file=str(tmp_path / "notes"))

    def test_a_folder_as_token_file(self, tmp_path: Path) -> None:
        assert "is a folder, not a file" in self.refusal(tmp_path, host="0.0.0.0", token_file=str(tmp_path))

    def test_a_language_that_does_not_exist(self, tmp_path: Path) -> None:
        assert "en, fr, auto" in self.refusal(tmp_path, language="tlh")

    def test_readable_token_files_are_warned_of(
        self, tmp_path: Path, made: tuple[Path, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        made[0].chmod(0o644)
        with open_door(tmp_path, {"web.host": "0.0.0.0", "web.token_file": str(made[0])}):
            pass
        assert any(f"chmod 600 {made[0]}" in record.getMessage() for record in caplog.records)

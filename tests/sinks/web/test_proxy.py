"""Real proxies on the device, before the screens: what they pass on is a stranger's until it shows the token."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Response, expect

from edge.sinks.web import token
from edge.values import Verdict
from tests.stand_ins.broker import free_port, wait_for
from tests.stand_ins.screens import PICTURE, Door, open_door, person

ROOT = Path(__file__).parents[3]
PATH = f"{os.environ['PATH']}:/usr/sbin"
NGINX, CADDY, STUNNEL = (shutil.which(name, path=PATH) for name in ("nginx", "caddy", "stunnel"))
SHOWN = ("", "operator", "api/status", "metrics", "picture", "events")
LONG = 30

needs_nginx = pytest.mark.skipif(NGINX is None, reason="needs nginx: apt install nginx-light")
needs_caddy = pytest.mark.skipif(CADDY is None, reason="needs Caddy: apt install caddy")
needs_stunnel = pytest.mark.skipif(STUNNEL is None, reason="needs stunnel: apt install stunnel4")


@pytest.fixture
def made(tmp_path: Path) -> str:
    return token.make(tmp_path / "web-token")


@pytest.fixture
def door(tmp_path: Path, made: str) -> Iterator[Door]:
    """As the documentation has it: only the device itself is served, and there is a token."""
    settings = {"web.token_file": str(tmp_path / "web-token"), "web.live_picture": True}
    with open_door(tmp_path, settings, extra={"/metrics": lambda: (b"frames 7\n", "text/plain")}) as opened:
        wait_for(lambda: _answers(f"{opened.url}health"))
        yield opened


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for localhost, with its key behind it."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=localhost"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=DNS:localhost"], cwd=folder, check=True, capture_output=True
    )
    both = folder / "door1.pem"
    both.write_text((folder / "cert").read_text() + (folder / "key").read_text())
    return both


@pytest.fixture
def plain_nginx(door: Door, tmp_path: Path) -> Iterator[str]:
    """nginx with nothing but ``proxy_pass``."""
    port = free_port()
    site = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{_port(door)}; }} }}"
    with _nginx(tmp_path, site):
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def tunnel(door: Door, tmp_path: Path, certificate: Path) -> Iterator[str]:
    """A TLS tunnel, which adds nothing to a request."""
    port, file = free_port(), tmp_path / "stunnel.conf"
    file.write_text(
        f"foreground = yes\npid =\nsyslog = no\n[door]\naccept = 127.0.0.1:{port}\n"
        f"connect = 127.0.0.1:{_port(door)}\ncert = {certificate}\n"
    )
    with _running([str(STUNNEL), str(file)], f"https://127.0.0.1:{port}/health"):
        yield f"https://127.0.0.1:{port}/"


@pytest.fixture
def documented_nginx(door: Door, tmp_path: Path, certificate: Path) -> Iterator[str]:
    port = free_port()
    site = _documented("nginx").replace("listen 443", f"listen {port}").replace("door1.example", "localhost")
    site = site.replace(":8080", f":{_port(door)}")
    site = re.sub(r"(ssl_certificate(?:_key)?) .*;", rf"\1 {certificate};", site)
    with _nginx(tmp_path, site):
        yield f"https://localhost:{port}/"


@pytest.fixture
def documented_caddy(door: Door, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    site = _documented("caddyfile").replace("door1.example", f"https://localhost:{port}")
    alone = "{\n admin off\n skip_install_trust\n auto_https disable_redirects\n grace_period 1s\n}\n"
    (tmp_path / "Caddyfile").write_text(alone + site.replace(":8080", f":{_port(door)}"))
    command = [str(CADDY), "run", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]
    with _running(command, f"https://localhost:{port}/health", {"HOME": str(tmp_path)}):
        yield f"https://localhost:{port}/"


def _documented(language: str) -> str:
    """The settings that docs/evidence/security.md gives."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs/evidence/security.md").read_text(), re.DOTALL)
    return block


@contextmanager
def _nginx(folder: Path, site: str, health: str = "health") -> Iterator[None]:
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n"
        + "".join(
            f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + f"{site}\n}}\n"
    )
    scheme, port = ("https" if "ssl" in site else "http"), re.findall(r"listen (?:127.0.0.1:)?(\d+)", site)[0]
    with _running(
        [str(NGINX), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"], f"{scheme}://localhost:{port}/{health}"
    ):
        yield


@contextmanager
def _running(command: list[str], health: str, environment: dict[str, str] | None = None) -> Iterator[None]:
    process = subprocess.Popen(command, env=os.environ | (environment or {}), stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _answers(health) or process.poll() is not None)
        assert process.poll() is None
        yield
    finally:
        process.terminate()
        process.wait(LONG)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, verify=False, timeout=LONG).status_code in (200, 503)
    except httpx.TransportError:
        return False


def _soon(found: Iterator[str] | Iterator[bytes]) -> str | bytes:
    """The first that is found, within the time that a page waits before it says that the server is gone."""
    began = time.monotonic()
    one = next(found)
    assert time.monotonic() - began < 5
    return one


def _port(door: Door) -> int:
    return urlsplit(door.url).port or 0


def _codes(url: str, **headers: str) -> dict[str, int]:
    with httpx.Client(base_url=url, verify=False, headers=headers, timeout=LONG) as client:
        codes = {}
        for path in SHOWN:
            with client.stream("GET", path) as answer:
                codes[path] = answer.status_code
        return codes


NOTHING = dict.fromkeys(SHOWN, 401)
EVERYTHING = dict.fromkeys(SHOWN, 200)


@needs_nginx
def test_a_bare_proxy_lets_nobody_in(plain_nginx: str, made: str) -> None:
    assert _codes(plain_nginx) == NOTHING
    assert _codes(plain_nginx, Authorization=f"Bearer {made}") == EVERYTHING


@needs_stunnel
def test_a_tls_tunnel_lets_nobody_in(tunnel: str, made: str) -> None:
    assert _codes(tunnel, Host="localhost") == NOTHING
    assert _codes(tunnel, Host="127.0.0.1", Authorization=f"Bearer {made}") == EVERYTHING


class Documented:
    """What must hold of a proxy that is set up as docs/evidence/security.md says."""

    def test_nobody_enters_without_the_token(self, proxy: str, made: str) -> None:
        assert _codes(proxy) == NOTHING
        assert _codes(proxy, Authorization=f"Bearer {made}") == EVERYTHING

    def test_guessers_behind_it_block_nobody(self, proxy: str, made: str) -> None:
        guesses = [httpx.get(proxy, headers={"Authorization": "Bearer x"}, verify=False).status_code for _ in range(8)]
        assert (guesses[0], guesses[-1]) == (401, 429)
        assert _codes(proxy, Authorization=f"Bearer {made}") == EVERYTHING

    def test_the_form_works_through_it(self, proxy: str, made: str) -> None:
        with httpx.Client(base_url=proxy, verify=False, timeout=LONG) as browser:
            origin = {"Origin": proxy.rstrip("/")}
            assert browser.post("login", data={"token": made}, headers=origin).status_code == 303
            assert browser.get("operator").status_code == 200

    def test_streams_pass_through_it_live(self, proxy: str, made: str, door: Door) -> None:
        headers = {"Authorization": f"Bearer {made}"}
        with httpx.Client(base_url=proxy, verify=False, headers=headers, timeout=LONG) as client:
            with client.stream("GET", "events") as answer:
                lines = answer.iter_lines()
                assert _soon(line for line in lines if "welcome" in line)
                door.people = (person(1, Verdict.WITHOUT_MASK),)
                assert _soon(line for line in lines if '"without_mask"' in line)
            with client.stream("GET", "picture") as answer:
                parts = answer.iter_bytes()
                next(parts)
                door.picture = PICTURE.copy()
                assert _soon(part for part in parts if b"image/jpeg" in part)


@needs_nginx
class TestNginx(Documented):
    @pytest.fixture
    def proxy(self, documented_nginx: str) -> str:
        return documented_nginx


@needs_caddy
class TestCaddy(Documented):
    @pytest.fixture
    def proxy(self, documented_caddy: str) -> str:
        return documented_caddy


@pytest.fixture
def below_a_path(door: Door, tmp_path: Path) -> Iterator[str]:
    """nginx that serves the door at /door1/, as the documentation has it."""
    port = free_port()
    location = _documented("nginx-path").replace(":8080", f":{_port(door)}")
    with _nginx(tmp_path, f"server {{ listen 127.0.0.1:{port}; {location} }}", health="door1/health"):
        yield f"http://127.0.0.1:{port}/door1/"


@needs_nginx
@pytest.mark.slow
class TestBelowPath:
    @pytest.fixture
    def page(self, browser: Browser, below_a_path: str) -> Iterator[Page]:
        """One that fails the test if anything is loaded from elsewhere, or not at all."""
        context = browser.new_context()
        page = context.new_page()
        faults: list[str] = []

        def look(answer: Response) -> None:
            if answer.status >= 400 or not answer.url.startswith(below_a_path):
                faults.append(f"{answer.status} {answer.url}")

        page.on("response", look)
        yield page
        context.close()
        assert faults == []

    def sign_in(self, page: Page, url: str, made: str) -> None:
        page.goto(url)
        page.fill("#token", made)
        page.click("button")

    def test_kiosk_hears_the_door(self, page: Page, below_a_path: str, made: str, door: Door) -> None:
        self.sign_in(page, below_a_path, made)
        expect(page).to_have_url(below_a_path)
        door.people = (person(1, Verdict.WITHOUT_MASK),)
        expect(page.locator("body")).to_have_attribute("data-mode", "without_mask")
        page.wait_for_function("() => document.getElementById('picture').naturalWidth > 0")

    def test_operator_pages_work(self, page: Page, below_a_path: str, made: str, door: Door) -> None:
        self.sign_in(page, f"{below_a_path}operator?lang=fr", made)
        expect(page.locator("#system")).to_contain_text("litert")
        page.click("nav >> text=Historique")
        expect(page).to_have_url(f"{below_a_path}history?lang=fr")
        expect(page.locator("#reason")).to_contain_text("Aucune visite")
        page.click("nav >> text=Réglages")
        page.click("#look")
        page.wait_for_function("() => document.getElementById('preview').naturalWidth > 0")
        page.click("#mute-short")
        expect(page.locator("#said")).to_contain_text("5 min")
        page.click("text=Se déconnecter")
        expect(page).to_have_url(f"{below_a_path}login?lang=fr")
        assert page.context.cookies() == []

    def test_cookie_holds_below_the_path_only(self, page: Page, below_a_path: str, made: str) -> None:
        self.sign_in(page, below_a_path, made)
        expect(page).to_have_url(below_a_path)
        assert [cookie["path"] for cookie in page.context.cookies()] == ["/door1"]


@needs_nginx
@pytest.mark.slow
class TestFrames:
    @pytest.mark.parametrize("named", [True, False])
    def test_named_origins_may_frame_the_pages(self, browser: Browser, tmp_path: Path, named: bool) -> None:
        port = free_port()
        origin = f"http://127.0.0.1:{port}"
        settings = {"web.frame_ancestors": [origin] if named else []}
        with open_door(tmp_path, settings) as door:
            frame = f"""'<iframe src="{door.url}"></iframe>'"""
            with _nginx(tmp_path, f"default_type text/html; server {{ listen 127.0.0.1:{port}; return 200 {frame}; }}"):
                page = browser.new_context().new_page()
                refusals: list[str] = []
                page.on("console", lambda said: refusals.append(said.text) if "frame-ancestors" in said.text else None)
                page.goto(origin)
                if named:
                    expect(page.frame_locator("iframe").locator("h1")).to_have_text("Welcome")
                else:
                    wait_for(lambda: page.wait_for_timeout(50) or refusals)
                page.context.close()

    def test_tls_cookies_reach_foreign_frames(self, tmp_path: Path, made: str) -> None:
        settings = {"web.token_file": str(tmp_path / "web-token"), "web.frame_ancestors": ["https://home.example"]}
        with open_door(tmp_path, settings) as door:
            wait_for(lambda: _answers(f"{door.url}health"))
            proto = {"X-Forwarded-Proto": "https"}
            cookie = httpx.post(f"{door.url}login", data={"token": made}, headers=proto).headers["set-cookie"]
            assert "SameSite=none; Secure" in cookie
            plain = httpx.post(f"{door.url}login", data={"token": made}).headers["set-cookie"]
            assert "SameSite=strict" in plain
            assert "Secure" not in plain

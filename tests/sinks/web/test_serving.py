"""Taking the port, serving the door, and ending."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.board.findings import Machine
from edge.commands import doctor
from edge.config import load
from edge.errors import ConfigError
from edge.messages import translated
from tests.sinks.web.helpers import LONG, free_port, port_of, until
from tests.stand_ins.screens import Door, open_door


class TestPort:
    def test_busy_ports_are_taken_when_free(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            opened = open_door(tmp_path, {"web.port": port})
            door = opened.__enter__()
            assert door.screens.url is None
            assert f"port {port} is in use" in (door.screens.trouble or "")
            assert "Alerts go on" in caplog.text
            assert caplog.text.count("in use") == 1
        until(lambda: door.screens.url)
        assert door.screens.trouble is None
        assert httpx.get(f"{door.url}health", timeout=LONG).status_code == 200
        opened.__exit__(None, None, None)

    @pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
    def test_foreign_addresses_are_a_warning(self, tmp_path: Path, made: tuple[Path, str], host: str) -> None:
        with open_door(tmp_path, {"web.host": host, "web.token_file": str(made[0])}) as door:
            trouble = door.screens.trouble or ""
            assert f"{host} is not an address of this machine" in trouble
            assert f"{host} n’est pas une adresse de cette machine ; donnez à web.host" in translated(trouble, "fr")

    def test_ipv6_works(self, tmp_path: Path) -> None:
        with open_door(tmp_path, {"web.host": "::1"}) as door:
            if door.screens.trouble:
                pytest.skip("this machine has no IPv6")
            assert door.url.startswith("http://[::1]:")
            assert httpx.get(f"{door.url}health", timeout=LONG).status_code == 200

    def test_closing_early_or_twice_is_fine(self, tmp_path: Path) -> None:
        with open_door(tmp_path) as door:
            pass
        door.screens.close()


class TestShortage:
    def test_status_is_told_without_spare_descriptors(self, client: httpx.Client) -> None:
        assert client.get("api/status").status_code == httpx.codes.OK
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        try:
            answer = client.get("api/status?lang=fr")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert answer.status_code == httpx.codes.OK, answer.text
        assert answer.json()["temperature"] is None


class TestDoctor:
    """What ``maskgate doctor`` says of the screens."""

    def finding(self, tmp_path: Path, **settings: Any) -> tuple[str, str, str | None]:
        overrides = {f"web.{key}": value for key, value in settings.items()}
        config = load(environment={"HOME": str(tmp_path)}, overrides=overrides).config
        found = next(one for one in doctor.examine(Machine(), config) if one.name == "screens")
        return found.state.value, found.text, found.remedy

    def test_a_free_port_is_well(self, tmp_path: Path) -> None:
        port = free_port()
        assert self.finding(tmp_path, port=port) == ("ok", f"at http://127.0.0.1:{port}/", None)

    def test_maskgates_own_port_is_fine(self, tmp_path: Path, door: Door) -> None:
        assert self.finding(tmp_path, port=port_of(door))[0] == "ok"

    def test_busy_ports_are_a_warning(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=1) as other:
            state, text, remedy = self.finding(tmp_path, port=other.getsockname()[1])
        assert (state, "is in use" in text) == ("warning", True)
        assert remedy
        assert "web.port" in remedy

    def test_missing_tokens_name_the_command(self, tmp_path: Path) -> None:
        state, text, remedy = self.finding(tmp_path, host="0.0.0.0", token_file=str(tmp_path / "t"), port=free_port())
        assert (state, "will not start" in text) == ("problem", True)
        assert remedy == f"maskgate token --file {tmp_path / 't'}"


@pytest.mark.slow
class TestDaemon:
    """The real daemon on the demo clip."""

    @pytest.fixture
    def started(self, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
        port = free_port()
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "MASKGATE_CAMERA_LOOP": "true",
            "MASKGATE_WEB_PORT": str(port),
        }
        command = [sys.executable, "-m", "edge", "run", "--source", "demo"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            yield process, f"http://127.0.0.1:{port}/"
            process.kill()

    def answered(self, url: str) -> bool:
        try:
            return httpx.get(f"{url}health").status_code == 200
        except httpx.TransportError:
            return False

    def test_it_serves_and_ends_cleanly(self, started: tuple[subprocess.Popen[str], str]) -> None:
        process, url = started
        until(lambda: self.answered(url))
        until(lambda: httpx.get(f"{url}api/status").json()["events"])
        with httpx.stream("GET", f"{url}events", timeout=LONG) as answer:
            lines = answer.iter_lines()
            state = next(line for line in lines if line.startswith("data: "))
            assert "mode" in json.loads(state.removeprefix("data: "))
            process.send_signal(signal.SIGTERM)
            assert "event: bye" in list(lines)
        assert process.wait(LONG) == 0
        assert process.stdout
        assert f"Watch it at {url} (for visitors) and {url}operator (for you)." in process.stdout.read()

    def test_fast_recordings_are_not_served(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "edge", "run", "--source", "demo", "--max-frames", "5"]
        environment = {**os.environ, "HOME": str(tmp_path), "MASKGATE_WEB_PORT": "0"}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert "Watch it" not in ran.stdout

    def test_first_lines_say_where_to_watch(self, tmp_path: Path) -> None:
        options = ["--source", "demo", "--loop", "--port", "0", "--max-frames", "5"]
        environment = {**os.environ, "HOME": str(tmp_path)}
        command = [sys.executable, "-m", "edge", "run", *options]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        first = "\n".join(ran.stdout.splitlines()[:3])
        assert re.search(r"Watch it at http://127\.0\.0\.1:\d+/ ", first)
        assert ran.stderr == "", "the runtime's own notes stay off the terminal"

    def test_the_server_is_imported_late(self) -> None:
        code = "import sys, edge.door.wiring, edge.sinks.web.sink; print({'uvicorn', 'starlette'} & set(sys.modules))"
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ran.stdout == "set()\n"


def test_nonsense_settings_are_refused(tmp_path: Path) -> None:
    for key, value in {"web.port": 70000, "web.host": "", "web.live_picture": "perhaps"}.items():
        with pytest.raises(ConfigError, match=key):
            load(environment={"HOME": str(tmp_path)}, overrides={key: value})

"""No secret of a camera's address, however it is spelt, in anything that maskgate says, shows or sends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from edge.board.findings import Machine
from edge.cameras import checks
from edge.cameras.address import has_no_host, scheme_of, shown
from edge.cameras.choose import await_camera
from edge.clock import SystemClock
from edge.config import load
from edge.config.show import as_json, as_toml
from edge.errors import CameraError, ConfigError
from tests.stand_ins.broker import MOSQUITTO, Broker, Listener, free_port, wait_for

FIRST, SECOND = "Sesam", "Oeffne"
"""Both halves of the password."""
DEAD = "127.0.0.1:9"
"""Where nobody answers: each attempt fails at once."""
NAMES = ("password", "pwd", "pass", "passwd", "psw", "pw", "token", "auth", "key", "api_key", "loginpas", "secret")

odd = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=3) | st.sampled_from(
    [*"/#?@:%&=+;,!$'\"\\ ~[]{}|^`<>", "\t", "%2F", "%23", "://", "//", "@@", "ä", "\u2028"]
)
passwords = st.builds("".join, st.tuples(st.just(FIRST), odd, st.just(SECOND)))
schemes = st.sampled_from(
    ["rtsp", "rtsps", "http", "https", "RTSP", "Http", "rtmp", "srt", "onvif", "rtsp:", "", "RtSp:/"]
)


@st.composite
def addresses(draw: st.DrawFn) -> str:
    """An address with the password in one of the places where cameras take it."""
    password, scheme, space = draw(passwords), draw(schemes), draw(st.sampled_from(["", "", " ", "\n"]))
    name = draw(st.sampled_from(NAMES))
    place = draw(
        st.sampled_from(
            [
                f"//admin:{password}@{DEAD}/live",
                f"//{password}@{DEAD}/live",
                f"//admin:12/{password}@{DEAD}/live",
                f"//{DEAD}/user=admin&{name}={password}&channel=1",
                f"//{DEAD}/user=admin_{name}={password}_channel=1.sdp",
                f"//{DEAD}/live/{password}/main?x=1",
                f"//{DEAD}/live?user=admin&{name}={password}",
                f"//{DEAD}/live#{name}={password}",
                f"//{DEAD}\\{name}={password}",
                f"admin:{password}@{DEAD}/live",
            ]
        )
    )
    separator = ":" if scheme and not scheme.endswith((":", "/")) and place.startswith("//") else ""
    return f"{space}{scheme}{separator}{place}"


def is_told(text: str) -> bool:
    return FIRST in text or SECOND in text


@given(addresses())
@hypothesis_settings(max_examples=500, deadline=None)
def test_addresses_show_scheme_host_and_port(address: str) -> None:
    said = shown(address)
    assert re.fullmatch(r"[a-z+.-]+://(127\.0\.0\.1:9|\*\*\*)|\*\*\*", said), said
    assert shown(said) == said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("rtsp://admin:p@ss@cam.local:554/live", "rtsp://cam.local:554"),
        ("RTSP://admin:pass@cam.local/live", "rtsp://cam.local"),
        ("http://cam/video?user=a&pwd=b", "http://cam"),
        ("rtsp://10.0.0.5:554/user=admin&password=geheim", "rtsp://10.0.0.5:554"),
        ("rtsp://user:pw@[fe80::1%25eth0]:554/live", "rtsp://[fe80::1%25eth0]:554"),
        ("rtsp://user:pw@[2001:db8::1]:554/live", "rtsp://[2001:db8::1]:554"),
        ("rtsp://user:pw@[bad/live", "rtsp://***"),
        ("rtsp://user:pw@cam:70000/live", "rtsp://***"),
        ("rtsp://admin:12/34@cam/live", "rtsp://***"),
        ("rtsp://admin:a\\b@cam/live", "rtsp://***"),
        ("rtsp://admin:a b@cam/live", "rtsp://***"),
        ("/videos/door.mp4", "/videos/door.mp4"),
        ("/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0",) * 2,
        ("usb:0", "usb:0"),
        ("csi:1", "csi:1"),
        ("demo", "demo"),
        ("user:geheim@cam/live", "***"),
        ("//cam/live/geheim", "***"),
    ],
)
def test_what_is_shown_of_a_source(source: str, said: str) -> None:
    assert shown(source) == said


@given(addresses())
@example(f"rtsp://admin:{FIRST}#{SECOND}@{DEAD}/live")
@example(f"RTSP://admin:{FIRST} {SECOND}@{DEAD}/live")
@example(f"http://{DEAD}/live?loginpas={FIRST}{SECOND}")
@hypothesis_settings(max_examples=60, deadline=None)
@pytest.mark.slow
def test_no_command_and_no_camera_tells(address: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with standard_error(Path(folder, "errors")) as heard:
            said = everything_said_of(address, folder)
        said += heard.read_text("utf-8", "replace")
    assert not is_told(said), said


def everything_said_of(address: str, home: str) -> str:
    """By ``config``, ``doctor``, and the camera itself, or why it is refused."""
    try:
        settings = load(environment={"HOME": home}, overrides={"camera.source": address})
    except ConfigError as error:
        return str(error)
    told = [as_toml(settings, origins=True), json.dumps(as_json(settings))]
    told += [str(finding) for finding in checks.camera(Machine(Path(home)), settings.config)]
    try:
        choice = await_camera(settings.config.camera, SystemClock())
        told += [choice.camera.name, *choice.why]
        choice.camera.read()
    except (CameraError, ConfigError) as error:
        told.append(str(error))
    return "\n".join(told)


@contextmanager
def standard_error(heard: Path) -> Iterator[Path]:
    """What is written to descriptor 2, by C libraries, too."""
    with heard.open("wb") as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield heard
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@pytest.mark.parametrize("character", "/#?")
def test_errors_explain_password_escapes(character: str) -> None:
    address = f"rtsp://admin:{FIRST}{character}{SECOND}@cam/live"
    assert scheme_of(address) == "rtsp"
    assert has_no_host(address)
    said = everything_said_of(address, "/")
    assert "# as %23" in said
    assert not is_told(said)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "{}"],
        ["{}"],
        ["run", "--sorce={}"],
        ["run", "--max-frames", "{}"],
        ["run", "--max-frames", "1", "--source", "{}"],
        ["counts", "--by", "{}"],
        ["doctor", "{}"],
    ],
)
@pytest.mark.parametrize("address", [f"RTSP://admin:{FIRST}\\{SECOND}@{DEAD}/", f"admin:{FIRST}'{SECOND}@{DEAD}"])
def test_wrong_command_lines_are_not_repeated(arguments: list[str], address: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge", *(word.format(address) for word in arguments)]
    home = os.environ | {"HOME": str(tmp_path)}
    ended = subprocess.run(command, capture_output=True, text=True, env=home, timeout=60, check=False)
    assert ended.returncode in (2, 3), ended.stderr
    assert not is_told(ended.stdout + ended.stderr), ended.stderr


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("mqtt", f'host = "mqtt://admin:{FIRST}{SECOND}@broker"'),
        ("mqtt", f'host = "admin:{FIRST}{SECOND}@broker"'),
        ("web", f'host = "http://admin:{FIRST}{SECOND}@door/"'),
        ("mqtt", f'username = "door"\npassword_file = "{FIRST}{SECOND}"'),
        ("web", f'token_file = "{FIRST}{SECOND}"'),
        ("camera", f'source = ["rtsp://admin:{FIRST}{SECOND}@cam/"]'),
        ("camera", f'source = "rtsp://admin:{FIRST}\\u0000{SECOND}@cam/"'),
        ("camera", f'source = "rtsp://admin:{FIRST}\\{SECOND}@cam/"'),
        ("camera", f"source = rtsp://admin:{FIRST}{SECOND}@cam/"),
        ("camera", f'"rtsp://admin:{FIRST}{SECOND}@cam/" = 1'),
    ],
)
def test_a_wrong_setting_is_not_repeated(section: str, line: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[{section}]\n{line}\n")
    with pytest.raises(ConfigError) as refused:
        load(file, {"HOME": str(tmp_path)})
    assert not is_told(str(refused.value)), refused.value


@pytest.mark.skipif(MOSQUITTO is None, reason="needs a broker: apt install mosquitto")
@pytest.mark.parametrize(
    "address",
    [
        f"rtsp://admin:{FIRST} {SECOND}@{DEAD}/live",
        f"RTSP://admin:{FIRST}\\{SECOND}@{DEAD}/live",
        f"http://admin:12@{DEAD}/live@{FIRST}/{SECOND}",
        f"rtsp://{DEAD}/user=admin&password={FIRST}{SECOND}&channel=1",
        f"http://{DEAD}/live?loginuse=admin&loginpas={FIRST}{SECOND}",
    ],
)
@pytest.mark.slow
def test_failing_streams_reveal_no_secret(address: str, tmp_path: Path) -> None:
    broker = Broker(tmp_path).start()
    listener, port, events = Listener(broker.port), free_port(), tmp_path / "events.jsonl"
    settings = {"CAMERA_SOURCE": address, "WEB_PORT": str(port), "MQTT_HOST": "127.0.0.1", "MQTT_EVENTS": "true"}
    settings |= {"MQTT_PORT": str(broker.port), "CAMERA_REOPEN_AFTER": "0.2", "CAMERA_STALE_AFTER": "1"}
    environment = os.environ | {"HOME": str(tmp_path)} | {f"MASKGATE_{key}": value for key, value in settings.items()}
    command = [sys.executable, "-m", "edge", "run", "--wait", "-v", "--events", str(events)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            wait_for(lambda: _lost(client))
            wait_for(lambda: any("camera_lost" in payload for _, payload in listener.heard))
            paths = ("/health", "/api/status", "/metrics", "/operator", "/")
            shown_there = "\n".join(client.get(path).text for path in paths)
        process.send_signal(signal.SIGTERM)
        printed = process.communicate(timeout=60)[0]
    finally:
        process.kill()
        listener.close()
        broker.stop()
    written = "".join(file.read_text("utf-8", "replace") for file in tmp_path.rglob("*.jsonl"))
    assert "camera_lost" in written
    assert "://" in shown_there + printed
    for place in (shown_there, printed, written, json.dumps(listener.heard)):
        assert not is_told(place), place


def _lost(client: httpx.Client) -> bool:
    try:
        answer = client.get("/api/status")
        assert answer.status_code == httpx.codes.OK, f"{answer.status_code}: {answer.text}"
        return answer.json()["camera"]["trouble"] is not None
    except (httpx.TransportError, KeyError):
        return False


@pytest.mark.slow
def test_ffmpeg_never_repeats_an_address() -> None:
    script = "import sys; from edge.cameras.stream import Stream; Stream(sys.argv[1], None, open_timeout=5)"
    command = [sys.executable, "-c", script, f"rtsp://{FIRST}.invalid:554/{SECOND}"]
    failed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    printed = failed.stdout + failed.stderr.partition("Traceback")[0]
    assert "CameraError" in failed.stderr
    assert not is_told(printed), printed

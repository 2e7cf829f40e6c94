"""What a signed-in operator sends: commands and changed settings are carried out, or refused with one sentence.

The first byte chooses the address: odd, ``/api/settings``; else ``/api/control``. The rest is the body.
"""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from edge.config import load
from edge.config.page import changeable
from edge.control import REQUESTS
from edge.sinks.web import steer, token
from tests.fuzz.web import Faults
from tests.stand_ins.screens import Door, open_door

ABOUT = "commands and settings that a signed-in operator sends"
LONGEST = 4096
WORDS = (
    *(f'"{key}": '.encode() for key in changeable()),
    *(f'"do": "{name}"'.encode() for name in REQUESTS),
    *(b'{"changes": {', b'"seconds": ', b'"output": ', b'"confirmed": true', b"null", b"NaN", b"Infinity", b"1e999"),
    *(b"\\ud800", b"\\u0000", b"[[0, 0], [1, 0], [1, 1]]", b"[[[[", b"]]]]", b"9" * 40),
)
ANSWERS = {200, 400, 409}
PATIENCE = 30.0


def seeds() -> list[bytes]:
    """A command of each kind; a few settings; one reverted."""
    commands = [
        b'{"do": "mute", "seconds": 300}',
        b'{"do": "unmute"}',
        b'{"do": "try", "output": "relay", "confirmed": true}',
    ]
    changes = [
        b'{"changes": {"people.zone": [[0, 0], [1, 0], [0.5, 1]], "alerts.quiet_hours": "22:00-06:30"}}',
        b'{"changes": {"web.door_name": "East", "web.language": "fr", "mask.alarm_below": 0.4}}',
        b'{"changes": {"camera.exposure": "backlight", "alerts.on_time": null}}',
    ]
    return [*(b"\0" + one for one in commands), *(b"\1" + one for one in changes)]


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Try one."""
    key, faults = token.make(folder / "token"), Faults()
    overrides = {"web.token_file": str(folder / "token"), "counts.path": str(folder / "counts.db")}
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    at_most, steer.AT_MOST = steer.AT_MOST, 10**9
    log = logging.getLogger("edge.sinks.web")
    log.addHandler(faults)
    try:
        with open_door(folder, overrides) as door:
            connection = http.client.HTTPConnection("127.0.0.1", urlsplit(door.url).port or 0, timeout=PATIENCE)

            def attempt(data: bytes) -> None:
                connection.request(
                    "POST", "/api/settings" if data[:1] and data[0] & 1 else "/api/control", data[1:], headers
                )
                answer = connection.getresponse()
                body = answer.read()
                assert answer.status in ANSWERS, (answer.status, body)
                said = json.loads(body)
                assert said.get("error" if answer.status != 200 else "said")
                assert not faults.said, faults.said
                _check(door, folder, overrides)

            yield attempt
    finally:
        steer.AT_MOST = at_most
        log.removeHandler(faults)


def _check(door: Door, folder: Path, overrides: dict[str, str]) -> None:
    """What is kept is what holds, and a restart is only asked for."""
    kept = load(environment={"HOME": str(folder)}, overrides=overrides)
    assert kept.notices == ()
    assert door.settings is not None
    for key in changeable():
        section, _, name = key.partition(".")
        assert getattr(getattr(kept.config, section), name) == getattr(getattr(door.settings.config, section), name)
    if door.commands.stopped.is_set():
        door.commands.stopped.clear()
        door.commands.restart = False

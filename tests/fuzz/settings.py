"""Settings: a TOML file and the environment, separated by NUL bytes, become a configuration or one sentence."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.config import SECRETS, Config, Settings, declared, load
from edge.config.show import as_json, as_toml
from edge.errors import ConfigError
from edge.people import PeopleTracker
from edge.sinks.web.token import token_path

ABOUT = "settings: a TOML file and MASKGATE_ variables"
LONGEST = 6144
SECRET = "xyzzy"
"""A password that holds it must never be printed."""
MOST = 2**31
"""No number of a setting may be as large: waits and sums of the standard library end somewhere above."""
WORDS = (
    *{section.encode() for section, *_ in declared()},
    *(field.encode() for _, _, field, _ in declared()),
    *(f"\0MASKGATE_{section}_{field}=".upper().encode() for section, _, field, _ in declared()),
    *(
        b"true",
        b"nan",
        b"inf",
        b"-inf",
        b"1e308",
        b"0x",
        b'"""',
        b"'''",
        b"\\u0000",
        b"[[",
        b"]]",
        b"~root/",
        b"1979-05-27",
    ),
)


def seeds() -> list[bytes]:
    """Every setting at its default; a few that a door has; the environment."""
    defaults = as_toml(Settings(Config(), {}, None))
    return [
        "\n".join(line for line in defaults.splitlines() if line[:1] != "#").encode(),
        b'[camera]\nsource = "rtsp://u:xyzzy@door/1?key=xyzzy"\nrotate = 90\n',
        b"[people]\nzone = [[0, 0], [1, 0], [0.5, 1.0]]\n",
        b'[mqtt]\nhost = "broker"\nusername = "doors"\npassword = "xyzzy"\ntls = true\nca_file = "~/ca.pem"\n',
        b'[alerts]\nled_pin = "GPIO17"\nbuzzer_pin = -1\nquiet_hours = "22:00-06:30"\n',
        b'[counts]\npath = "~/counts.db"\n[web]\ntoken_file = "/tmp/token"\n',
        b"\0MASKGATE_ALERTS_LED_PIN=5\0MASKGATE_CAMERA_SOURCE=usb:0\0MASKGATE_PEOPLE_ZONE=[[0,0],[1,0],[1,1]]",
    ]


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Try one."""
    file, copy = folder / "config.toml", folder / "copy.toml"
    home = {"HOME": str(folder)}

    def attempt(data: bytes) -> None:
        toml, *variables = data.split(b"\0")
        file.write_bytes(toml)
        environment = dict(os.fsdecode(variable).partition("=")[::2] for variable in variables)
        environment.pop("MASKGATE_CONFIG", None)
        try:
            settings = load(file, environment | home)
        except ConfigError as error:
            assert str(error)
            return
        printed = as_toml(settings)
        copy.write_text(printed, "utf-8")
        assert _values(load(copy, home)) == _values(settings), "what is printed means something else"
        assert not _shows_secret(settings, printed), "a password is printed"
        _can_be_used(settings)

    yield attempt


def _values(settings: Settings) -> dict[str, Any]:
    return {key: said["value"] for key, said in as_json(settings).items()}


def _shows_secret(settings: Settings, printed: str) -> bool:
    password = settings.config.mqtt.password
    elsewhere = any(SECRET in str(one.value) for one in settings if one.key not in SECRETS)
    return password is not None and SECRET in password.get_secret_value() and SECRET in printed and not elsewhere


def _can_be_used(settings: Settings) -> None:
    for one in settings:
        if isinstance(one.value, float | int):
            assert math.isfinite(one.value), f"{one.key} is {one.value}"
            assert abs(one.value) < MOST, f"{one.key} is {one.value}"
    config = settings.config
    for path in (
        token_path(config.web, config.counts),
        config.counts.path,
        config.mqtt.password_file,
        config.mqtt.ca_file,
        config.camera.source,
        config.alerts.sound,
    ):
        if path:
            assert b"\0" not in os.fsencode(Path(path).expanduser()), "no file has such a name"
    tracker = PeopleTracker(config.people)
    tracker.update(tracker.match([], at=0.0, frame_size=(640, 480)), [])

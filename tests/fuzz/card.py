"""A card's settings: a TOML file and IMAGE_ variables, separated by NUL bytes, become a card or one sentence."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.errors import DeployError
from deploy.image.card import WISHES, read_card

ABOUT = "settings of a card: a TOML file and IMAGE_ variables"
LONGEST = 2048
KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzT door"
WORDS = (
    *(key.encode() for key in WISHES),
    *(f"\0IMAGE_{key.replace('.', '_').upper()}=".encode() for key in WISHES),
    *(b"[wifi]", b"true", KEY, b"none", b"~root/", b"\\u0000", b"nan", b"'''"),
)
SAFE_IN_SHELL = re.compile(r"[A-Za-z0-9 .+@_-]*")
"""First boot reads these from a file of the shell, as root."""


def seeds() -> list[bytes]:
    """Each setting once; the least that will do; the environment."""
    return [
        b'hostname = "door1"\nuser = "pi"\ntimezone = "Europe/Berlin"\nlocale = "de_DE.UTF-8"\nssh_key = "%b"' % KEY,
        b'ssh_key = "none"\nkiosk = true\npackages = ["vim"]\nroom_mb = 100\n'
        b'[wifi]\nssid = "Caf\xc3\xa9"\ncountry = "DE"\npassword = "12345678"\n',
        b'ssh_key = "none"',
        b"\0IMAGE_SSH_KEY=" + KEY + b"\0IMAGE_PACKAGES=vim nano\0IMAGE_CONFIG=~/config.toml\0IMAGE_KIOSK=yes",
    ]


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Try one."""
    file = folder / "image.toml"

    def attempt(data: bytes) -> None:
        toml, *variables = data.split(b"\0")
        file.write_bytes(toml)
        try:
            card = read_card(file, dict(os.fsdecode(variable).partition("=")[::2] for variable in variables))
        except DeployError as error:
            assert str(error)
            return
        for text in (card.hostname, card.user, card.locale or "", *card.packages):
            assert SAFE_IN_SHELL.fullmatch(text), f"a shell would read {text!r}"
        assert all(line.count("\n") == 0 for line in (card.hostname, card.timezone or ""))
        card.ssh_key.encode()
        if card.wifi:
            card.wifi.ssid.encode()

    yield attempt

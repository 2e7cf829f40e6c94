"""What a card's owner chooses for ``make image``: a small TOML file, and the environment, which wins."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.errors import DeployError
from edge.config import load
from edge.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENV_PREFIX = "IMAGE_"
NO_KEY = "none"
"""As ``ssh_key``: a card into which nobody can log in."""
WIFI = "wifi."
LONGEST_SSID = 32
"""Bytes (IEEE 802.11)."""
SYSTEM_NAMES = """
adm apex audio avahi backup bin bluetooth cdrom colord crontab daemon dialout dip disk dnsmasq fax floppy games gnats
gpio halt i2c input irc kmem kvm lightdm list lp lpadmin mail man maskgate maskgate-kiosk messagebus netdev news
nobody nogroup nvidia operator plugdev polkitd proxy pulse render rpc rtkit saned sasl seatd sgx shadow shutdown spi
src ssh sshd ssl-cert staff statd sudo sync sys tape tcpdump tss tty usbmux users utmp uucp uuidd video voice wheel
www-data
"""
"""Accounts and groups of Debian, its relatives and maskgate. What else a base has is looked up in it."""
PRIVATE_KEY = "PRIVATE KEY"
KEY_KINDS = r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
SSH_KEY = re.compile(rf"{KEY_KINDS} [A-Za-z0-9+/]+=*( .*)?")


@dataclass(frozen=True, slots=True)
class Wifi:
    """A wireless network. ``password`` is None for an open one."""

    ssid: str
    country: str
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """What a card is to be.

    Attributes:
        ssh_key: Lines of ``authorized_keys``; empty for a card into which nobody can log in.
        hostname: The device's name in the network.
        user: Who may log in, with sudo.
        timezone: As in /usr/share/zoneinfo; None leaves the base's.
        locale: As in /etc/locale.gen; None leaves the base's.
        kiosk: Whether the page is shown full screen. Its packages are fetched at first boot.
        packages: More packages to fetch at first boot.
        config: A file of maskgate settings to begin with.
        room_mb: Free space beyond what one release and one update need, in MB.
        wifi: The wireless network to join.
    """

    ssh_key: str
    hostname: str = "maskgate"
    user: str = "pi"
    timezone: str | None = None
    locale: str | None = None
    kiosk: bool = False
    packages: tuple[str, ...] = ()
    config: Path | None = None
    room_mb: int = 0
    wifi: Wifi | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """One key: what its text must look like, how that is said, how it is read, and what a pattern cannot say."""

    pattern: str
    form: str
    read: Callable[[str], Any] = str
    fits: Callable[[str], bool] = lambda _: True


def _yes(text: str) -> bool:
    return text in ("true", "1", "yes")


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except (RuntimeError, ValueError) as error:  # also of a NUL in the user's name
        raise DeployError(f"{text}: this machine has no such user; give the path in full.") from error


WISHES: Mapping[str, Wish] = {
    "hostname": Wish(
        r"(?!localhost$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        "a name of up to 63 small letters, digits and dashes, like door1",
    ),
    "user": Wish(r"(?!root$)[a-z][a-z0-9-]{0,30}", "a user's name of small letters, digits and dashes, not root"),
    "ssh_key": Wish(r"(?s).+", "a public key, a file that has one, or 'none'"),
    "timezone": Wish(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", "a time zone like Europe/Berlin"),
    "locale": Wish(r"(C|[a-z]{2,3}_[A-Z]{2})\.UTF-8(@[a-z]+)?", "a locale like de_DE.UTF-8"),
    "kiosk": Wish(r"true|false|yes|no|1|0", "true or false", _yes),
    "packages": Wish(
        r"([a-z0-9][a-z0-9.+-]+( |$))*",
        "names of Debian packages, like python3-picamera2",
        lambda text: tuple(text.split()),
    ),
    "config": Wish(r".+", "a file of maskgate settings", _path),
    "room_mb": Wish(r"\d{1,6}", "a number of megabytes", int),
    "wifi.ssid": Wish(
        r"[^\x00-\x1f\x7f]+",
        "a network's name of 1 to 32 bytes in UTF-8",
        fits=lambda text: len(text.encode()) <= LONGEST_SSID,
    ),
    "wifi.country": Wish(r"[A-Z]{2}", "a country's code of two capital letters, like DE"),
    "wifi.password": Wish(r"[\x20-\x7e]{8,63}|[0-9a-fA-F]{64}", "a passphrase of 8 to 63 characters, or 64 hex digits"),
}
SECRET = "wifi.password"  # noqa: S105 - the name of one


def read_card(file: Path | None, environment: Mapping[str, str] = os.environ) -> Card:
    """The card that ``file`` and the environment describe: ``IMAGE_HOSTNAME``, ``IMAGE_WIFI_PASSWORD`` and so on.

    Raises:
        DeployError: A key does not exist, or a value is not what it should be. A password is never part of the text.
    """
    texts = _from_file(file) if file else {}
    names = {ENV_PREFIX + key.replace(".", "_").upper(): key for key in WISHES}
    texts |= {key: (environment[name], name) for name, key in names.items() if name in environment}
    values = {key: _value(key, text, where) for key, (text, where) in texts.items()}
    wifi = {key.removeprefix(WIFI): values.pop(key) for key in list(values) if key.startswith(WIFI)}
    return Card(
        **{**values, "ssh_key": _ssh_key(values.get("ssh_key")), "config": _config(values.get("config"))},
        wifi=_wifi(wifi),
    )


def _from_file(file: Path) -> dict[str, tuple[str, str]]:
    """Each key with its value as text and where it stands."""
    try:
        table = tomllib.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise DeployError(f"The card's settings {file} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:  # also of numbers too long and of nesting too deep
        raise DeployError(f"The card's settings {file} are no TOML: {error}.") from error
    wifi = table.pop("wifi", {})
    flat = {**table, **({WIFI + key: value for key, value in wifi.items()} if isinstance(wifi, dict) else {"wifi": 1})}
    unknown = [key for key in flat if key not in WISHES]
    if unknown:
        raise DeployError(f"{file} sets {unknown[0]}, which is no setting of a card; there are {', '.join(WISHES)}.")
    return {key: (_text(value), str(file)) for key, value in flat.items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return str(value)


def _value(key: str, text: str, where: str) -> Any:
    wish = WISHES[key]
    if not re.fullmatch(wish.pattern, text) or not _is_text(text) or not wish.fits(text):
        told = "what is set" if key == SECRET or PRIVATE_KEY in text else f"'{text}'"
        raise DeployError(f"{where}: {key} must be {wish.form}; {told} is not.")
    if key == "user" and (text in SYSTEM_NAMES.split() or text.startswith("systemd-")):
        raise DeployError(f"{where}: user must be a name that the system does not use; '{text}' is not.")
    return wish.read(text)


def _is_text(text: str) -> bool:
    """Whether it can be written to the card: the environment may hold bytes that are not UTF-8."""
    return text.encode("utf-8", "replace").decode() == text


def _ssh_key(text: str | None) -> str:
    if text is None:
        keys = sorted(Path(os.path.expanduser("~/.ssh")).glob("id_*.pub"))  # noqa: PTH111 - also without a home
        example = f"~/.ssh/{keys[0].name}" if keys else "~/.ssh/id_ed25519.pub"
        raise DeployError(
            f'The card needs ssh_key = "{example}" in its settings (or IMAGE_SSH_KEY): there is no password to log in '
            f'with; ssh_key = "{NO_KEY}" makes a card into which nobody can log in.'
        )
    if text == NO_KEY:
        return ""
    if PRIVATE_KEY in text:
        raise DeployError("ssh_key: this is a private key, which must not leave this machine; name its .pub file.")
    if not re.match(KEY_KINDS, text):
        file = _path(text)
        try:
            text = file.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise DeployError(f"ssh_key: {file} is neither a public key nor a file that has one.") from error
        if PRIVATE_KEY in text:
            raise DeployError(f"ssh_key: {file} is a private key, which must not leave this machine; name {file}.pub.")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines or not all(SSH_KEY.fullmatch(line) for line in lines):
        raise DeployError("ssh_key: this is no public key of OpenSSH; it begins like 'ssh-ed25519 AAAA'.")
    return "".join(f"{line}\n" for line in lines)


def _config(file: Path | None) -> Path | None:
    if file is None:
        return None
    if not file.is_file():
        raise DeployError(f"config: there is no file {file}.")
    try:
        load(file, environment={})
    except ConfigError as error:
        raise DeployError(f"config: {error}") from error
    return file


def _wifi(values: Mapping[str, str]) -> Wifi | None:
    if not values:
        return None
    for key in ("ssid", "country"):
        if key not in values:
            raise DeployError(f"The card's Wi-Fi lacks {WIFI}{key}: {WISHES[WIFI + key].form}.")
    return Wifi(**values)

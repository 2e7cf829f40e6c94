"""What is put into a card's image: the release, a first boot, and what its owner chose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from deploy.errors import DeployError
from deploy.image.base import Base
from deploy.image.card import Card, Wifi
from deploy.image.filesystems import KEEP_MODE, Entry, Ext4, Fat, Link
from deploy.payload import ROOT

SETUP = "/var/lib/maskgate-setup"
UNIT = "maskgate-first-boot.service"
SYSTEM_UNITS = "/etc/systemd/system"
ZONES = "/usr/share/zoneinfo"
KIOSK_PACKAGES = ("cage", "seatd", "chromium")
SSHD = "# A key opens this device; nothing else does.\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
CLOUD = (
    "# What cloud-init would choose was chosen for this card.\nusers: []\nssh_pwauth: false\npreserve_hostname: true\n"
)
PEOPLE = {str(number) for number in range(1000, 60_000)}
"""Numbers of accounts and groups that are people's (Debian Policy, 9.2.2)."""
LOCKED = ("!", "*")
"""How a password field begins that nothing can match."""


def root_entries(root: Ext4, base: Base, card: Card, payload: Path) -> tuple[list[Entry], list[str]]:
    """What to write into the root file system, and what to remove from it before.

    Raises:
        DeployError: The base lacks what the card needs.
    """
    entries = [
        *_setup(card, payload),
        *_name(root, card),
        *_clock_and_language(root, base, card),
        *_logins(root, base, card),
    ]
    if card.wifi:
        entries.append(_network(base, card.wifi))
    return entries, _removed(root)


def boot_files(fat: Fat, card: Card, release: str) -> dict[str, bytes]:
    """What to write into the boot partition."""
    files = {"maskgate.txt": f"maskgate {release}. The first boot takes a few minutes and reports here.\n".encode()}
    command_line = fat.read("cmdline.txt")
    if card.wifi and command_line is not None:
        words = command_line.decode("utf-8", "replace").split()
        words = [word for word in words if not word.startswith("cfg80211.ieee80211_regdom=")]
        files["cmdline.txt"] = f"{' '.join(words)} cfg80211.ieee80211_regdom={card.wifi.country}\n".encode()
    return files


def notes(base: Base, card: Card) -> Iterator[str]:
    """What the card's owner should know."""
    absent = [package for package in _packages(card) if package not in base.packages]
    if absent:
        yield f"{', '.join(absent)}: not in the base; fetched at first boot, for which the device needs the internet."
    if "python3-picamera2" not in {*base.packages, *card.packages}:
        yield (
            "python3-picamera2 is not in the base: a USB camera works, a Raspberry Pi camera needs "
            'packages = ["python3-picamera2"] in the card\'s settings and the internet at first boot.'
        )
    if not card.ssh_key:
        yield "No SSH key is set: nobody can log in."


def _packages(card: Card) -> tuple[str, ...]:
    return (*card.packages, *(KIOSK_PACKAGES if card.kiosk else ()))


def _setup(card: Card, payload: Path) -> Iterator[Entry]:
    for file in sorted(payload.rglob("*")):
        if file.is_file():
            yield Entry(f"{SETUP}/release/{file.relative_to(payload)}", file)
    settings = {
        "CARD_USER": card.user,
        "CARD_LOCALE": card.locale or "",
        "CARD_KIOSK": "yes" if card.kiosk else "no",
        "CARD_WIFI": "yes" if card.wifi else "no",
        "CARD_PACKAGES": " ".join(_packages(card)),
    }
    yield Entry(f"{SETUP}/settings", "".join(f"{key}='{value}'\n" for key, value in settings.items()).encode())
    yield Entry(f"{SETUP}/authorized_keys", card.ssh_key.encode(), 0o600)
    if card.config:
        yield Entry(f"{SETUP}/config.toml", card.config, 0o600)
    yield Entry(f"{SETUP}/first-boot.sh", ROOT / "deploy" / "first-boot.sh", 0o755)
    yield Entry(f"{SYSTEM_UNITS}/{UNIT}", ROOT / "systemd" / UNIT)
    yield Entry(f"{SYSTEM_UNITS}/multi-user.target.wants/{UNIT}", Link(f"{SYSTEM_UNITS}/{UNIT}"))


def _name(root: Ext4, card: Card) -> Iterator[Entry]:
    yield Entry("/etc/hostname", f"{card.hostname}\n".encode())
    hosts = (root.read("/etc/hosts") or b"127.0.0.1\tlocalhost\n").decode("utf-8", "replace")
    kept = [line for line in hosts.splitlines() if not line.startswith("127.0.1.1")]
    yield Entry("/etc/hosts", "".join(f"{line}\n" for line in [*kept, f"127.0.1.1\t{card.hostname}"]).encode())


def _clock_and_language(root: Ext4, base: Base, card: Card) -> Iterator[Entry]:
    if card.timezone:
        if not root.exists(f"{ZONES}/{card.timezone}"):
            raise DeployError(f"The base knows no time zone '{card.timezone}'; names are like Europe/Berlin.")
        yield Entry("/etc/timezone", f"{card.timezone}\n".encode())
        yield Entry("/etc/localtime", Link(f"..{ZONES}/{card.timezone}"))
    if card.locale and card.locale != "C.UTF-8":
        if "locales" not in base.packages:
            raise DeployError(f"The base has no package 'locales', so {card.locale} cannot be made; use C.UTF-8.")
        known = (root.read("/etc/locale.gen") or b"").decode("utf-8", "replace")
        if not re.search(rf"^(# *)?{re.escape(card.locale)} UTF-8", known, re.MULTILINE):
            raise DeployError(f"The base knows no locale '{card.locale}'; names are like de_DE.UTF-8.")


def _refuse_system_account(root: Ext4, name: str) -> None:
    """The operator's account is that of a person: new, or the base's first user."""
    for file in ("/etc/passwd", "/etc/group"):
        for line in (root.read(file) or b"").decode("utf-8", "replace").splitlines():
            fields = line.split(":")
            if fields[0] == name and len(fields) > 2 and fields[2] not in PEOPLE:  # noqa: PLR2004
                raise DeployError(f"user: '{name}' is an account of the base's own; choose another name.")


def _logins(root: Ext4, base: Base, card: Card) -> Iterator[Entry]:
    """A key in place of passwords, and no question on the screen."""
    _refuse_system_account(root, card.user)
    yield Entry("/etc/ssh/sshd_config.d/00-maskgate.conf", SSHD.encode())
    if card.ssh_key:
        yield Entry("/etc/sudoers.d/010_maskgate-user", f"{card.user} ALL=(ALL) NOPASSWD: ALL\n".encode(), 0o440)
    shadow = (root.read("/etc/shadow") or b"").decode("utf-8", "replace")
    yield Entry("/etc/shadow", lock_passwords(shadow).encode(), KEEP_MODE)
    yield Entry("/etc/machine-id", b"")
    if "userconf-pi" in base.packages:
        yield Entry(f"{SYSTEM_UNITS}/userconfig.service", Link("/dev/null"))
    if "cloud-init" in base.packages:
        yield Entry("/etc/cloud/cloud.cfg.d/99_zz_maskgate.cfg", CLOUD.encode())


def lock_passwords(shadow: str) -> str:
    """The lines of /etc/shadow with every password, an empty one too, made one that nothing matches."""
    lines = []
    for line in shadow.splitlines():
        name, _, rest = line.partition(":")
        lines.append(f"{name}:{'' if rest.startswith(LOCKED) else '!'}{rest}\n")
    return "".join(lines)


def _removed(root: Ext4) -> list[str]:
    """Host keys that every card of this base would share, and a banner that says that logging in does not work yet."""
    keys = [f"/etc/ssh/{name}" for name in root.names("/etc/ssh") if name.startswith("ssh_host_")]
    banner = "/etc/ssh/sshd_config.d/rename_user.conf"
    return [*keys, *([banner] if root.exists(banner) else [])]


def _network(base: Base, wifi: Wifi) -> Entry:
    """A connection of NetworkManager, which takes only files that nobody else can read.

    Format: https://networkmanager.dev/docs/api/latest/nm-settings-keyfile.html. The name is written as bytes, since one
    of digits would be taken for them.
    """
    if "network-manager" not in base.packages:
        raise DeployError(
            "The base has no NetworkManager, which Wi-Fi is set up with; use Raspberry Pi OS, or a cable."
        )
    lines = ["[connection]", "id=maskgate", "type=wifi", "[wifi]", "mode=infrastructure"]
    lines.append("ssid=" + "".join(f"{byte};" for byte in wifi.ssid.encode()))
    if wifi.password is not None:
        psk = wifi.password.replace("\\", "\\\\")
        psk = re.sub("^ +| +$", lambda blanks: r"\s" * len(blanks[0]), psk)
        lines += ["[wifi-security]", "key-mgmt=wpa-psk", f"psk={psk}"]
    lines += ["[ipv4]", "method=auto", "[ipv6]", "method=auto"]
    text = "".join(f"{line}\n" for line in lines)
    return Entry("/etc/NetworkManager/system-connections/maskgate.nmconnection", text.encode(), 0o600)

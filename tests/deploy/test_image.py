"""Card images: what is put into a base, and which bases and settings are refused.

The base is a small one with the two partitions of a Raspberry Pi OS image; what was made of it is read by debugfs and
mtools and judged by e2fsck and sfdisk. How such a card boots is in tests/system/test_image.py.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import re
import shutil
import tempfile
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deploy.__main__ import describe, main
from deploy.errors import DeployError
from deploy.image import build as image_module
from deploy.image import filesystems
from deploy.image.base import Base
from deploy.image.build import Image, build_image
from deploy.image.card import Card, Wifi, read_card
from deploy.image.contents import lock_passwords
from deploy.image.partitions import read_layout
from tests.nonempty import some
from tests.stand_ins.card_base import BOOT, MIB, MISSING, ROOT, debugfs, pack, run

pytestmark = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")

ROOT_SIZE = 24 * MIB
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBvjQfEUVi4kYTiGJEsFDcFJGJXpWeZCVaPRKu7cZIs1 me@desk\n"
CARD = Card(KEY)
SECRET = r" correct\horse#battery "
OS_RELEASE = """\
PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
NAME="Debian GNU/Linux"
VERSION_CODENAME=trixie
"""
PACKAGES = ("libc6", "systemd", "python3", "sudo", "openssh-server", "network-manager", "userconf-pi", "locales")
SHADOW = "root:*:1::::::\npi:$y$j9T$salt$hash:1::::::\nguest::1::::::\nlocked:!:1::::::\n"


def status(packages: tuple[str, ...] = PACKAGES, architecture: str = "arm64") -> str:
    """dpkg's list of what is installed, and one package that was removed."""
    paragraphs = [
        f"Package: {name}\nStatus: install ok installed\nArchitecture: {architecture}\nVersion: 2.41-12\n"
        for name in packages
    ]
    return "\n".join([*paragraphs, "Package: python3-picamera2\nStatus: deinstall ok config-files\nVersion: 1\n"])


def tree(folder: Path) -> Path:
    """The root file system of a base: what is read of it, and little else."""
    files = {
        "usr/lib/os-release": OS_RELEASE,
        "usr/bin/python3.13": "",
        "usr/share/zoneinfo/Europe/Berlin": "zone",
        "var/lib/dpkg/status": status(),
        "etc/hostname": "raspberrypi\n",
        "etc/hosts": "127.0.0.1\tlocalhost\n127.0.1.1\traspberrypi\n",
        "etc/shadow": SHADOW,
        "etc/passwd": "root:x:0:0::/root:/bin/sh\npi:x:1000:1000::/home/pi:/bin/sh\nvendor:x:200:200::/:/bin/sh\n",
        "etc/group": "root:x:0:\npi:x:1000:\nvendors:x:201:\n",
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "etc/locale.gen": "# de_DE.UTF-8 UTF-8\n",
        "etc/ssh/ssh_host_ed25519_key": "a key that all cards would share",
        "etc/ssh/sshd_config.d/rename_user.conf": "Banner /usr/share/userconf-pi/sshd_banner\n",
        "etc/systemd/system/multi-user.target.wants/.keep": "",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "usr/bin/python3").symlink_to("python3.13")
    (folder / "etc/os-release").symlink_to("../usr/lib/os-release")
    (folder / "lib").symlink_to("usr/lib")
    (folder / "etc/shadow").chmod(0o640)
    return folder


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: what these tools write they wait for."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def tmp_path(memory: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def base(memory: Path) -> Path:
    return pack(tree(memory / "tree"), memory / "raspios-lite-arm64.img", ROOT_SIZE)


@pytest.fixture(scope="module")
def payload(memory: Path) -> Path:
    """A release, of which only the names matter here."""
    folder = memory / "payload"
    (folder / "wheels").mkdir(parents=True)
    (folder / "VERSION").write_text("1.2.3-abc\n")
    (folder / "wheels" / "maskgate-1.2.3-py3-none-any.whl").write_bytes(os.urandom(3 * MIB))
    return folder


@dataclass(frozen=True)
class Workbench:
    """Makes images in a folder of its own."""

    base: Path
    payload: Path
    folder: Path

    def build(self, card: Card = CARD, base: Path | None = None) -> Image:
        def release(_base: Base, _tell: object) -> tuple[str, Path]:
            return "1.2.3-abc", self.payload

        return build_image(base or self.base, card, self.folder / "card.img", print, release)


@pytest.fixture
def workbench(base: Path, payload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    monkeypatch.setattr(image_module, "SPARE", 30 * MIB)
    (tmp_path / "out").mkdir()
    return Workbench(base, payload, tmp_path / "out")


def cat(image: Path, path: str) -> str:
    return debugfs(image, f"cat {path}")


def mode(image: Path, path: str) -> str:
    """Kind, permission bits, user and group, like ``regular 0600 0 0``."""
    stat = debugfs(image, f"stat {path}")
    found = re.search(r"Type: (\w+) +Mode: +(\d+)(?:.*\n)*?User: +(\d+) +Group: +(\d+)", stat)
    assert found, f"{path}: {stat}"
    return " ".join(found.groups())


def test_the_image_contains_the_release(workbench: Workbench) -> None:
    image = workbench.build().file
    setup = "/var/lib/maskgate-setup"
    assert cat(image, f"{setup}/release/VERSION") == "1.2.3-abc\n"
    wheel = "wheels/maskgate-1.2.3-py3-none-any.whl"
    dumped = workbench.folder / "dumped"
    debugfs(image, f"dump {setup}/release/{wheel} {dumped}")
    assert dumped.read_bytes() == (workbench.payload / wheel).read_bytes()
    assert cat(image, f"{setup}/authorized_keys") == KEY
    assert mode(image, f"{setup}/first-boot.sh") == "regular 0755 0 0"
    unit = "/etc/systemd/system/maskgate-first-boot.service"
    assert f"ExecStart=/bin/sh {setup}/first-boot.sh" in cat(image, unit)
    wanted = "/etc/systemd/system/multi-user.target.wants/maskgate-first-boot.service"
    assert f'Fast link dest: "{unit}"' in debugfs(image, f"stat {wanted}")


def test_file_systems_and_partitions_are_sound(workbench: Workbench) -> None:
    made = workbench.build()
    table = run(["sfdisk", "--dump", str(made.file)])
    size = int(re.findall(r"size= *(\d+)", table)[1]) * 512
    assert "label-id: 0x1234abcd" in table
    assert size > ROOT_SIZE
    assert made.file.stat().st_size == made.size == ROOT + size
    run(["sfdisk", "--verify", str(made.file)])
    root = workbench.folder / "root"
    root.write_bytes(made.file.read_bytes()[ROOT:])
    run(["e2fsck", "-f", "-n", str(root)])
    assert set(run(["mdir", "-b", "-i", f"{made.file}@@{BOOT}", "::/"]).split()) == {
        "::/cmdline.txt",
        "::/maskgate.txt",
    }


def test_packed_bases_give_the_same_image(workbench: Workbench) -> None:
    before = hashlib.sha256(workbench.base.read_bytes()).hexdigest()
    first = workbench.build()
    packed = workbench.folder / "raspios.img.xz"
    packed.write_bytes(lzma.compress(workbench.base.read_bytes(), preset=0))
    second = workbench.build(base=packed)
    assert hashlib.sha256(workbench.base.read_bytes()).hexdigest() == before
    assert second.size == first.size
    assert cat(second.file, "/var/lib/maskgate-setup/release/VERSION") == "1.2.3-abc\n"


def test_the_printed_digest_is_right(workbench: Workbench) -> None:
    made = workbench.build()
    assert hashlib.sha256(made.file.read_bytes()).hexdigest() == made.sha256
    assert (workbench.folder / "card.img.sha256").read_text() == f"{made.sha256}  card.img\n"


def test_the_flash_command_suits_the_system(workbench: Workbench, tmp_path: Path) -> None:
    image = workbench.build()
    (line,) = [line for line in describe(image, "pi", "door1").splitlines() if "dd if=" in line]
    operands = dict(word.split("=") for word in line.partition(";")[0].split() if "=" in word)
    assert operands.keys() == {"if", "of", "bs"}
    assert operands["bs"].isdigit(), "GNU's and BSD's dd name their units differently"
    run(["dd", f"if={operands['if']}", f"of={tmp_path}/card", f"bs={operands['bs']}"])
    assert (tmp_path / "card").read_bytes() == image.file.read_bytes()


def test_the_bases_passwords_are_locked(workbench: Workbench) -> None:
    image = workbench.build().file
    assert cat(image, "/etc/shadow") == (
        "root:*:1::::::\npi:!$y$j9T$salt$hash:1::::::\nguest:!:1::::::\nlocked:!:1::::::\n"
    )
    assert mode(image, "/etc/shadow") == mode(workbench.base, "/etc/shadow")
    assert "PasswordAuthentication no" in cat(image, "/etc/ssh/sshd_config.d/00-maskgate.conf")
    assert mode(image, "/etc/sudoers.d/010_maskgate-user") == "regular 0440 0 0"
    assert cat(image, "/etc/sudoers.d/010_maskgate-user") == "pi ALL=(ALL) NOPASSWD: ALL\n"


def test_locking_passwords_twice_changes_nothing() -> None:
    once = lock_passwords(SHADOW)
    assert lock_passwords(once) == once


def test_cards_share_no_identity(workbench: Workbench) -> None:
    image = workbench.build().file
    assert "ssh_host" in debugfs(workbench.base, "ls /etc/ssh")
    assert "ssh_host" not in debugfs(image, "ls /etc/ssh")
    assert cat(image, "/etc/machine-id") == ""


def test_the_first_boot_asks_nothing(workbench: Workbench) -> None:
    image = workbench.build().file
    assert 'Fast link dest: "/dev/null"' in debugfs(image, "stat /etc/systemd/system/userconfig.service")
    assert "rename_user" not in debugfs(image, "ls /etc/ssh/sshd_config.d")


def test_cards_have_the_chosen_settings(workbench: Workbench, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[camera]\nsource = 'demo'\n")
    card = replace(
        CARD, hostname="door1", user="anna", timezone="Europe/Berlin", locale="de_DE.UTF-8", kiosk=True, config=config
    )
    made = workbench.build(card)
    assert cat(made.file, "/etc/hostname") == "door1\n"
    assert cat(made.file, "/etc/hosts") == "127.0.0.1\tlocalhost\n127.0.1.1\tdoor1\n"
    assert 'Fast link dest: "../usr/share/zoneinfo/Europe/Berlin"' in debugfs(made.file, "stat /etc/localtime")
    settings = cat(made.file, "/var/lib/maskgate-setup/settings").splitlines()
    assert "CARD_USER='anna'" in settings
    assert "CARD_LOCALE='de_DE.UTF-8'" in settings
    assert "CARD_KIOSK='yes'" in settings
    assert "CARD_PACKAGES='cage seatd chromium'" in settings
    assert cat(made.file, "/var/lib/maskgate-setup/config.toml") == config.read_text()
    assert any("chromium" in note and "needs the internet" in note for note in made.notes)


def test_wifi_secrets_stay_with_root(workbench: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    """The name is written as bytes, and blanks and backslashes of the password are escaped."""
    made = workbench.build(replace(CARD, wifi=Wifi("12;Tür", "DE", SECRET)))
    path = "/etc/NetworkManager/system-connections/maskgate.nmconnection"
    lines = cat(made.file, path).splitlines()
    assert "ssid=49;50;59;84;195;188;114;" in lines
    assert r"psk=\scorrect\\horse#battery\s" in lines
    assert mode(made.file, path) == "regular 0600 0 0"
    assert made.file.stat().st_mode & 0o777 == 0o600
    assert "battery" not in "".join(capsys.readouterr()) + repr(made.notes)
    line = run(["mtype", "-i", f"{made.file}@@{BOOT}", "::cmdline.txt"])
    assert line == "console=tty1 root=PARTUUID=1234abcd-02 rootwait cfg80211.ieee80211_regdom=DE\n"


def test_missing_packages_are_listed(workbench: Workbench) -> None:
    notes = workbench.build().notes
    assert any("python3-picamera2 is not in the base" in note for note in notes)
    assert not any("python3-picamera2 is not" in note for note in some(workbench.build(with_camera()).notes))


def with_camera() -> Card:
    return replace(CARD, packages=("python3-picamera2",))


def changed(base: Path, folder: Path, change: str) -> Path:
    """The base with one thing wrong."""
    image = folder / "changed.img"
    data = bytearray(base.read_bytes())
    if change == "gzip":
        data = bytearray(gzip.compress(bytes(data), 1))
    elif change == "zeros":
        data = bytearray(len(data))
    elif change == "ntfs":
        data[446 + 4] = 0x07
    elif change == "one partition":
        data[462:478] = bytes(16)
    elif change == "swapped":
        data[446:478] = data[462:478] + data[446:462]
    elif change == "gpt":
        data[446 + 4] = 0xEE
    elif change == "short":
        del data[-5 * MIB :]
    image.write_bytes(data)
    return image


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("gzip", r"found is a gzip archive: unpack it first; expected is .* an MBR with a FAT partition"),
        ("zeros", r"found is no partition table; expected is"),
        ("ntfs", r"found is an MBR with partitions of type 07 at 2048, 83 at 18432; expected is"),
        ("one partition", r"found is an MBR with partitions of type 0c at 2048; expected is"),
        ("swapped", r"partitions of type 83 at 18432, 0c at 2048; expected is"),
        ("gpt", r"found is a GPT; expected is"),
        ("short", r"changed.img is not whole: 5242880 bytes are missing at its end; download it again"),
    ],
)
def test_other_layouts_are_refused(workbench: Workbench, tmp_path: Path, change: str, sentence: str) -> None:
    with pytest.raises(DeployError, match=sentence):
        workbench.build(base=changed(workbench.base, tmp_path, change))
    assert list(workbench.folder.iterdir()) == []


def test_an_empty_file_is_no_image() -> None:
    with pytest.raises(DeployError, match="no partition table"):
        read_layout(b"", "empty.img")


def test_incomplete_downloads_are_recognised(workbench: Workbench, tmp_path: Path) -> None:
    packed = lzma.compress(workbench.base.read_bytes(), preset=0)
    for number, data in enumerate((packed[: len(packed) // 2], packed[:-4000] + bytes(4000))):
        broken = tmp_path / f"raspios{number}.img.xz"
        broken.write_bytes(data)
        with pytest.raises(DeployError, match=r"raspios\d.img.xz is not whole .*download it again"):
            workbench.build(base=broken)
    assert list(workbench.folder.iterdir()) == []


def test_damaged_file_systems_are_refused(workbench: Workbench, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.img"
    data = bytearray(workbench.base.read_bytes())
    data[ROOT + 1024 : ROOT + 4096] = os.urandom(3072)
    damaged.write_bytes(data)
    with pytest.raises(DeployError, match="e2fsck finds the root file system damaged"):
        workbench.build(base=damaged)
    assert list(workbench.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("var/lib/dpkg/status", status(architecture="armhf"), r"made for armhf.*use 'Raspberry Pi OS Lite \(64-bit\)'"),
        ("var/lib/dpkg/status", status(("libc6", "python3", "sudo")), "lacks systemd, openssh-server"),
        ("var/lib/dpkg/status", "", "is no Debian"),
    ],
)
def test_unsuitable_bases_are_refused(
    workbench: Workbench, tmp_path: Path, file: str, text: str, sentence: str
) -> None:
    root = tree(tmp_path / "tree")
    (root / file).write_text(text)
    with pytest.raises(DeployError, match=sentence):
        workbench.build(base=pack(root, tmp_path / "other.img", ROOT_SIZE))


def test_an_old_python_is_refused(workbench: Workbench, tmp_path: Path) -> None:
    root = tree(tmp_path / "tree")
    (root / "usr/bin/python3").unlink()
    (root / "usr/bin/python3").symlink_to("python3.9")
    with pytest.raises(DeployError, match=r"has Python 3\.9, not 3.10 to 3.13"):
        workbench.build(base=pack(root, tmp_path / "bullseye.img", ROOT_SIZE))


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        (replace(CARD, timezone="Europe/Atlantis"), "knows no time zone 'Europe/Atlantis'"),
        (replace(CARD, locale="xx_XX.UTF-8"), "knows no locale 'xx_XX.UTF-8'"),
    ],
)
def test_values_unknown_to_the_base(workbench: Workbench, card: Card, sentence: str) -> None:
    with pytest.raises(DeployError, match=sentence):
        workbench.build(card)
    assert list(workbench.folder.iterdir()) == []


def test_the_base_is_never_overwritten(workbench: Workbench) -> None:
    copy = shutil.copy2(workbench.base, workbench.folder / "card.img")
    before = hashlib.sha256(Path(copy).read_bytes()).digest()
    with pytest.raises(DeployError, match="is the base itself"):
        workbench.build(base=Path(copy))
    assert hashlib.sha256(Path(copy).read_bytes()).digest() == before


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_only_files_are_replaced(workbench: Workbench, kind: str) -> None:
    """A card reader's device is the usual mistake: replacing its node would not write to the card."""
    output = workbench.folder / "card.img"
    target = workbench.folder / "target"
    target.touch()
    {"folder": output.mkdir, "link": lambda: output.symlink_to(target), "pipe": lambda: os.mkfifo(output)}[kind]()
    with pytest.raises(DeployError, match="is not a file"):
        workbench.build()
    assert sorted(path.name for path in workbench.folder.iterdir()) == ["card.img", "target"]


def test_space_is_checked_first(workbench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 10 * 10**6))
    with pytest.raises(DeployError, match="has 10 MB free and making the image takes"):
        workbench.build()
    assert list(workbench.folder.iterdir()) == []


def test_missing_programs_name_their_packages(workbench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(filesystems, "PLACES", ())
    with pytest.raises(DeployError, match=r"Not installed here: debugfs, .*sudo apt install e2fsprogs mtools.*brew"):
        workbench.build()


def card_file(folder: Path, text: str) -> Path:
    file = folder / "image.toml"
    file.write_text(text)
    return file


def test_environment_variables_win(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(KEY)
    text = (
        f'hostname = "door1"\nssh_key = "{tmp_path}/key.pub"\nkiosk = true\npackages = ["vim", "python3-picamera2"]\n'
    )
    file = card_file(tmp_path, f'{text}[wifi]\nssid = "Shop"\ncountry = "DE"\n')
    card = read_card(file, {"IMAGE_HOSTNAME": "door2", "IMAGE_WIFI_PASSWORD": SECRET, "UNRELATED": "1"})
    assert card == Card(
        KEY, hostname="door2", kiosk=True, packages=("vim", "python3-picamera2"), wifi=Wifi("Shop", "DE", SECRET)
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "needs ssh_key = "),
        ('ssh_key = "-----BEGIN OPENSSH PRIVATE KEY-----"', "ssh_key: this is a private key"),
        ('ssh_key = "nonsense"', "neither a public key nor a file"),
        ('hostname = "Door 1"', "hostname must be a name of up to 63 .*; 'Door 1' is not"),
        ('user = "root"', "user must be a user's name"),
        ('user = "x; reboot"', "user must be"),
        ('hostname = "localhost"', "hostname must be"),
        (f'[wifi]\nssid = "{"ü" * 17}"\ncountry = "DE"', "a network's name of 1 to 32 bytes in UTF-8"),
        ('timezone = "../../etc/shadow"', "timezone must be"),
        ('locale = "de"', "locale must be a locale like"),
        ('kiosk = "perhaps"', "kiosk must be true or false"),
        ('packages = ["vim; reboot"]', "packages must be names of Debian packages"),
        ('config = "/nonexistent.toml"\nssh_key = "none"', "config: there is no file /nonexistent.toml"),
        ('colour = "red"', "sets colour, which is no setting of a card; there are hostname, "),
        ('wifi = "Shop"', "sets wifi, which is no setting"),
        ('ssh_key = "none"\n[wifi]\nssid = "Shop"', "Wi-Fi lacks wifi.country"),
        ('[wifi]\nssid = "Shop"\ncountry = "de"', "wifi.country must be a country's code"),
        ("hostname = ", "are no TOML"),
        (f"packages = {'[' * 5000}", "are no TOML"),
        (f"room_mb = {'1' * 5000}", "are no TOML"),
        ('ssh_key = "~nobody-of-that-name/key"', "no such user"),
        (r'ssh_key = "a\u0000b"', "neither a public key nor a file"),
        (r'ssh_key = "none"' + "\n" + r'config = "a\u0000b"', "config: there is no file"),
        ('config = "~nobody-of-that-name/a"', "no such user"),
    ],
)
def test_wrong_settings_say_what_is_right(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(DeployError, match=sentence):
        read_card(card_file(tmp_path, text), {})


@pytest.mark.parametrize(
    "user", ["maskgate", "maskgate-kiosk", "daemon", "sudo", "gpio", "sshd", "systemd-network", "nobody", "polkitd"]
)
def test_system_names_are_refused(tmp_path: Path, user: str) -> None:
    with pytest.raises(DeployError, match=f"user must be a name that the system does not use; '{user}' is not"):
        read_card(card_file(tmp_path, f'user = "{user}"'), {})


@pytest.mark.parametrize("ssid", ["ü" * 16, "x" * 32, "☕" * 10])
def test_network_names_have_32_bytes(tmp_path: Path, ssid: str) -> None:
    card = read_card(card_file(tmp_path, f'ssh_key = "none"\n[wifi]\nssid = "{ssid}"\ncountry = "DE"\n'), {})
    assert card.wifi == Wifi(ssid, "DE")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[camera]\nsource = ", "not valid TOML"),
        ('[camera]\nsauce = "demo"', "has no key 'sauce'; did you mean 'source'"),
        ("[face]\nthreshold = 7", "face.threshold = 7 is wrong"),
        ("[kamera]\n", "there is no section"),
    ],
)
def test_wrong_configurations_are_refused_early(
    tmp_path: Path, text: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is set in the workstation's environment says nothing about the card."""
    monkeypatch.setenv("MASKGATE_NO_SUCH_SETTING", "1")
    config = tmp_path / "config.toml"
    config.write_text('[camera]\nsource = "demo"\n')
    card = card_file(tmp_path, f'ssh_key = "none"\nconfig = "{config}"\n')
    assert read_card(card, {}).config == config
    config.write_text(text)
    with pytest.raises(DeployError, match=rf"^config: .*{sentence}"):
        read_card(card, {})


@pytest.mark.parametrize("user", ["vendor", "vendors"])
def test_the_bases_accounts_are_refused(workbench: Workbench, user: str) -> None:
    """The base has a system account vendor, and a system group vendors."""
    with pytest.raises(DeployError, match=f"'{user}' is an account of the base's own"):
        workbench.build(replace(CARD, user=user))


def test_the_bases_first_user_may_operate(workbench: Workbench) -> None:
    assert workbench.build(replace(CARD, user="pi")).file.exists()


def test_binary_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"IMAGE_SSH_KEY: ssh_key must be"):
        read_card(None, {"IMAGE_SSH_KEY": f"{KEY.strip()} \udcff"})


def test_a_wrong_password_is_not_repeated(tmp_path: Path) -> None:
    file = card_file(tmp_path, '[wifi]\nssid = "Shop"\ncountry = "DE"\npassword = "short"\n')
    with pytest.raises(DeployError, match=r"wifi\.password must be a passphrase") as told:
        read_card(file, {})
    assert "'short'" not in str(told.value)


def test_private_keys_stay_here(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n")
    with pytest.raises(DeployError, match=r"is a private key, which must not leave this machine; name .*key\.pub"):
        read_card(card_file(tmp_path, f'ssh_key = "{tmp_path}/key"'), {})


def test_no_base_says_where_to_look(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMAGE_BASE", raising=False)
    assert main(["image"]) == 2
    assert "make image BASE=FILE.img.xz" in capsys.readouterr().err


def test_a_missing_base_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = card_file(tmp_path, 'ssh_key = "none"')
    assert main(["image", "--base", str(tmp_path / "no.img"), "--settings", str(settings)]) == 1
    assert "no.img cannot be used: No such file or directory." in capsys.readouterr().err

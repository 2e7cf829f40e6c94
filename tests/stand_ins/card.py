"""A card from ``make image`` in a device, and copies of it that are switched off at any moment."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stand_ins.card_base import MIB, debugfs, pack
from tests.stand_ins.checkout import Checkout
from tests.stand_ins.container import Machine, must, unpack_root, wait_for
from tests.stand_ins.converted_model import converted_model

BASE_ROOT = 700 * MIB
SETUP = "/var/lib/maskgate-setup"
UNIT = "/etc/systemd/system/maskgate-first-boot.service"
CONFIG = """\
[camera]
source = "demo"
loop = true

[counts]
recordings = true

[alerts]
output = "none"
"""
# A board without a clock of its own, years before anything on it was made.
CLOCK = """\
[Service]
Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1
Environment="FAKETIME=@1996-02-29 12:00:00"
"""
PACKAGE = "maskgate-slow"
CONTROL = f"Package: {PACKAGE}\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: is slow\n"
CONFIGURING = "/srv/configuring"
POSTINST = f"#!/bin/sh\nset -e\ntouch {CONFIGURING}\nsleep 3\ntouch /srv/configured\n"
CURRENT = "/opt/maskgate/current"
PASSING = {
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/tmp",
    "/var/tmp",
    "/var/log",
    "/var/cache",
    "/var/lib/systemd",
    "/var/lib/maskgate",
    "/var/lib/private",
}
"""Folders that any boot writes to."""
FIXED = ("/etc/", "/home/", "/usr/local/", "/opt/maskgate/history", "/opt/maskgate/current")
VARYING = ("/etc/ssh/ssh_host_", "/etc/machine-id", "/etc/ld.so.cache", "/etc/resolv.conf")
BACKUPS = ("/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-")


class Card(Machine):
    """A device with a card from ``make image`` in it."""

    more_settings = ""

    def __init__(self, work: Path, checkout: Checkout) -> None:
        super().__init__(work)
        self.checkout = checkout
        self.image = work / "card.img"
        self.told = ""
        self._work = work
        self.model = converted_model(work / "converted")

    def fill(self) -> None:
        """Make base and card, and take the card's root file system out of it, owners and modes included."""
        scratch = self.root / "scratch"
        (scratch / "base").mkdir(parents=True)
        unpack_root(scratch / "base")
        self.listen(scratch / "base")
        drop_in = scratch / "base" / UNIT.lstrip("/")
        drop_in = drop_in.with_name(f"{drop_in.name}.d") / "clock.conf"
        drop_in.parent.mkdir(parents=True)
        drop_in.write_text(CLOCK)
        self.prepare(scratch / "base")
        base = pack(scratch / "base", scratch / "base.img", BASE_ROOT)
        self.told = self.checkout.make_image(base, self.settings(), scratch / "card.img", self.model)
        shutil.rmtree(scratch / "base")
        base.unlink()
        debugfs(scratch / "card.img", f"rdump / {self.root}")
        # Taken out, a file is given its owner last, which takes away the bit that makes sudo work.
        assert "Mode:  04755" in debugfs(scratch / "card.img", "stat /usr/bin/sudo")
        (self.root / "usr/bin/sudo").chmod(0o4755)
        shutil.rmtree(scratch)

    def prepare(self, base: Path) -> None:
        """Change the tree of the base before an image is made of it."""

    def settings(self) -> Path:
        """What the card is to be."""
        (self._work / "config.toml").write_text(CONFIG)
        settings = self._work / "image.toml"
        settings.write_text(
            f'hostname = "door1"\nssh_key = "{self.key}.pub"\ntimezone = "Europe/Berlin"\n'
            f'config = "{self._work}/config.toml"\n{self.more_settings}'
        )
        return settings

    def boot(self) -> None:
        """Switch on, and wait for what the console says first."""
        self.switch_on()
        wait_for(lambda: "Finishing this card" in self.shown(), 120, "the first boot begins")


class PackagedCard(Card):
    """A card that wants a Debian package, which takes seconds to configure and lies in a folder of the card itself."""

    more_settings = f'packages = ["{PACKAGE}"]\n'

    def prepare(self, base: Path) -> None:
        """Let apt find that package, and no other."""
        shop, tree = base / "srv/shop", base / "srv/tree"
        (tree / "DEBIAN").mkdir(parents=True)
        shop.mkdir()
        (tree / "DEBIAN/control").write_text(CONTROL)
        (tree / "DEBIAN/postinst").write_text(POSTINST)
        (tree / "DEBIAN/postinst").chmod(0o755)
        file = shop / "package.deb"
        must(["dpkg-deb", "--root-owner-group", "--build", str(tree), str(file)])
        shutil.rmtree(tree)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        about = f"Filename: ./{file.name}\nSize: {file.stat().st_size}\nSHA256: {digest}\n"
        (shop / "Packages").write_text(CONTROL + about)
        for sources in [*(base / "etc/apt/sources.list.d").iterdir(), base / "etc/apt/sources.list"]:
            sources.unlink(missing_ok=True)
        (base / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/shop ./\n")


class Copy(Machine):
    """Another card of the same image: ``pristine`` with a layer of its own over it, in memory."""

    def __init__(self, work: Path, pristine: Path) -> None:
        super().__init__(work)
        self.pristine, self.layers = pristine, work / "layers"

    def __enter__(self) -> Copy:
        """Lay an empty layer over the pristine card."""
        self.root.mkdir()
        self.layers.mkdir()
        must(["mount", "-t", "tmpfs", "tmpfs", str(self.layers)])
        for name in ("upper", "work"):
            (self.layers / name).mkdir()
        layers = f"lowerdir={self.pristine},upperdir={self.layers}/upper,workdir={self.layers}/work"
        must(["mount", "-t", "overlay", "-o", layers, "overlay", str(self.root)])
        return self

    def __exit__(self, *_: object) -> None:
        """Forget the layer."""
        super().__exit__()
        must(["umount", "--lazy", str(self.layers)])

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def is_finished(self) -> bool:
        """Whether nothing of the first boot is left, and the service is there."""
        return not any(map(os.path.lexists, (self.path(SETUP), self.path(UNIT)))) and self.path(CURRENT).is_symlink()

    def cut(self, moment: Callable[[], object], seconds: float) -> bool:
        """Switch on, and off again as soon as ``moment()`` is true or after some seconds; whether the moment came."""
        self.switch_on()
        return self.cut_power(moment, seconds)

    def finish(self) -> float:
        """Switch on, let the first boot finish, switch off; the seconds that it took."""
        self.switch_on()
        took = wait_for(self.is_finished, 400, f"the first boot ends; see {self.console}")
        time.sleep(1)
        self.cut_power()
        return took

    def state(self) -> set[str]:
        """Every file that a boot does not change by itself: kind, mode, owner, and its content where that is fixed."""
        return set(self._files())

    def _files(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self.root):
            here = Path(folder)
            folders[:] = [name for name in folders if f"/{(here / name).relative_to(self.root)}" not in PASSING]
            for path in (here / name for name in [*folders, *files]):
                yield from self._described(path)

    def _described(self, path: Path) -> Iterator[str]:
        name, about = f"/{path.relative_to(self.root)}", path.lstat()
        if name.endswith(BACKUPS):
            return
        if path.is_symlink():
            content = f" -> {path.readlink()}"
        elif path.is_file() and name.startswith(FIXED) and not name.startswith(VARYING):
            content = f" {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
        else:
            content = ""
        yield f"{name} {stat.filemode(about.st_mode)} {about.st_uid}:{about.st_gid}{content}"


@contextmanager
def pristine(work: Path, checkout: Checkout) -> Iterator[Card]:
    """A card that was never switched on."""
    card = PackagedCard(work, checkout)
    card.root.mkdir()
    must(["mount", "-t", "tmpfs", "-o", "size=75%", "tmpfs", str(card.root)])
    try:
        card.fill()
        yield card
    finally:
        must(["umount", "--lazy", str(card.root)])

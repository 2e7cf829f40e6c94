"""An emulated arm64 board with a card from ``make image``: Debian's own kernel, its drivers, power cuts; no firmware.

QEMU's ``virt`` machine. Its camera is the kernel's test driver vivid, its pins are those of a PL061 controller. Parts
that are slow to make are kept in ``~/.cache/maskgate-test``.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import subprocess
from pathlib import Path

from tests.stand_ins.card_base import DISK, MIB, MISSING, pack
from tests.stand_ins.checkout import Checkout
from tests.stand_ins.container import CACHE, SUITE, Device, must, root_tarball, wait_for

PACKAGES = (
    "systemd,systemd-sysv,dbus,udev,python3,openssh-server,rsync,sudo,kmod,iproute2,python3-gpiozero,python3-libgpiod,"
    "locales,netbase"
)
KERNEL_PACKAGES = "linux-image-arm64,busybox-static"
ARM64 = "--architectures=arm64"
TOOLS = ("mmdebstrap", "qemu-system-aarch64", "cpio", "depmod", "modprobe", "ssh", "ssh-keygen", "ssh-keyscan", "rsync")
BASE_ROOT = 1000 * MIB
BOOT_MODULES = ("virtio_blk", "virtio_pci", "ext4")
"""What is needed to find and mount the card."""
BOOT_SECONDS = 900
"""Until sshd answers, on a busy machine."""
CLOCK = "2035-01-01T00:00:00"
"""What the board's clock says whenever it is switched on. One that is behind, systemd sets to its own birthday."""
KERNEL_OPTIONS = "console=ttyAMA0 systemd.default_timeout_start_sec=600 systemd.default_device_timeout_sec=600"
"""Patience, for the board is far slower than one that is sold."""

INIT = """\
#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
$B cat /modules/list | while read module; do $B insmod /modules/$module; done
until [ -b /dev/vda2 ]; do $B sleep 0.1; done
$B mount -t ext4 -o rw /dev/vda2 /newroot || exec $B sh
$B umount /proc; $B umount /sys; $B mount -o move /dev /newroot/dev
exec $B switch_root /newroot /sbin/init
"""
TREE = {
    "etc/fstab": (
        f"PARTUUID={DISK}-02 / ext4 defaults 0 1\nPARTUUID={DISK}-01 /boot/firmware vfat defaults,nofail 0 2\n"
    ),
    "etc/systemd/network/80-ethernet.network": "[Match]\nName=e*\n[Network]\nDHCP=yes\n",
    # As Raspberry Pi OS has it: members of the group may drive pins.
    "etc/udev/rules.d/60-gpio.rules": 'SUBSYSTEM=="gpio", KERNEL=="gpiochip*", GROUP="gpio", MODE="0660"\n',
    "etc/modules-load.d/camera.conf": "vivid\n",
    "etc/systemd/system/systemd-modules-load.service.d/slow.conf": "[Service]\nTimeoutSec=600\n",
    "etc/modprobe.d/camera.conf": "options vivid n_devs=1 node_types=0x1\n",
}


def missing() -> str | None:
    """Why no board can be emulated here, or None."""
    if os.geteuid() != 0:
        return "making an arm64 root file system needs root"
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    if lacking:
        return f"not installed: {', '.join(lacking)} (apt install mmdebstrap qemu-system-arm cpio kmod)"
    if not Path("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists():
        return "arm64 programs do not run here (apt install qemu-user-static binfmt-support arch-test)"
    return MISSING


def kernel_tree() -> Path:
    """A folder with Debian's arm64 kernel, its modules and busybox: unpacked, not installed."""
    name = hashlib.sha256(f"{SUITE} {KERNEL_PACKAGES}".encode()).hexdigest()[:12]
    folder = CACHE / f"{SUITE}-kernel-{name}"
    if not folder.exists():
        part = folder.with_name(f"part-{folder.name}")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        tar = part / "all.tar"
        must(["mmdebstrap", ARM64, "--variant=extract", f"--include={KERNEL_PACKAGES}", SUITE, str(tar)])
        must(["tar", "-xf", str(tar), "-C", str(part), "./boot", "./usr/lib/modules", "./usr/bin/busybox"])
        tar.unlink()
        (part / "lib").symlink_to("usr/lib")
        must(["depmod", "-b", str(part), kernel_version(part)])
        part.rename(folder)
    return folder


def kernel_version(tree: Path) -> str:
    """The version of the one kernel in ``tree``."""
    (modules,) = (tree / "usr/lib/modules").iterdir()
    return modules.name


def boot_modules(kernel: Path) -> list[Path]:
    """The modules that find and mount the card, each after those it needs."""
    command = ["modprobe", "-S", kernel_version(kernel), "-d", str(kernel), "--show-depends"]
    shown = [line.split() for name in BOOT_MODULES for line in must([*command, name]).splitlines()]
    return list(dict.fromkeys(Path(words[1]) for words in shown if words[0] == "insmod"))


def make_initramfs(kernel: Path, work: Path) -> Path:
    """What mounts the card: busybox and the modules for that, packed natively."""
    tree = work / "initramfs"
    for folder in ("bin", "dev", "proc", "sys", "newroot", "modules"):
        (tree / folder).mkdir(parents=True)
    shutil.copy2(kernel / "usr/bin/busybox", tree / "bin")
    modules = boot_modules(kernel)
    for module in modules:
        (tree / "modules" / module.stem).write_bytes(lzma.decompress(module.read_bytes()))
    (tree / "modules/list").write_text("".join(f"{module.stem}\n" for module in modules))
    (tree / "init").write_text(INIT)
    (tree / "init").chmod(0o755)
    archive = subprocess.run(
        ["cpio", "--create", "--format=newc", "--quiet"],
        input="\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*"))).encode(),
        cwd=tree,
        capture_output=True,
        check=True,
    ).stdout
    packed = work / "initramfs.gz"
    packed.write_bytes(gzip.compress(archive, 1))
    return packed


def make_base(kernel: Path, work: Path) -> Path:
    """A base image of Debian arm64 with network, camera and pins, and nothing of maskgate."""
    tree = work / "tree"
    tree.mkdir()
    must(["tar", "-xf", str(root_tarball(PACKAGES, ARM64)), "-C", str(tree), "--numeric-owner"])
    must(["cp", "-a", str(kernel / "usr/lib/modules"), str(tree / "usr/lib/modules")])
    for name, text in TREE.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "boot/firmware").mkdir(parents=True, exist_ok=True)
    with (tree / "etc/group").open("a") as groups:
        groups.write("gpio:x:880:\n")
    wanted = tree / "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
    wanted.symlink_to("/usr/lib/systemd/system/systemd-networkd.service")
    base = pack(tree, work / "base.img", BASE_ROOT)
    shutil.rmtree(tree)
    return base


class Board(Device):
    """The board with its card, switched on and off."""

    def __init__(self, work: Path, checkout: Checkout, config: str) -> None:
        """Make the card, with ``config`` as maskgate's settings."""
        super().__init__(work)
        # An emulated processor takes seconds to shake hands. The shared connection ends with the emulator.
        with self.ssh_config.open("a") as ssh_config:
            ssh_config.write(f"ControlMaster auto\nControlPath {work}/ssh\nControlPersist yes\nConnectTimeout 60\n")
        kernel = kernel_tree()
        self._kernel = kernel / "boot" / f"vmlinuz-{kernel_version(kernel)}"
        self._initramfs = make_initramfs(kernel, work)
        self.image = work / "card.img"
        base = make_base(kernel, work)
        (work / "config.toml").write_text(config)
        (work / "image.toml").write_text(
            f'hostname = "board"\nssh_key = "{self.key}.pub"\nconfig = "{work}/config.toml"\nroom_mb = 500\n'
        )
        self.told = checkout.make_image(base, work / "image.toml", self.image)
        base.unlink()
        self._emulator: subprocess.Popen[bytes] | None = None

    def switch_on(self) -> None:
        """Begin to boot; nothing is waited for."""
        network = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22"
        command = ["qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "2048"]
        command += ["-accel", "tcg,thread=multi,tb-size=512", "-no-reboot", "-display", "none", "-monitor", "none"]
        command += ["-kernel", str(self._kernel), "-initrd", str(self._initramfs), "-append", KERNEL_OPTIONS]
        # Writes go to the image as they would to a card: what the emulator had not yet written is lost with it.
        command += ["-drive", f"file={self.image},if=none,id=card,format=raw", "-device", "virtio-blk-pci,drive=card"]
        command += ["-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"]
        command += ["-chardev", f"file,id=tty,path={self.console},append=on", "-serial", "chardev:tty"]
        command += ["-rtc", f"base={CLOCK}"]
        self._emulator = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def cut_power(self) -> None:
        """Nothing on it runs from one moment to the next."""
        if self._emulator:
            self._emulator.kill()
            self._emulator.wait()
            self._emulator = None

    def wait_until_reached(self) -> float:
        """Wait for sshd, and return how many seconds that took."""
        return wait_for(lambda: self.run("true").returncode == 0, BOOT_SECONDS, "the board answers")

    def wait_until_shown(self, words: str, seconds: float) -> float:
        """Wait until the console shows ``words``, and return how many seconds that took."""

        def shown() -> bool:
            assert self._emulator and self._emulator.poll() is None, f"the board is off: {self.shown()[-2000:]}"
            return words in self.shown()

        return wait_for(shown, seconds, f"'{words}' on the console")

"""A base for card images, laid out as Raspberry Pi OS is: an MBR, a FAT partition, an ext4 partition. No mount."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from deploy.image.filesystems import search_path
from tests.stand_ins.container import call

TOOLS = ("debugfs", "e2fsck", "resize2fs", "mcopy", "sfdisk", "mkfs.vfat", "mke2fs")
LACKING = [tool for tool in TOOLS if not shutil.which(tool, path=search_path())]
MISSING = f"not installed: {', '.join(LACKING)} (apt install e2fsprogs mtools fdisk dosfstools)" if LACKING else None
"""Why no card images can be made here, or None."""

MIB = 1 << 20
SECTOR = 512
BOOT, ROOT = 1 * MIB, 9 * MIB
"""Where the partitions begin, in bytes."""
DISK = "1234abcd"
"""Begins the identifiers of the partitions."""
COMMAND_LINE = f"console=tty1 root=PARTUUID={DISK}-02 cfg80211.ieee80211_regdom=GB rootwait\n"


def run(command: Sequence[str], text: str | None = None) -> str:
    """Run a program of the file systems that has to work, and return what it printed."""
    done = call(command, input=text, env={**os.environ, "PATH": search_path()})
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def debugfs(image: Path, request: str) -> str:
    """Ask for something in the root partition of ``image``."""
    return run(["debugfs", "-R", request, f"{image}?offset={ROOT}"])


def pack(root: Path, image: Path, root_size: int) -> Path:
    """A base with the tree ``root`` in its second partition of ``root_size`` bytes."""
    boot, body, line = (image.with_suffix(suffix) for suffix in (".boot", ".root", ".txt"))
    boot.touch()
    os.truncate(boot, ROOT - BOOT)
    run(["mkfs.vfat", "-n", "BOOTFS", str(boot)])
    line.write_text(COMMAND_LINE)
    run(["mcopy", "-i", str(boot), str(line), "::cmdline.txt"])
    body.touch()
    os.truncate(body, root_size)
    run(["mke2fs", "-q", "-t", "ext4", "-F", "-E", "root_owner=0:0", "-d", str(root), str(body)])
    image.touch()
    os.truncate(image, ROOT + root_size)
    layout = f"label: dos\nlabel-id: 0x{DISK}\nstart={BOOT // SECTOR}, size={(ROOT - BOOT) // SECTOR}, type=c\n"
    run(["sfdisk", "-q", str(image)], f"{layout}start={ROOT // SECTOR}, size={root_size // SECTOR}, type=83\n")
    for part, offset in ((boot, BOOT), (body, ROOT)):
        run(["dd", f"if={part}", f"of={image}", "bs=1M", f"seek={offset // MIB}", "conv=notrunc,sparse", "status=none"])
        part.unlink()
    return image

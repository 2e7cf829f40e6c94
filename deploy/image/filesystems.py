"""Files in an ext4 or FAT file system that lies in a plain file, by e2fsprogs and mtools: no mount, no root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deploy.errors import DeployError

PACKAGES = {"debugfs": "e2fsprogs", "e2fsck": "e2fsprogs", "resize2fs": "e2fsprogs", "mcopy": "mtools"}
"""The programs needed, and the packages of apt and brew that have them."""
PLACES = ("/usr/sbin", "/sbin", "/opt/homebrew/opt/e2fsprogs/sbin", "/usr/local/opt/e2fsprogs/sbin")
"""Where they lie when the search path does not say so: Debian keeps them from users, Homebrew from everyone."""
SAFE = re.compile(r"[A-Za-z0-9/._+@-]+")
"""Names that debugfs takes as they are."""
REPAIRED = 1
"""Greatest exit code of e2fsck for a file system that is, or now is, in order."""
MOST_LINKS = 8
KEEP_MODE = -1
"""As the mode of an entry: owner, group and mode of the file that it replaces."""


def search_path() -> str:
    """Where programs are looked for."""
    return os.pathsep.join([os.environ.get("PATH", ""), *PLACES])


def require_programs() -> None:
    """Look for every program.

    Raises:
        DeployError: Some are missing; the text names the packages.
    """
    missing = [program for program in PACKAGES if not shutil.which(program, path=search_path())]
    if missing:
        packages = " ".join(sorted({PACKAGES[program] for program in missing}))
        raise DeployError(
            f"Not installed here: {', '.join(missing)}; run 'sudo apt install {packages}' (macOS: 'brew install "
            f"{packages}'), then run this again."
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or link to be put into a file system, owned by root.

    Attributes:
        path: Where, absolute.
        content: What is in it: bytes, a file of this machine, or ``Link``.
        mode: Permission bits, or ``KEEP_MODE``.
    """

    path: str
    content: bytes | Path | Link
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link to ``target``."""

    target: str


class Ext4:
    """An ext2, ext3 or ext4 file system in a file of its own."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def check(self, repair: bool = False) -> None:
        """Check the whole file system, and with ``repair`` finish what an unclean unmount left.

        Raises:
            DeployError: It is damaged, or of a kind that this machine's e2fsprogs does not know.
        """
        done = _run(["e2fsck", "-f", "-p" if repair else "-n", str(self.file)])
        if done.returncode > (REPAIRED if repair else 0):
            last = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
            raise DeployError(
                f"e2fsck finds the root file system damaged or too new for it ({last[-1] if last else 'no reason'}); "
                "download the base again, or install a newer e2fsprogs."
            )

    def grow(self, size: int) -> None:
        """Make file and file system ``size`` bytes long.

        Raises:
            DeployError: It cannot be grown.
        """
        os.truncate(self.file, size)
        done = _run(["resize2fs", str(self.file)])
        if done.returncode:
            raise DeployError(f"resize2fs could not grow the root file system: {_last_line(done.stderr)}.")

    def free_bytes(self) -> int:
        """Free space, what is kept for root included."""
        stats = self._ask("stats -h").decode(errors="replace")
        numbers = dict(re.findall(r"^(Free blocks|Block size):\s+(\d+)$", stats, re.MULTILINE))
        return int(numbers["Free blocks"]) * int(numbers["Block size"])

    def exists(self, path: str) -> bool:
        """Whether there is something at ``path``, be it a dangling link."""
        return bool(self._kind(path))

    def read(self, path: str) -> bytes | None:
        """What is in the file at ``path``, links followed; None where there is none."""
        path = self.follow(path)
        return self._ask(f"cat {_safe(path)}") if self._kind(path) == "regular" else None

    def follow(self, path: str) -> str:
        """Where the links at ``path`` lead."""
        for _ in range(MOST_LINKS):
            stat = self._ask(f"stat {_safe(path)}").decode(errors="replace")
            target = re.search(r'^Fast link dest: "(.*)"$', stat, re.MULTILINE)
            if not target:
                break
            path = os.path.normpath(PurePosixPath(path).parent / target[1])
        return path

    def names(self, folder: str) -> list[str]:
        """Names in the folder at ``folder``, none where there is no folder."""
        lines = self._ask(f"ls -p {_safe(folder)}").decode(errors="replace").splitlines()
        names = (line.split("/")[5] for line in lines if line.count("/") > 5)  # noqa: PLR2004
        return [name for name in names if name not in (".", "..")]

    def write(self, entries: Sequence[Entry], remove: Iterable[str] = ()) -> None:
        """Remove files, then put ``entries`` in, with the folders above them.

        Raises:
            DeployError: Something could not be written, as for want of space.
        """
        # Secrets are among it: the folder is of mode 700.
        with tempfile.TemporaryDirectory(prefix="maskgate-") as staging:
            commands = [f"rm {_safe(path)}" for path in remove]
            for folder in self._missing_folders(entries):
                commands += [f"mkdir {_safe(folder)}", f"set_inode_field {_safe(folder)} mode 040755"]
            for number, entry in enumerate(entries):
                commands += self._put(entry, Path(staging), number)
            script = Path(staging) / "commands"
            script.write_text("\n".join(commands) + "\n", "utf-8")
            done = _run(["debugfs", "-w", "-f", "commands", str(self.file.resolve())], Path(staging))
        complaints = [line for line in done.stderr.decode(errors="replace").splitlines() if not _is_banner(line)]
        if complaints or done.returncode:
            raise DeployError(f"debugfs could not write into the image: {(complaints or ['it said nothing'])[0]}.")

    def _put(self, entry: Entry, staging: Path, number: int) -> list[str]:
        path = _safe(entry.path)
        folder, name = os.path.split(path)
        remove = [f"rm {path}"] if self.exists(entry.path) else []
        user, group, mode = self._ownership(entry.path) if entry.mode == KEEP_MODE else (0, 0, entry.mode)
        if isinstance(entry.content, Link):
            return [*remove, f"symlink {path} {_safe(entry.content.target)}"]
        source = staging / str(number)
        if isinstance(entry.content, Path):
            source.symlink_to(entry.content.resolve())
        else:
            source.write_bytes(entry.content)
        return [
            *remove,
            f"cd {folder}",
            f"write {number} {name}",
            f"set_inode_field {name} uid {user}",
            f"set_inode_field {name} gid {group}",
            f"set_inode_field {name} mode 0100{mode:03o}",
            "cd /",
        ]

    def _missing_folders(self, entries: Sequence[Entry]) -> list[str]:
        folders = {str(above) for entry in entries for above in PurePosixPath(entry.path).parents}
        return [folder for folder in sorted(folders) if not self.exists(folder)]

    def _kind(self, path: str) -> str:
        stat = self._ask(f"stat {_safe(path)}").decode(errors="replace")
        kind = re.search(r"^Inode: \d+ +Type: (\w+)", stat, re.MULTILINE)
        return kind[1] if kind else ""

    def _ownership(self, path: str) -> tuple[int, int, int]:
        """User, group and permission bits."""
        stat = self._ask(f"stat {_safe(path)}").decode(errors="replace")
        mode = re.search(r"Mode: +(\d+)", stat)
        owner = re.search(r"User: +(\d+) +Group: +(\d+)", stat)
        if not mode or not owner:
            raise DeployError(f"The base has no {path}; use Raspberry Pi OS.")
        return int(owner[1]), int(owner[2]), int(mode[1], 8)

    def _ask(self, request: str) -> bytes:
        done = _run(["debugfs", "-R", request, str(self.file)])
        if b"Filesystem not open" in done.stderr:
            raise DeployError(f"debugfs cannot read the root file system: {_last_line(done.stderr)}.")
        return done.stdout


class Fat:
    """A FAT file system that begins ``offset`` bytes into ``image``."""

    def __init__(self, image: Path, offset: int) -> None:
        self._drive = ["-i", f"{image}@@{offset}"]

    def read(self, name: str) -> bytes | None:
        """What is in the file ``name`` of the topmost folder; None where there is none."""
        done = _run(["mcopy", *self._drive, f"::{name}", "-"])
        return done.stdout if done.returncode == 0 else None

    def write(self, name: str, content: bytes) -> None:
        """Make or replace the file ``name`` in the topmost folder.

        Raises:
            DeployError: It could not be written.
        """
        done = _run(["mcopy", "-o", *self._drive, "-", f"::{name}"], content=content)
        if done.returncode:
            raise DeployError(f"mcopy could not write {name} into the boot partition: {_last_line(done.stderr)}.")


def _run(
    command: Sequence[str], folder: Path | None = None, content: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PATH": search_path(), "LC_ALL": "C", "MTOOLS_SKIP_CHECK": "1", "DEBUGFS_PAGER": "cat"}
    return subprocess.run(  # noqa: S603
        command, cwd=folder, input=content, capture_output=True, check=False, env=environment
    )


def _safe(path: str) -> str:
    """``path`` for a line of debugfs.

    Raises:
        DeployError: It has characters that debugfs would take apart.
    """
    if not SAFE.fullmatch(path):
        raise DeployError(f"'{path}' cannot be named in the image; letters, digits and ._+@-/ only.")
    return path


def _is_banner(line: str) -> bool:
    return not line.strip() or re.match(r"debugfs \d", line) is not None


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1].rstrip(".") if lines else "it said nothing"

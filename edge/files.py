"""Small text files: read as people write them with all kinds of editors, and replaced at once or not at all."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edge.messages import message

LARGEST = 2**20
"""Of a text file, in bytes."""

KINDS = {
    stat.S_IFDIR: message("file.folder"),
    stat.S_IFIFO: message("file.fifo"),
    stat.S_IFSOCK: message("file.socket"),
    stat.S_IFCHR: message("file.device"),
    stat.S_IFBLK: message("file.device"),
}
"""What is not a file, by the type in its mode."""


class NotTextError(ValueError):
    """A file that should hold UTF-8 text holds something else; the text says what, and how to fix it."""


def exists(path: Path) -> bool:
    """Whether there is something, as far as this user may look."""
    try:
        return path.exists()
    except OSError:
        return False


def may_be_file(path: Path | os.DirEntry[str]) -> bool:
    """Whether there is a file; also where this user may not find that out, because reading it then says why."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark. Never waits, and never takes more than ``LARGEST``.

    Raises:
        OSError: It cannot be read.
        NotTextError: It is not UTF-8, too large, or a FIFO or a device.
    """
    content = _read(path)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise NotTextError(f"{path} is UTF-16 text; save it as UTF-8")
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise NotTextError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def _read(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        kind = stat.S_IFMT(os.fstat(handle).st_mode)
        if kind in KINDS:
            raise NotTextError(f"{path} is {KINDS[kind]}, not a file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(LARGEST + 1)
    finally:
        os.close(handle)
    if len(content) > LARGEST:
        raise NotTextError(f"{path} is larger than {LARGEST // 2**20} MB")
    return content


def replace_text(path: Path, text: str, mode: int = 0o666, prepare: Callable[[int], None] | None = None) -> None:
    """Replace a file at once, or not at all. What somebody else put where the new one is prepared is not followed.

    Args:
        path: The file; its folder is made.
        text: All that it is to hold.
        mode: Of a file that is made; the umask takes from it.
        prepare: Called with the new file before it takes the place, to give it an owner.

    Raises:
        OSError: It cannot be written; what was there is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if prepare:
                prepare(handle)
            os.fsync(handle)
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
    _keep_name(path.parent)


def _keep_name(folder: Path) -> None:
    """A new name is on the disk once its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

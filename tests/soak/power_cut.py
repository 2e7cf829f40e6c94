"""Disks whose power fails: what a run did to its files is replayed up to a moment, and what was not synced is torn.

A write that was not followed by a sync of its file arrives sector by sector or not at all, in any order; a truncation
that was not, and a removal that was not followed by a sync of the folder, may or may not have happened. What was synced
stays, and so does the name of a file that was.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field
from pathlib import Path

HEADER = struct.Struct("IIQQ")
"""``struct entry`` of ``tests/stand_ins/native/faulty_machine.c``."""
SECTOR = 512


@dataclass(frozen=True)
class Entry:
    """One thing done to a file: ``kind`` is W(rite), T(runcate), S(ync), U(nlink) or D(irectory sync)."""

    kind: str
    path: Path
    offset: int
    size: int
    content: bytes


def read_journal(path: Path) -> list[Entry]:
    """All entries of a journal, without those of SQLite's shared memory, which no power cut outlives."""
    data, at, entries = path.read_bytes(), 0, []
    while at < len(data):
        kind, path_size, offset, size = HEADER.unpack_from(data, at)
        at += HEADER.size
        name = data[at : at + path_size].decode()
        at += path_size
        content = data[at : at + size] if chr(kind) == "W" else b""
        at += len(content)
        if not name.endswith("-shm"):
            entries.append(Entry(chr(kind), Path(name), offset, size, content))
    return entries


@dataclass
class File:
    """What is on the disk for certain, None before the file's first sync, and what may be."""

    safe: bytearray | None = None
    pending: list[Entry] = field(default_factory=list)

    def sync(self) -> None:
        """Make certain what may be."""
        self.safe = bytearray() if self.safe is None else self.safe
        for one in self.pending:
            _apply(one, self.safe)
        self.pending.clear()


class Disk:
    """Files by name, and what of them would survive."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self._removed: dict[str, File] = {}

    def take(self, entry: Entry) -> None:
        """Let something be done to a file."""
        name = entry.path.name
        if entry.kind == "D":
            self._removed.clear()
        elif entry.kind == "U":
            self._removed[name] = self.files.pop(name, File())
        elif entry.kind == "S":
            self.files.setdefault(name, File()).sync()
        else:
            self.files.setdefault(name, File()).pending.append(entry)

    def lose_power(self, rng: random.Random) -> None:
        """Settle what arrived of that which was not synced."""
        for name, file in self._removed.items():
            if rng.random() < 1 / 2:
                self.files.setdefault(name, file)
        for name, file in list(self.files.items()):
            content = file.safe
            for one in file.pending:
                if one.kind == "W":
                    content = _torn(one, bytearray() if content is None else content, rng)
                elif content is not None and rng.random() < 1 / 2:
                    _apply(one, content)
            if content is None:
                del self.files[name]
            else:
                self.files[name] = File(content)

    def write(self, folder: Path) -> None:
        """Lay the files out in ``folder``."""
        folder.mkdir(parents=True)
        for name, file in self.files.items():
            (folder / name).write_bytes(file.safe or b"")


def _apply(entry: Entry, content: bytearray) -> None:
    if entry.kind == "W":
        _put(content, entry.offset, entry.content)
    else:
        del content[entry.size :]
        content.extend(bytes(entry.size - len(content)))


def _torn(entry: Entry, content: bytearray, rng: random.Random) -> bytearray:
    """A write of which some sectors arrive: all, none, the first few, or any."""
    sectors = range(entry.offset - entry.offset % SECTOR, entry.offset + entry.size, SECTOR)
    first_few = rng.randint(0, len(sectors))
    arriving = rng.choice([sectors, (), sectors[:first_few], [one for one in sectors if rng.random() < 1 / 2]])
    for sector in arriving:
        begin, end = max(sector, entry.offset), min(sector + SECTOR, entry.offset + entry.size)
        _put(content, begin, entry.content[begin - entry.offset : end - entry.offset])
    return content


def _put(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data

"""The partition table of a card's image, read and rewritten without mounting anything.

Format of the master boot record: UEFI Specification 2.10, section 5.2.1 (legacy MBR).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from deploy.errors import DeployError

SECTOR = 512
TABLE, ENTRY, ENTRIES = 446, 16, 4
"""Byte offset of the first entry, bytes of one, and how many there are."""
FAT_KINDS, LINUX_KIND, GPT_KIND = (0x0B, 0x0C, 0x0E), 0x83, 0xEE
EXPECTED = (
    "expected is what a Raspberry Pi OS image has: an MBR with a FAT partition (type 0b, 0c or 0e) and after it a "
    "Linux partition (type 83)"
)
ARCHIVES = {
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"BZh": "a bzip2 archive: unpack it first",
    b"(\xb5/\xfd": "a zstd archive: unpack it first",
    b"\x7fELF": "a program",
    b"<": "a web page: the download went wrong",
}
"""First bytes of files that are taken for an image, and what they are."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One entry of the table.

    Attributes:
        number: 1 to 4.
        kind: Type byte.
        start: Offset in the image, in bytes.
        size: In bytes.
    """

    number: int
    kind: int
    start: int
    size: int


def read_layout(first_sector: bytes, name: str) -> tuple[Partition, Partition]:
    """The boot and the root partition of the image ``name``, whose first 512 bytes are ``first_sector``.

    Raises:
        DeployError: The layout is another one; the text says what was found and what is expected.
    """
    found = _describe(first_sector)
    partitions = _entries(first_sector)
    if found is None and len(partitions) == 2:  # noqa: PLR2004
        boot, root = partitions
        in_order = 0 < boot.start < boot.start + boot.size <= root.start and root.size > 0
        if boot.kind in FAT_KINDS and root.kind == LINUX_KIND and in_order:
            return boot, root
    kinds = ", ".join(f"{part.kind:02x} at {part.start // SECTOR}" for part in partitions)
    found = found or f"an MBR with partitions of type {kinds or 'none'}"
    raise DeployError(f"{name} is not laid out as needed: found is {found}; {EXPECTED}.")


def resized(first_sector: bytes, partition: Partition, size: int) -> bytes:
    """The first sector with ``partition`` of ``size`` bytes, and nothing else changed: the disk keeps its identity."""
    changed = bytearray(first_sector)
    entry = TABLE + ENTRY * (partition.number - 1)
    struct.pack_into("<I", changed, entry + 12, size // SECTOR)
    # The end in cylinders, heads and sectors is out of its range, which this value says.
    changed[entry + 5 : entry + 8] = b"\xfe\xff\xff"
    return bytes(changed)


def _entries(first_sector: bytes) -> list[Partition]:
    if len(first_sector) < SECTOR:
        return []
    entries = []
    for index in range(ENTRIES):
        kind, start, size = struct.unpack_from("<4xB3xII", first_sector, TABLE + ENTRY * index)
        if kind:
            entries.append(Partition(index + 1, kind, start * SECTOR, size * SECTOR))
    return entries


def _describe(first_sector: bytes) -> str | None:
    """What the file is where it has no usable master boot record."""
    for magic, what in ARCHIVES.items():
        if first_sector.startswith(magic):
            return what
    if len(first_sector) < SECTOR or first_sector[510:512] != b"\x55\xaa":
        return "no partition table"
    if any(part.kind == GPT_KIND for part in _entries(first_sector)):
        return "a GPT"
    return None

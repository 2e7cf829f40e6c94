"""``python -m deploy image``: a base image that the user downloaded, with a release, settings and a first boot put in.

Nothing is mounted and nothing needs root. The root partition is taken out into a file of its own, grown and written
there, and put back behind the boot partition.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from deploy.errors import DeployError
from deploy.image import contents
from deploy.image.base import Base, read_base
from deploy.image.card import Card
from deploy.image.filesystems import Ext4, Fat, require_programs
from deploy.image.partitions import SECTOR, Partition, read_layout, resized
from deploy.payload import BUILD, build_alone, build_payload, build_release

CHUNK = 4 << 20
"""Bytes copied at once; images and root partitions are made a multiple of it, as cards like it."""
XZ_MAGIC = b"\xfd7zXZ\x00"
INSTALLED_FACTOR = 4
"""Of the size of its wheels, what a release takes while it is installed."""
RELEASES = 2
SPARE = 200 * 10**6
"""Bytes left over for logs and counts where the base does not grow by itself."""


@dataclass(frozen=True, slots=True)
class Image:
    """A card's image that was made.

    Attributes:
        file: To be flashed.
        sha256: Of it, in hexadecimal.
        size: In bytes.
        base: What it was made of.
        release: What is on it.
        notes: What its owner should know, a sentence each.
    """

    file: Path
    sha256: str
    size: int
    base: Base
    release: str
    notes: tuple[str, ...]


def build_image(
    source: Path,
    card: Card,
    output: Path | None,
    tell: Callable[[str], None],
    release_for: Callable[[Base, Callable[[str], None]], tuple[str, Path]] | None = None,
    *,
    model: Path | None = None,
) -> Image:
    """Make a card's image of ``source``, an image or one packed by xz, which stays as it is.

    Args:
        source: The base.
        card: What the card is to be.
        output: Where to; None for a name of its own in build/image.
        tell: Gets a line for each step.
        release_for: Names the release and the folder that has it; None for that of this checkout.
        model: Of one's own, to be in the release of this checkout.

    Raises:
        DeployError: It could not be made; nothing is left of it then.
    """
    require_programs()
    folder = output.parent if output else BUILD / "image"
    with _opened(source) as stream:
        if output:
            _refuse_output(output, source)
        first_sector = stream.read(SECTOR)
        boot, root = read_layout(first_sector, source.name)
        _require_space(folder, root)
        with _scratch(folder) as work:
            tell(f"Taking {source.name} apart ...")
            head, body = work / "head", work / "root"
            head.write_bytes(first_sector)
            _copy(stream, head, root.start - SECTOR, source.name)
            _copy(stream, body, root.size, source.name)
            base = _checked(Ext4(body), source.name, tell)
            release, payload = (release_for or partial(_release, model))(base, tell)
            size = _fill(Ext4(body), base, card, payload, tell)
            for name, content in contents.boot_files(Fat(head, boot.start), card, release).items():
                Fat(head, boot.start).write(name, content)
            _join(head, body, resized(first_sector, root, size))
            file = output or folder / f"maskgate-{release}-{_stem(source)}.img"
            # The Wi-Fi's password is in it.
            head.chmod(0o600)
            head.replace(file)
    digest = _sha256(file)
    file.with_name(f"{file.name}.sha256").write_text(f"{digest}  {file.name}\n", "utf-8")
    return Image(file, digest, file.stat().st_size, base, release, tuple(contents.notes(base, card)))


def _checked(root: Ext4, name: str, tell: Callable[[str], None]) -> Base:
    root.check(repair=True)
    base = read_base(root, name)
    tell(f"{name} is {base.name}, {base.target.architecture}, with Python {base.target.python_version}.")
    return base


def _release(model: Path | None, base: Base, tell: Callable[[str], None]) -> tuple[str, Path]:
    with build_alone():
        wheel, release = build_release(model)
        tell(f"Release {release}: gathering the wheels for {base.target} ...")
        return release, build_payload(wheel, release, base.target)


def _fill(root: Ext4, base: Base, card: Card, payload: Path, tell: Callable[[str], None]) -> int:
    """Grow the root file system and write into it; its new size in bytes."""
    entries, remove = contents.root_entries(root, base, card, payload)
    before = root.file.stat().st_size
    size = _grown(root, before, payload, card)
    tell(f"Writing {len(entries)} files; the root partition has {size // 10**6} MB (before: {before // 10**6} MB) ...")
    if size > before:
        root.grow(size)
    root.write(entries, remove)
    root.check()
    return size


def _join(head: Path, body: Path, first_sector: bytes) -> None:
    """Put the root file system behind ``head``, and the partition table that says so before it."""
    with body.open("rb") as stream:
        _copy(stream, head, body.stat().st_size, body.name)
    with head.open("r+b") as image:
        image.write(first_sector)


def _stem(source: Path) -> str:
    return source.name.removesuffix(".xz").removesuffix(".img")


@contextmanager
def _opened(source: Path) -> Iterator[IO[bytes]]:
    """The base, unpacked as it is read."""
    try:
        with source.open("rb") as file:
            packed = file.read(len(XZ_MAGIC)) == XZ_MAGIC
            file.seek(0)
            if packed:
                with lzma.open(file) as unpacked:
                    yield unpacked
            else:
                yield file
    except OSError as error:
        raise DeployError(f"{error.filename or source} cannot be used: {error.strerror or error}.") from error
    except (lzma.LZMAError, EOFError) as error:
        raise DeployError(f"{source.name} is not whole ({error}); download it again.") from error


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A new folder that is gone afterwards, however it went."""
    with tempfile.TemporaryDirectory(prefix=".maskgate-image-", dir=folder) as work:
        yield Path(work)


def _refuse_output(output: Path, source: Path) -> None:
    """An image is put in the place of what is there: of an older image, but never of a device or the base.

    Raises:
        DeployError: ``output`` is not a place for a new file.
    """
    if output.is_symlink() or (output.exists() and not output.is_file()):
        raise DeployError(f"{output} is not a file; name a file to write the image to, and flash that.")
    if output.exists() and output.samefile(source):
        raise DeployError(f"{output} is the base itself, which stays as it is; name another file with --output.")


def _require_space(folder: Path, root: Partition) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    needed = root.start + 2 * root.size + 2 * SPARE
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DeployError(
            f"{folder} has {free // 10**6} MB free and making the image takes {needed // 10**6} MB; make room, or name "
            "another place with --output."
        )


def _grown(ext4: Ext4, size: int, payload: Path, card: Card) -> int:
    """How large the root partition must be, in bytes, for the payload, the releases made of it, and some room."""
    sent = sum(file.stat().st_size for file in payload.rglob("*") if file.is_file())
    needed = sent + RELEASES * INSTALLED_FACTOR * sent + SPARE + card.room_mb * 10**6
    lacking = max(0, needed - ext4.free_bytes())
    # A file system spends some of what it grows by on its own tables.
    return size if not lacking else -(-(size + lacking + lacking // 20) // CHUNK) * CHUNK


def _copy(stream: IO[bytes], target: Path, count: int, name: str) -> None:
    """Append ``count`` bytes to ``target``, leaving holes for zeros."""
    with target.open("ab") as file:
        left = count
        while left:
            data = stream.read(min(CHUNK, left))
            if not data:
                raise DeployError(f"{name} is not whole: {left} bytes are missing at its end; download it again.")
            _write_sparse(file, data)
            left -= len(data)
        file.truncate(file.tell())


def _write_sparse(file: IO[bytes], data: bytes) -> None:
    if data.count(0) == len(data):
        file.truncate(file.tell() + len(data))
        file.seek(0, os.SEEK_END)
    else:
        file.write(data)


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as image:
        while data := image.read(CHUNK):
            digest.update(data)
    return digest.hexdigest()

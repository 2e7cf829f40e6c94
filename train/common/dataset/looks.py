"""Looking at each photo once: can it be decoded, how large is it, and what does it look like."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.picture import PictureError, read_picture
from edge.values import Image

Progress = Callable[[Sequence[Path]], Iterable[Path]]
"""Wraps a sequence and shows how far it is, as ``rich.progress.track`` does."""

SIDE = 16
"""Rows and columns of the pattern that photos are compared by."""

LEAST_PATTERN = 16
"""A photo with fewer set bits is nearly plain: it is like others by chance, and only the same file counts."""

ALIKE = 10
"""Bits of 256 in which two photos may differ and still be near duplicates."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a photo.

    Attributes:
        width: In pixels; 0 where it cannot be decoded.
        height: In pixels.
        digest: SHA-256 of the file, hexadecimal; photos with the same digest are the same file.
        pattern: 256 bits, hexadecimal: whether each of 16x16 cells is brighter than its left neighbour (dHash,
            https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html).
        fault: Why it cannot be used; "" where it can.
    """

    width: int = 0
    height: int = 0
    digest: str = ""
    pattern: str = ""
    fault: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height

    @property
    def short_side(self) -> int:
        """In pixels."""
        return min(self.width, self.height)


def look_at(paths: Iterable[Path], cache: Path | None, progress: Progress) -> dict[Path, Look]:
    """Look at each photo; those that have not changed since the last time are taken from ``cache``.

    Args:
        paths: Photos, in any order, also repeated.
        cache: JSON file to read and to write, or None.
        progress: Shows how far it is.
    """
    known = _read_cache(cache)
    looks: dict[Path, Look] = {}
    kept: dict[str, dict[str, object]] = {}
    for path in progress(list(dict.fromkeys(paths))):
        key = _key(path)
        looks[path] = known.get(key) or _look(path, key)
        if key:
            kept[key] = asdict(looks[path])
    if cache:
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(kept), "utf-8")
    return looks


def look(path: Path) -> Look:
    """Look at one photo; a process decodes it once, unless the file changes."""
    return _look(path, _key(path))


def _read_cache(cache: Path | None) -> dict[str, Look]:
    if not cache or not cache.is_file():
        return {}
    try:
        return {key: Look(**values) for key, values in json.loads(cache.read_text("utf-8")).items()}
    except (ValueError, TypeError, AttributeError):  # written by another version, or cut short: look again
        return {}


def _key(path: Path) -> str:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return ""
    return f"{path.resolve()}:{status.st_size}:{status.st_mtime_ns}"


@functools.cache
def _look(path: Path, _state: str) -> Look:
    try:
        image = read_picture(path)
    except PictureError as error:
        return Look(fault=str(error))
    height, width = image.shape[:2]
    return Look(width, height, hashlib.sha256(path.read_bytes()).hexdigest(), _pattern(image))


def _pattern(image: Image) -> str:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(small[:, 1:] > small[:, :-1]).tobytes().hex()


def alike(looks: Sequence[Look]) -> list[list[int]]:
    """Indices of photos that are duplicates or near duplicates, a list a group; photos that stand alone are absent."""
    if not looks:
        return []
    patterns = np.array([np.frombuffer(bytes.fromhex(look.pattern), np.uint8) for look in looks])
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1).astype(np.uint16)
    leader = np.arange(len(looks))
    plain = bits[patterns].sum(axis=1) < LEAST_PATTERN
    same: dict[str, int] = {}
    for index, look in enumerate(looks):
        near = same.setdefault(look.digest, index)
        if near == index and not plain[index]:
            near = _nearest(patterns, index, bits)
        if near != index:
            leader[leader == leader[index]] = leader[near]
    groups: dict[int, list[int]] = {}
    for index, first in enumerate(leader.tolist()):
        groups.setdefault(first, []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def _nearest(patterns: NDArray[np.uint8], index: int, bits: NDArray[np.uint16]) -> int:
    """The photo up to ``index`` that is most like the one there, if any is alike; else ``index``."""
    if not index:
        return 0
    distances = bits[patterns[:index] ^ patterns[index]].sum(axis=1)
    best = int(distances.argmin())
    return best if distances[best] <= ALIKE else index

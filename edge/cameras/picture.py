"""Decodes image files. No file takes more memory than a small board has."""

from __future__ import annotations

import logging
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from edge.cameras.orientation import is_webp, upright
from edge.cameras.picture_cost import cost, is_deep_tiff, is_float_tiff, tiff_compression
from edge.errors import MaskgateError
from edge.files import may_be_file
from edge.messages import message
from edge.text import plural
from edge.values import Image

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".jpe", ".jfi", ".mpo", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
)
"""File name extensions of images, in lower case; the content decides how a file is decoded."""
UNSUPPORTED = {
    ".heic": "HEIC",
    ".heif": "HEIC",
    ".avif": "AVIF",
    ".gif": "GIF",
    ".jxl": "JPEG XL",
    ".jp2": "JPEG 2000",
    ".dng": "raw",
    ".cr2": "raw",
    ".nef": "raw",
    ".arw": "raw",
}
"""Extensions of unsupported images, so that they can be named and counted."""
VIDEOS = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts", ".3gp", ".wmv"})
"""Extensions of videos."""
KNOWN = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|BM|II\*\0|MM\0\*|P[1-6]\s|RIFF.{4}WEBP", re.DOTALL)
"""First bytes of the supported formats. OpenCV would decode more: a JPEG 2000 of a few kilobytes takes fifteen bytes
per pixel."""
OTHERS = (
    (re.compile(rb".{4}ftyp(heic|heix|heim|heis|hevc|hevx|mif1|msf1)", re.DOTALL), "HEIC"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "AVIF"),
    (re.compile(rb"GIF8"), "GIF"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "JPEG XL"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000"),
)
"""First bytes of unsupported images."""
VIDEO = re.compile(rb".{4}ftyp|RIFF.{4}AVI |\x1aE\xdf\xa3|\x00\x00\x01[\xb3\xba]", re.DOTALL)
"""First bytes of videos: MP4 and QuickTime (but HEIC and AVIF begin likewise), AVI, Matroska, MPEG."""
BEGIN = 16
"""Bytes that tell the format."""
MAX_FILE_BYTES = 256 * 2**20
JPEG, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
FILLER = b"\x55\xaa\x3c\x81" * 64
"""Bytes that no decoder takes for the end of a JPEG's data."""

log = logging.getLogger(__name__)


class PictureError(MaskgateError, ValueError):
    """One picture cannot be read; others still can."""


class Contents(NamedTuple):
    """What a folder holds.

    Attributes:
        images: Files that are images by their names.
        skipped: How many others of each kind there are, and what to do with them; empty if there are none.
    """

    images: list[Path]
    skipped: str


def contents_of(folder: Path) -> Contents:
    """What a folder holds, by name; subfolders are not searched.

    Hidden files are left out: a Mac writes ``._a.jpg`` next to ``a.jpg`` on foreign disks.

    Raises:
        OSError: It is no folder, or cannot be listed.
    """
    shown = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    images = [path for path in shown if path.suffix.lower() in SUFFIXES and may_be_file(path)]
    others = sorted(set(shown) - set(images))
    return Contents(images, ", ".join(_skipped(others)))


def _skipped(others: Sequence[Path]) -> Iterator[str]:
    folders = {path for path in others if not may_be_file(path) and path.is_dir()}
    suffixes = Counter(path.suffix.lower() for path in others if path not in folders)
    unsupported, videos = Counter[str](), 0
    for suffix, count in suffixes.items():
        if suffix in UNSUPPORTED:
            unsupported[UNSUPPORTED[suffix]] += count
        videos += count if suffix in VIDEOS else 0
    if unsupported:
        yield f"{', '.join(f'{count} {kind}' for kind, count in unsupported.most_common())} (convert to JPEG)"
    if videos:
        yield f"{plural(videos, 'video')} (judge each with `maskgate run --source FILE`)"
    if rest := suffixes.total() - unsupported.total() - videos:
        yield plural(rest, "other file")
    if folders:
        yield f"{plural(len(folders), 'folder')} (not searched)"


def read_picture(path: Path) -> Image:
    """Decode a picture file: any depth, grey, colour or with alpha, turned upright by its EXIF orientation.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        PictureError: It is absent, no picture, damaged, or so large that decoding it would exhaust a small board.
    """
    try:
        content = _content(path)
    except OSError as error:
        raise PictureError(message("picture.unreadable", reason=error.strerror)) from error
    if not content:
        raise PictureError(message("picture.empty"))
    if content.startswith(JPEG) and JPEG_END not in content[-1024:]:
        return _without_end(path, content)
    return decode(content)


def _content(path: Path) -> bytes:
    """Of a file that may be a picture."""
    try:
        status = path.stat()
    except ValueError as error:  # a name with a NUL
        raise PictureError(message("picture.unreadable", reason=str(error))) from error
    if not stat.S_ISREG(status.st_mode):
        raise PictureError(message("picture.not_a_file"))
    with path.open("rb") as file:
        begin = file.read(BEGIN)
        if _is_video(begin):
            raise PictureError(message("picture.video"))
        if status.st_size > MAX_FILE_BYTES:
            raise PictureError(message("picture.too_large", most=MAX_FILE_BYTES // 2**20))
        return begin + file.read()


def decode(content: bytes) -> Image:
    """Decode the content of a picture file.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        PictureError: It is no picture, damaged, or so large that decoding it would exhaust a small board.
    """
    if not KNOWN.match(content):
        name = _unsupported(content)
        raise PictureError(message("picture.unsupported", kind=name) if name else message("picture.unknown"))
    if is_float_tiff(content):
        raise PictureError(message("picture.float_tiff"))
    if cost(content).too_much:
        raise PictureError(message("picture.too_much"))
    webp = is_webp(content)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION if webp else cv2.IMREAD_COLOR
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise PictureError(message("picture.header")) from error
    if image is None:
        raise PictureError(_undecodable(content))
    return upright(image, content) if webp else image  # type: ignore[arg-type,return-value]


def _unsupported(content: bytes) -> str | None:
    return next((name for begin, name in OTHERS if begin.match(content)), None)


def _undecodable(content: bytes) -> str:
    """Why a picture of a known format could not be decoded."""
    if compression := tiff_compression(content):
        return message("picture.tiff_compression", kind=compression)
    return message("picture.deep_tiff" if is_deep_tiff(content) else "picture.damaged")


def _is_video(begin: bytes) -> bool:
    return bool(VIDEO.match(begin)) and not _unsupported(begin)


def _without_end(path: Path, content: bytes) -> Image:
    """A JPEG that lacks its end marker. Nothing but that may be missing.

    Where data is missing, too, a decoder makes pixels of whatever follows; where none is, it passes that over.

    Raises:
        PictureError: More is missing.
    """
    image = decode(content + JPEG_END)
    if not np.array_equal(image, decode(content + FILLER + JPEG_END)):
        raise PictureError(message("picture.breaks_off"))
    log.warning("%s lacks its end marker; all of the picture is there.", path)
    return image

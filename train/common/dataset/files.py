"""Finding photos in folders, and reading the text files that describe them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edge.cameras.picture import SUFFIXES
from edge.errors import ConfigError


def is_hidden(path: Path, root: Path) -> bool:
    """Whether a file, or a folder on the way to it from ``root``, is hidden (a Mac writes ``._photo.jpg``)."""
    return any(part.startswith((".", "__MACOSX")) for part in path.relative_to(root).parts)


def photos_below(root: Path, skipped: Counter[str]) -> Iterator[Path]:
    """Photo files below ``root`` in a stable order; others are counted by suffix in ``skipped``."""
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        if is_hidden(path, root):
            skipped["hidden"] += 1
        elif path.suffix.lower() in SUFFIXES:
            yield path
        else:
            skipped[path.suffix.lower() or "without suffix"] += 1


def read_text(path: Path) -> str:
    """The text of a file: UTF-8 with or without a byte order mark, UTF-16 with one, else Latin-1.

    Raises:
        ConfigError: The file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")

"""Files of /proc and /sys."""

from __future__ import annotations

from pathlib import Path


def text_of(path: Path) -> str:
    """The content of a file, or nothing: a sensor may be there and yet refuse to be read."""
    try:
        return path.read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return ""


def found(folder: Path, pattern: str) -> list[Path]:
    """What matches in a folder, sorted; nothing if it cannot be listed, as where file descriptors run out."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []

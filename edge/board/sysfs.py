"""Files of /proc and /sys."""

from __future__ import annotations

from pathlib import Path


def text_of(path: Path) -> str:
    """The content of a file, or nothing: a sensor may be there and yet refuse to be read."""
    try:
        return path.read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return ""

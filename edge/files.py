"""Reading small text files that people write with all kinds of editors."""

from __future__ import annotations

import codecs
from pathlib import Path


class NotTextError(ValueError):
    """A file that should hold UTF-8 text holds something else; the text says what, and how to fix it."""


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        OSError: It cannot be read.
        NotTextError: It is not UTF-8.
    """
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise NotTextError(f"{path} is UTF-16 text; save it as UTF-8")
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise NotTextError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error

"""Text files that people save with any editor, on any system."""

from __future__ import annotations

import codecs
from pathlib import Path

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class EncodingError(ValueError):
    """The file is not UTF-8. The text says which encoding it is, where that is known, and what to do."""


def read_saved_text(path: Path) -> str:
    """The text of a UTF-8 file, without the byte order mark that some editors put in front.

    Raises:
        OSError: The file cannot be read.
        EncodingError: It is not UTF-8.
    """
    content = path.read_bytes()
    if content.startswith(UTF16_MARKS):
        raise EncodingError("it is saved as UTF-16; save it as UTF-8")
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise EncodingError(f"line {line} is not UTF-8 text; save the file as UTF-8") from error

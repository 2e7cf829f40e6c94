"""Cuts JPEG images out of a stream of bytes, independent of what is between them.

Cameras that send "multipart" JPEG write delimiters before or after each part, with or without dashes, with wrong
lengths or none. A JPEG itself marks its end, so nothing else is used.
"""

from __future__ import annotations

import re

MOST_BYTES = 16 * 2**20
"""Maximum size of one JPEG. No camera sends a larger one, and a small board has to hold it."""
BEGIN = b"\xff\xd8\xff"
END = b"\xff\xd9"
STAMP = re.compile(rb"^x-timestamp:\s*(\d+(?:\.\d+)?)\s*$", re.IGNORECASE | re.MULTILINE)
MOST_HEADERS = 1024
"""How many bytes before a JPEG are searched for its time stamp."""

# https://www.w3.org/Graphics/JPEG/itu-t81.pdf, table B.1
START_OF_IMAGE, END_OF_IMAGE, START_OF_SCAN = 0xD8, 0xD9, 0xDA
WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
AFTER_A_SCAN = frozenset(
    {0xC4, START_OF_IMAGE, END_OF_IMAGE, START_OF_SCAN, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE}
)
MARKER = re.compile(rb"\xff[^\x00\x01-\xbf\xd0-\xd7\xff]")
"""A marker that ends a scan: neither a stuffed 0xFF nor a restart marker."""


class TooLargeError(ValueError):
    """An image does not end within ``MOST_BYTES``."""


class JpegSplitter:
    """Takes bytes as they come, and gives pictures as they are complete.

        splitter.feed(received)
        while (picture := splitter.next()) is not None:
            show(picture)

    Attributes:
        stamp: Seconds that the camera wrote before the last picture (``X-Timestamp``); None if it wrote none.
    """

    def __init__(self) -> None:
        self.stamp: float | None = None
        self._buffer = bytearray()
        self._inside = False
        self._in_scan = False
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        self._buffer += data

    def next(self) -> bytes | None:
        """The next whole picture; None until more was received.

        Raises:
            TooLargeError: It does not end.
        """
        while self._inside or self._find_begin():
            end = self._find_end()
            if end:
                return self._cut(end)
            if self._inside:  # more has to come
                if len(self._buffer) > MOST_BYTES:
                    raise TooLargeError
                return None
        return None

    def _find_begin(self) -> bool:
        begin = self._buffer.find(BEGIN)
        if begin < 0:
            del self._buffer[:-MOST_HEADERS]
            return False
        found = list(STAMP.finditer(self._buffer, max(0, begin - MOST_HEADERS), begin))
        self.stamp = float(found[-1][1]) if found else None
        self._begin_at(begin)
        return True

    def _begin_at(self, begin: int) -> None:
        del self._buffer[:begin]
        self._inside, self._in_scan, self._at = True, False, len(BEGIN) - 1

    def _cut(self, end: int) -> bytes:
        picture = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._inside = False
        return picture

    def _find_end(self) -> int | None:
        """Where the image ends; None if that is not known yet or it is not an image."""
        while self._inside:
            if self._in_scan:
                found = MARKER.search(self._buffer, self._at)
                if found is None:
                    self._at = max(self._at, len(self._buffer) - 1)
                    return None
                self._at, self._in_scan = found.start(), False
                if found[0][1] not in AFTER_A_SCAN:  # damaged data
                    self._at, self._in_scan = self._at + 2, True
                    continue
            if len(self._buffer) < self._at + 4 and self._buffer[self._at :][:2] != END:
                return None
            if self._marker():
                return self._at
        return None

    def _marker(self) -> bool:
        """Step over one marker and its segment. Returns whether the picture ends there."""
        mark, marker = self._buffer[self._at], self._buffer[self._at + 1]
        if mark != 0xFF:  # noqa: PLR2004
            del self._buffer[: len(BEGIN) - 1]
            self._inside = False
        elif marker == END_OF_IMAGE:
            self._at += 2
            return True
        elif marker == START_OF_IMAGE:  # the one before it broke off
            self._begin_at(self._at)
        elif marker in WITHOUT_LENGTH or marker == 0xFF:  # noqa: PLR2004
            self._at += 1 if marker == 0xFF else 2  # noqa: PLR2004
        else:
            self._at += 2 + max(2, int.from_bytes(self._buffer[self._at + 2 : self._at + 4], "big"))
            self._in_scan = marker == START_OF_SCAN
        return False

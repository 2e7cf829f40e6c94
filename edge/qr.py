"""A QR code as text for a terminal. OpenCV, which every device has, makes the code."""

from __future__ import annotations

import cv2
import numpy as np

QUIET = 4
"""The light margin that a reader needs, in modules (ISO/IEC 18004)."""
BLACK_ON_WHITE = "\x1b[30;107m"
"""Whatever the terminal's own colours are."""
RESET = "\x1b[0m"
HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
"""Two modules, one above the other, in the place of one character."""


def as_text(text: str) -> str:
    """The code of ``text``, about 45 columns wide and 23 lines high for an address with a token."""
    rows: list[list[bool]] = _modules(text).tolist()
    if len(rows) % 2:
        rows.append([False] * len(rows))
    lines = (
        "".join(HALVES[pair] for pair in zip(*two, strict=True)) for two in zip(rows[::2], rows[1::2], strict=True)
    )
    return "\n".join(f"{BLACK_ON_WHITE}{line}{RESET}" for line in lines)


def _modules(text: str) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """(N, N), True where it is dark, with its margin."""
    dark = np.asarray(cv2.QRCodeEncoder.create().encode(text)) == 0
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    return np.pad(dark[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], QUIET)

"""Whether a frame is new, and whether it shows anything."""

from __future__ import annotations

import zlib
from collections import deque

import numpy as np

from edge.values import Frame, Image

DARK = 16
"""Grey level (0 to 255) below which a value counts as black."""
LIT_SHARE = 0.01
"""Minimum share of values brighter than black; below it, the frame shows nothing. Hot pixels or a lamp are not
enough."""
REPEATABLE = 8
"""Number of frames remembered: a frozen driver may repeat those in its ring buffer."""
EVERY_ROW = 7
"""Only every n-th row is compared: a face changes several of them."""

EVERY_VALUE = 7
"""In these rows, only every n-th value is compared with black; n is no multiple of 3, so each colour has its turn."""


class Freshness:
    """Distinguishes new frames from those that a frozen camera repeats.

    A time stamp that was not seen before makes a picture new: an encoder sends a quiet hall as the same pixels for
    minutes. Where there is no stamp, or it is repeated, the pixels decide: a sensor's are never the same twice.
    """

    def __init__(self) -> None:
        self._stamps: deque[float] = deque(maxlen=REPEATABLE)
        self._pictures: deque[int] = deque(maxlen=REPEATABLE)

    def is_new(self, frame: Frame) -> bool:
        """Whether this differs from the last few frames."""
        if frame.stamp is not None and frame.stamp not in self._stamps:
            self._stamps.append(frame.stamp)
            return True
        rows = np.ascontiguousarray(frame.image[::EVERY_ROW])  # tobytes() of rows apart takes ten times as long
        fingerprint = zlib.crc32(rows.data)
        if fingerprint in self._pictures:
            return False
        self._pictures.append(fingerprint)
        return True


def is_dark(image: Image) -> bool:
    """Whether a frame, (H, W, 3) uint8, is black."""
    rows = image[::EVERY_ROW]
    looked_at = rows.reshape(len(rows), -1)[:, ::EVERY_VALUE]
    enough = LIT_SHARE * looked_at.size
    # A few rows of a lit frame are bright enough for all of it.
    return all(np.count_nonzero(part >= DARK) < enough for part in (looked_at[::EVERY_ROW], looked_at))

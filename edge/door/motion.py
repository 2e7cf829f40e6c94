"""Skips face detection while nobody is there and nothing moves: an empty doorway costs little CPU time.

    gate = MotionGate(idle_every=0.15)
    faces = detector.detect(...) if gate.opens(frame, people.occupied) else []

A person who comes into view changes the frame and is searched for in that same frame. Who manages to come without
changing it is found ``idle_every`` later, when it is looked at anyway.
"""

from __future__ import annotations

import math

import numpy as np

from edge.values import Frame, Image
from edge.vision.preprocess import resize

WIDTH = 80
"""Frames are halved to about this width, in pixels, before they are compared. At 640 pixels, a point is the mean of 8x8
pixels: that removes most sensor noise, and a face of 24 pixels still covers nine points."""
MOVED = 8.0
"""Minimum change of a point, in grey levels: well above the 5 that a noisy sensor (standard deviation 6) causes."""


class MotionGate:
    """Decides which pictures are worth looking for faces in.

    Args:
        idle_every: While nothing moves, one is let through this often, in seconds.
    """

    def __init__(self, idle_every: float) -> None:
        self._idle_every = idle_every
        self._seen: Image | None = None
        self._opened_at = -math.inf

    def opens(self, frame: Frame, occupied: bool) -> bool:
        """Whether to search a frame for faces.

        Args:
            frame: The newest.
            occupied: Whether somebody is in view, or was a moment ago: then every frame counts.
        """
        seen = _thumbnail(frame)
        waited = frame.captured_at - self._opened_at
        if not (occupied or waited >= self._idle_every or waited < 0 or self._moved(seen)):
            return False
        self._seen, self._opened_at = seen, frame.captured_at
        return True

    def _moved(self, image: Image) -> bool:
        """Whether a frame differs from the last one that was searched."""
        last = self._seen
        if last is None or last.shape != image.shape:
            return True
        return bool((np.maximum(image, last) - np.minimum(image, last)).max() > MOVED)


def _thumbnail(frame: Frame) -> Image:
    """The whole picture at about ``WIDTH``; from the camera's smaller one, where there is one."""
    thumbnail = frame.image if frame.small is None else frame.small
    while thumbnail.shape[1] >= 2 * WIDTH:
        thumbnail = resize(thumbnail, thumbnail.shape[1] // 2, max(1, thumbnail.shape[0] // 2))
    return thumbnail

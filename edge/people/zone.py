"""The part of the picture in which people count."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge.values import BBox


def in_zone(bbox: BBox, zone: Sequence[Sequence[float]], frame_size: tuple[int, int]) -> bool:
    """Whether the centre of ``bbox`` lies in ``zone``: corners as shares of width and height; empty is everywhere."""
    if not zone:
        return True
    (x, y), (width, height) = bbox.centre, frame_size
    return cv2.pointPolygonTest(np.array(zone, np.float32), (x / width, y / height), measureDist=False) >= 0

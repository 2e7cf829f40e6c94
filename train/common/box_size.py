"""How large boxes are drawn: the detector's, and so those that the mask classifier learns from."""

from __future__ import annotations

from edge.values import BBox

LARGER = 1.1
"""Factor by which boxes of YuNet and of annotators are enlarged, in width and in height.

They hold the face from brow to chin; people who annotate heads draw up to 1.3 times as wide. This lies between.
"""


def larger(bbox: BBox) -> BBox:
    """A box as the detector draws it, around the same centre; in the same pixels."""
    (x, y), half_width, half_height = bbox.centre, LARGER * bbox.width / 2, LARGER * bbox.height / 2
    return BBox(x - half_width, y - half_height, x + half_width, y + half_height)

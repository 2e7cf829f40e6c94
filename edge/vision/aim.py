"""Is the camera set up well? Light and distance, judged from one frame and the people in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge.values import BBox, Image

DARK = 45.0
"""Mean brightness (0 to 255) below which a scene is too dark to judge faces."""

DARK_FACE = 60.0
BRIGHT_AROUND = 150.0
"""A face darker than the first in surroundings brighter than the second stands against the light."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to change.

    Attributes:
        key: Names the sentence in the pages' languages: ``dark``, ``backlit``, ``far``.
        text: The sentence in English.
        pixels: Short side of the smallest face, where the advice is about distance.
        needed: What it should be at least.
    """

    key: str
    text: str
    pixels: int | None = None
    needed: int | None = None


def advise(image: Image, faces: Sequence[BBox], min_face: float) -> list[Advice]:
    """What to change about light and distance; empty if all is well.

    Args:
        image: (H, W, 3) uint8 BGR.
        faces: In pixels of ``image``.
        min_face: Faces with a shorter side do not vote, in pixels.
    """
    grey: Image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    return [*_light(grey, faces), *_distance(faces, min_face)]


def _light(grey: Image, faces: Sequence[BBox]) -> Iterator[Advice]:
    around = float(np.mean(grey))
    if around < DARK:
        yield Advice("dark", f"The picture is dark (brightness {around:.0f} of 255): add light at the door.")
    elif any(_mean(grey, face) < DARK_FACE for face in faces) and around > BRIGHT_AROUND:
        yield Advice(
            "backlit",
            "Faces are dark against a bright background: turn the camera away from the light; "
            "a camera module can set camera.exposure to backlight.",
        )


def _distance(faces: Sequence[BBox], min_face: float) -> Iterator[Advice]:
    if not faces:
        return
    smallest, needed = round(min(face.short_side for face in faces)), round(min_face)
    if smallest < needed:
        yield Advice(
            "far",
            f"Faces are {smallest} px; at least {needed} are needed: come closer or raise camera.width.",
            smallest,
            needed,
        )


def _mean(grey: Image, face: BBox) -> float:
    height, width = grey.shape[:2]
    x0, y0 = max(0, int(face.x0)), max(0, int(face.y0))
    part = grey[y0 : min(height, int(face.y1) + 1), x0 : min(width, int(face.x1) + 1)]
    return float(np.mean(part)) if part.size else 255.0

"""Text on pictures in the typeface of the pages.

OpenCV's wheels draw no fonts but Hershey's, so ``letters.png`` holds every letter once, large, and ``letters.json``
where each lies. ``python -m train.letters`` makes both from the font file that the pages use.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.values import Image

FOLDER = Path(__file__).parent
UNKNOWN = "?"
"""Stands for letters that the typeface lacks."""
KEPT = 2048
"""Letters that stay in memory in the size in which they were drawn."""

Mask = NDArray[np.float32]


class Letter(NamedTuple):
    """Where a letter lies in the sheet, in pixels, and how it stands on the line.

    Attributes:
        x: Of its left edge in the sheet.
        width: In the sheet.
        left: From the pen to its left edge.
        advance: From the pen to the next letter's.
    """

    x: int
    width: int
    left: int
    advance: float


class Sheet(NamedTuple):
    """All letters, side by side.

    Attributes:
        ink: (height, width) uint8; 255 is ink.
        baseline: Its row.
        capital: Height of a capital letter, in pixels.
        letters: By character.
    """

    ink: NDArray[np.uint8]
    baseline: int
    capital: float
    letters: dict[str, Letter]


def text_width(text: str, capital: float) -> int:
    """Width in pixels of a line whose capital letters are ``capital`` pixels high."""
    sheet = _sheet()
    return math.ceil(sum(_letter(one).advance for one in text) * capital / sheet.capital)


def write(canvas: Image, text: str, pen: tuple[float, float], capital: float, colour: tuple[int, int, int]) -> float:
    """Write a line into ``canvas``; what lies outside is cut off.

    Args:
        canvas: (H, W, 3) uint8 BGR; written to.
        text: Characters that the typeface lacks become question marks.
        pen: Where it begins: x, and the y on which its letters stand.
        capital: Height of a capital letter in pixels.
        colour: BGR.

    Returns:
        Where the next letter would begin.
    """
    scale, (x, baseline) = capital / _sheet().capital, pen
    placed: list[tuple[Mask, int]] = []
    for one in text:
        letter = _letter(one)
        mask = _scaled(one if one in _sheet().letters else UNKNOWN, round(scale, 3))
        placed.append((mask, round(x + letter.left * scale)))
        x += letter.advance * scale
    if placed:
        _blend(canvas, *_line(placed), round(baseline - _sheet().baseline * scale), colour)
    return x


def _line(placed: Sequence[tuple[Mask, int]]) -> tuple[Mask, int]:
    """The letters as one mask, and its left edge: blending a whole line costs a tenth of blending its letters."""
    left = min(at for _, at in placed)
    right = max(at + mask.shape[1] for mask, at in placed)
    line: Mask = np.zeros((placed[0][0].shape[0], right - left), np.float32)
    for mask, at in placed:
        part = line[:, at - left : at - left + mask.shape[1]]
        np.maximum(part, mask, out=part)
    return line, left


def _blend(canvas: Image, mask: Mask, left: int, top: int, colour: tuple[int, int, int]) -> None:
    height, width = mask.shape
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, canvas.shape[1]), min(top + height, canvas.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    ink = mask[y0 - top : y1 - top, x0 - left : x1 - left, None]
    ground = canvas[y0:y1, x0:x1]
    ground[:] = np.rint(ground + ink * (np.array(colour, np.float32) - ground))


@lru_cache(KEPT)
def _scaled(one: str, scale: float) -> Mask:
    """A letter's ink, 0 to 1, in the size wanted."""
    sheet, letter = _sheet(), _letter(one)
    ink = sheet.ink[:, letter.x : letter.x + letter.width]
    size = (max(1, round(letter.width * scale)), max(1, round(ink.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cast("Mask", np.clip(cv2.resize(ink, size, interpolation=way).astype(np.float32) / 255, 0, 1))


def _letter(one: str) -> Letter:
    letters = _sheet().letters
    return letters.get(one) or letters[UNKNOWN]


@cache
def _sheet() -> Sheet:
    said = json.loads((FOLDER / "letters.json").read_text("utf-8"))
    ink = cv2.imdecode(np.fromfile(FOLDER / "letters.png", np.uint8), cv2.IMREAD_GRAYSCALE)
    letters = {one: Letter(*places) for one, places in said["letters"].items()}
    return Sheet(cast("NDArray[np.uint8]", ink), said["baseline"], said["capital"], letters)

"""Many small pictures on one sheet, each with a caption: what a data set looks like, and where a model errs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from edge.errors import ConfigError
from edge.values import BBox, Image

TILE = 128
"""Side of a picture on the sheet, in pixels."""

CAPTION = 18
"""Height of a line of text below it, in pixels."""

SPACE = 6
PAPER, INK = (250, 250, 250), (30, 30, 30)


class Tile(NamedTuple):
    """A picture, (H, W, 3) uint8 BGR, and up to two short lines about it."""

    image: Image
    lines: tuple[str, ...] = ()


def around(image: Image, bbox: BBox, margin: float = 0.3) -> Image:
    """The part of a picture around a box, with ``margin`` of its longer side on each side, where the picture has it."""
    height, width = image.shape[:2]
    reach = margin * max(bbox.width, bbox.height)
    x0, y0 = max(0, int(bbox.x0 - reach)), max(0, int(bbox.y0 - reach))
    x1, y1 = min(width, int(bbox.x1 + reach) + 1), min(height, int(bbox.y1 + reach) + 1)
    return image[y0:y1, x0:x1]


def write_sheet(path: Path, title: str, tiles: Iterable[Tile], columns: int = 8) -> None:
    """Draw the sheet.

    Args:
        path: PNG or JPEG to write.
        title: Above the pictures.
        tiles: Pictures of any size; each is fitted into a square.
        columns: Pictures in a row.

    Raises:
        ConfigError: It cannot be written.
    """
    shown = list(tiles)
    lines = max((len(tile.lines) for tile in shown), default=0)
    step_x, step_y = TILE + SPACE, TILE + SPACE + lines * CAPTION
    rows = -(-len(shown) // columns) or 1
    sheet = np.full((2 * CAPTION + rows * step_y + SPACE, columns * step_x + SPACE, 3), PAPER, np.uint8)
    _write(sheet, title, SPACE, CAPTION + 4, 0.55)
    for index, tile in enumerate(shown):
        x, y = SPACE + index % columns * step_x, 2 * CAPTION + index // columns * step_y
        sheet[y : y + TILE, x : x + TILE] = _fitted(tile.image)
        for number, line in enumerate(tile.lines):
            _write(sheet, line, x, y + TILE + CAPTION * number + 13, 0.36)
    if not cv2.imwrite(str(path), sheet):
        raise ConfigError(f"Cannot write {path}: check the folder and the space left.")


def _fitted(image: Image) -> Image:
    """The picture in a square of ``TILE``, its proportions kept."""
    height, width = image.shape[:2]
    scale = TILE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    square: Image = np.full((TILE, TILE, 3), PAPER, np.uint8)
    left, top = (TILE - size[0]) // 2, (TILE - size[1]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square


def _write(sheet: Image, text: str, x: int, y: int, scale: float) -> None:
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(sheet, plain, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA)


def evenly(items: Sequence[Tile], most: int) -> list[Tile]:
    """At most ``most`` of the items, evenly spaced."""
    if len(items) <= most:
        return list(items)
    return [items[round(index)] for index in np.linspace(0, len(items) - 1, most)]

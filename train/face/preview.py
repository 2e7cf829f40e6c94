"""What training shows the detector: some varied pictures with their boxes, to look at before an epoch is spent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from train.common.contact_sheet import Tile, write_sheet
from train.face.batches import FaceBatches
from train.face.loss import FACE, IGNORE

SHOWN = 32
COLOURS = {FACE: (60, 200, 60), IGNORE: (160, 160, 160)}
"""BGR, by the kind of box."""


def draw_preview(path: Path, batches: FaceBatches) -> None:
    """Write a contact sheet, a JPEG, of the first pictures that a training draws."""
    tiles: list[Tile] = []
    for index in range(len(batches)):
        tiles += [_tile(image, boxes) for image, boxes in zip(*batches[index], strict=True)]
        if len(tiles) >= SHOWN:
            break
    write_sheet(path, "Varied pictures, as training shows them", tiles[:SHOWN])


def _tile(image: NDArray[Any], boxes: NDArray[np.float32]) -> Tile:
    """Of (S, S, 3) float RGB in [-1, 1] and (N, 5) boxes with their kind."""
    shown = np.ascontiguousarray(((image[..., ::-1] + 1) * 127.5).round().astype(np.uint8))
    for x0, y0, x1, y1, kind in boxes.tolist():
        if kind in COLOURS:
            cv2.rectangle(shown, (round(x0), round(y0)), (round(x1), round(y1)), COLOURS[kind], 2)
    return Tile(shown)

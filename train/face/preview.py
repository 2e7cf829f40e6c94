"""What training shows the detector: some varied pictures with their boxes, to look at before an epoch is spent."""

from __future__ import annotations

from pathlib import Path

import cv2

from train.common.contact_sheet import Tile, write_sheet
from train.face.augment import Scene, clip_boxes
from train.face.batches import FaceBatches
from train.face.loss import FACE, IGNORE

SHOWN = 32
COLOURS = {FACE: (60, 200, 60), IGNORE: (160, 160, 160)}
"""BGR, by the kind of box."""


def draw_preview(path: Path, batches: FaceBatches) -> None:
    """Write a contact sheet, a JPEG, of the first pictures that a training draws."""
    tiles: list[Tile] = []
    for index in range(len(batches)):
        tiles += [_tile(scene) for scene in batches.scenes(index)]
        if len(tiles) >= SHOWN:
            break
    write_sheet(path, "Varied pictures, as training shows them", tiles[:SHOWN])


def _tile(scene: Scene) -> Tile:
    shown = scene.image.copy()
    height, width = shown.shape[:2]
    for x0, y0, x1, y1, kind in clip_boxes(scene.boxes, width, height).tolist():
        cv2.rectangle(shown, (round(x0), round(y0)), (round(x1), round(y1)), COLOURS[kind], 2)
    return Tile(shown)

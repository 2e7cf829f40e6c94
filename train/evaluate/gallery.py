"""What the models get wrong, to look at: contact sheets of missed faces, false boxes and wrong verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2

from edge.errors import ConfigError
from edge.values import LABELS, BBox, Image, Label
from train.common.contact_sheet import Tile, around, evenly, write_sheet
from train.evaluate.measure import Outcome
from train.evaluate.photos import open_photo

MOST = 96
"""Errors on a sheet; of more, evenly spaced ones."""

SMALLEST = 20.0
"""Pixels of the shorter side of a missed face that is worth a look."""

RED = (0, 0, 255)
MARGIN = 1.0
"""Of the picture shown around a box, as a share of the box's longer side."""

KNOWN = frozenset(map(str, LABELS))


def write_gallery(folder: Path, outcomes: Sequence[Outcome]) -> list[Path]:
    """Write a sheet each of missed faces, of boxes where no face is annotated, and of alarms missed or given wrongly.

    Args:
        folder: Made if it is absent.
        outcomes: Of the photos; those with an error are decoded again.

    Returns:
        The sheets.

    Raises:
        ConfigError: A sheet cannot be written, or a photo cannot be read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"Cannot write to {folder}: {error.strerror}; give --gallery another folder.") from error
    sheets: dict[str, list[Tile]] = {"missed": [], "false": [], "verdicts": []}
    for outcome in outcomes:
        errors = list(_errors(outcome))
        image = open_photo(outcome.photo) if errors else None
        for sheet, bbox, line in errors:
            assert image is not None
            sheets[sheet].append(_tile(image, bbox, outcome.photo.source, line))
    return [_write(folder, name, tiles) for name, tiles in sheets.items()]


def _errors(outcome: Outcome) -> Iterable[tuple[str, BBox, str]]:
    """The sheet, box and caption of each error in a photo."""
    for truth, reading in outcome.pairs():
        if reading is None:
            if truth.bbox.short_side >= SMALLEST:
                yield "missed", truth.bbox, f"{truth.bbox.short_side:.0f} px {truth.category}"
        elif truth.category in KNOWN and (truth.category == Label.WITH_MASK) != (reading.label == Label.WITH_MASK):
            yield "verdicts", truth.bbox, f"{truth.category} as {reading.label}"
    for reading in outcome.unmatched:
        yield "false", reading.face.bbox, f"{reading.face.score:.2f} {reading.face.bbox.short_side:.0f} px"


def _tile(image: Image, bbox: BBox, source: str, line: str) -> Tile:
    part = around(image, bbox, MARGIN).copy()
    reach = MARGIN * max(bbox.width, bbox.height)
    left, top = max(0, int(bbox.x0 - reach)), max(0, int(bbox.y0 - reach))
    corner, opposite = (int(bbox.x0) - left, int(bbox.y0) - top), (int(bbox.x1) - left, int(bbox.y1) - top)
    cv2.rectangle(part, corner, opposite, RED, max(1, round(max(part.shape) / 128)))
    return Tile(part, (source, line))


def _write(folder: Path, name: str, tiles: Sequence[Tile]) -> Path:
    path = folder / f"{name}.png"
    write_sheet(path, f"{name}: {len(tiles)}", evenly(tiles, MOST), columns=12)
    return path

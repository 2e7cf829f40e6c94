"""Shows whether the mask model reads resolution or blur: bare and masked faces are degraded alike, and judged again.

A model that took sharpness for a sign of one class would change its mind about one class and not the other.

python -m train.evaluate.degrade --data DIR/val.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge import config
from edge.commands.check import STILL_MAX_FACES
from edge.errors import ConfigError
from edge.values import LABELS, BBox, Face, Frame, Image, Label
from edge.vision.pipeline import Pipeline, load_pipeline
from edge.vision.preprocess import resize
from train.common.box_size import larger
from train.common.matching import SAME_FACE, match
from train.common.terminal import run_program
from train.evaluate.measure import JUDGED_SIDE, Share
from train.evaluate.photos import UNKNOWN, Photo, open_photo, read_photos
from train.evaluate.report import markdown_table, share_text, write_json

SMALL_SIDE = 32
"""Pixels that the face's shorter side keeps."""

BLUR = 0.04
"""Standard deviation of the blur, as a fraction of the face's shorter side."""

JPEG_QUALITY = 30
CONTEXT = 1.0
"""What of the photo around a face is degraded with it, on each side, as a fraction of the box's longer side."""

Change = Callable[[Image, float], Image]
"""Takes a picture, (H, W, 3) uint8 BGR, and the shorter side of its face, in pixels; gives one of the same size."""


def shrunk(image: Image, side: float) -> Image:
    """Scaled down until the face's shorter side is ``SMALL_SIDE`` pixels, and up again."""
    height, width = image.shape[:2]
    scale = min(1.0, SMALL_SIDE / side)
    small = resize(image, max(1, round(width * scale)), max(1, round(height * scale)))
    return resize(small, width, height)


def blurred(image: Image, side: float) -> Image:
    """Gaussian blur of ``BLUR`` times the face's shorter side."""
    return cv2.GaussianBlur(image, (0, 0), BLUR * side)  # type: ignore[return-value]


def compressed(image: Image, side: float) -> Image:
    """JPEG at ``JPEG_QUALITY``."""
    del side
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)  # type: ignore[return-value]


def together(image: Image, side: float) -> Image:
    """All three, one after the other."""
    return compressed(blurred(shrunk(image, side), side), side)


CHANGES: Mapping[str, Change | None] = {
    "as it is": None,
    f"scaled down to {SMALL_SIDE} px and up again": shrunk,
    f"blurred, {BLUR} of the face": blurred,
    f"JPEG {JPEG_QUALITY}": compressed,
    "all three": together,
}


def around(image: Image, bbox: BBox) -> tuple[Image, BBox]:
    """A face with ``CONTEXT`` around it, as a picture of its own, and where the face is in that."""
    height, width = image.shape[:2]
    reach = CONTEXT * bbox.longer_side
    left, top = max(0, int(bbox.x0 - reach)), max(0, int(bbox.y0 - reach))
    cut = np.ascontiguousarray(image[top : min(height, int(bbox.y1 + reach)), left : min(width, int(bbox.x1 + reach))])
    return cut, BBox(bbox.x0 - left, bbox.y0 - top, bbox.x1 - left, bbox.y1 - top)


def alarms(photos: Sequence[Photo], pipeline: Pipeline) -> dict[str, dict[str, Share]]:
    """How many annotated faces of ``JUDGED_SIDE`` and more are labelled other than with_mask, by change and category.

    Each is cut as it is detected in the photo as it is, or, where it is missed, as it would be; see
    `train.common.box_size`.

    Raises:
        ConfigError: A picture cannot be read.
    """
    said: dict[str, dict[str, list[bool]]] = {name: {str(label): [] for label in LABELS} for name in CHANGES}
    for photo in photos:
        near = [truth.category != UNKNOWN and truth.bbox.short_side >= JUDGED_SIDE for truth in photo.truths]
        if not any(near):
            continue
        image = open_photo(photo)
        faces = pipeline.detect(Frame.still(image))
        for truth, index in compress(zip(photo.truths, match(photo.bboxes, faces, SAME_FACE), strict=True), near):
            cut, bbox = around(image, larger(truth.bbox) if index is None else faces[index].bbox)
            for name, change in CHANGES.items():
                changed = cut if change is None else change(cut, bbox.short_side)
                (reading,) = pipeline.judge(changed, [Face(bbox, 1.0)])
                said[name][truth.category].append(reading.label != Label.WITH_MASK)
    return {
        name: {category: Share(sum(flags), len(flags)) for category, flags in row.items()} for name, row in said.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    return run_program("train.evaluate.degrade", _run, _parser().parse_args(arguments))


def _run(args: argparse.Namespace) -> None:
    photos = read_photos(args.data)[: args.limit]
    if not photos:
        raise ConfigError(f"{args.data} has no photo; name a COCO file with faces as --data.")
    overrides = {} if args.mask_model is None else {"mask.model": args.mask_model}
    settings = config.load(overrides=overrides).config
    pipeline = load_pipeline(settings, settings.face.still_threshold, STILL_MAX_FACES)
    measured = alarms(photos, pipeline)
    rows = [(name, *(share_text(share) for share in row.values())) for name, row in measured.items()]
    print("Alarms on annotated faces of 40 px and more, before and after both classes are degraded alike:\n")
    print(markdown_table(("Picture", "bare", "masked", "badly worn"), [_bare_first(row) for row in rows]))
    if args.json:
        write_json(args.json, {"alarms": {n: {c: s._asdict() for c, s in row.items()} for n, row in measured.items()}})


def _bare_first(row: Sequence[str]) -> list[str]:
    name, masked, bare, badly = row
    return [name, bare, masked, badly]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train.evaluate.degrade", description=__doc__.splitlines()[0])
    add: Callable[..., Any] = parser.add_argument
    add("--data", type=Path, required=True, help="a COCO file with face boxes, or a folder with a val.json")
    add("--mask-model", help="overrides the setting; PATH/manifest.json#name for your own")
    add("--limit", type=int, help="only the first LIMIT photos")
    add("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())

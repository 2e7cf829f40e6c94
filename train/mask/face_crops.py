"""``python -m train.mask.face_crops``: labelled face crops become photos for the face detector.

Whole photos of masked people are few; crops of them are many. A published detector finds the box in each crop, as it
does for the mask classifier; crops in which it finds no face are left out. The result is a COCO file for
``python -m train face --data``.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from edge.errors import ConfigError
from edge.values import LABELS, Label
from train.common.reproducible import write_json
from train.common.terminal import run_program
from train.mask.data import Sample, drop_unreadable, load, read
from train.mask.locate import YuNet, locate

MASKED = (str(Label.WITH_MASK), str(Label.MASK_WORN_INCORRECTLY))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the COCO file that the options ask for. Returns the exit code."""
    return run_program("train.mask.face_crops", _run, _parser().parse_args(arguments))


def _run(args: argparse.Namespace) -> None:
    samples = [sample for path in args.data for sample in read(path)]
    labels = args.label or MASKED
    wanted = [s for s in samples if not s.validation and s.bbox is None and str(s.label) in labels]
    readable, _ = drop_unreadable(wanted, print)
    located = locate(readable, YuNet(args.detector), args.cache, 0.0)
    photos = [sample for sample in located if sample.bbox is not None]
    if not photos:
        raise ConfigError("No face was found in any of the crops: check --data and --label.")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.out, coco(photos, args.out.parent))
    print(f"Wrote {args.out}: {len(photos)} photos, {len(readable) - len(photos)} crops without a found face left out")


def coco(samples: Sequence[Sample], folder: Path) -> dict[str, object]:
    """A COCO file's content: one photo and one box a sample, pictures named relative to ``folder``."""
    images, annotations = [], []
    for number, sample in enumerate(samples, start=1):
        assert sample.bbox is not None
        height, width = load(sample.path).shape[:2]
        name = os.path.relpath(sample.path, folder)
        images.append({"id": number, "file_name": name, "width": width, "height": height, "source": sample.source})
        box = sample.bbox
        bbox = [round(side, 1) for side in (box.x0, box.y0, box.width, box.height)]
        annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": bbox, "iscrowd": 0})
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "face"}]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train.mask.face_crops", description=__doc__)
    parser.add_argument("--data", action="append", type=Path, required=True, help="folder per class, or labels.csv")
    parser.add_argument("--detector", type=Path, required=True, metavar="ONNX", help="YuNet: finds the boxes")
    parser.add_argument(
        "--label",
        action="append",
        choices=[str(label) for label in LABELS],
        help=f"which crops; may be repeated (default: {' and '.join(MASKED)})",
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/mask/boxes.json"), help="boxes (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/face/crops.json"), help="default: %(default)s")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

"""Average precision of a face detector, as pycocotools computes it for a single class."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from edge.values import BBox, Face

COCO_IOUS = tuple(np.linspace(0.5, 0.95, 10).round(2).tolist())


class Annotated(NamedTuple):
    """The boxes of one photo; ``ignored`` regions count neither way."""

    faces: Sequence[BBox]
    ignored: Sequence[BBox]


def average_precision(
    photos: Sequence[Annotated], found: Sequence[Sequence[Face]], ious: Sequence[float] = COCO_IOUS
) -> dict[float, float]:
    """Average precision in [0, 1] over faces of all sizes, at each IoU.

    Args:
        photos: Annotated boxes.
        found: Detected faces of each photo.
        ious: Minimum overlaps.

    Raises:
        ImportError: pycocotools is not installed.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations = [
        _entry(index, box) | {"area": box.area, "iscrowd": crowd}
        for index, photo in enumerate(photos)
        for boxes, crowd in ((photo.faces, 0), (photo.ignored, 1))
        for box in boxes
    ]
    detections = [
        _entry(index, face.bbox) | {"score": face.score} for index, faces in enumerate(found) for face in faces
    ]
    if not detections or not annotations:
        return dict.fromkeys(ious, 0.0)
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": index} for index in range(len(photos))],
        "annotations": [{"id": number, **annotation} for number, annotation in enumerate(annotations, 1)],
        "categories": [{"id": 1, "name": "face"}],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(detections), "bbox")
        evaluation.params.iouThrs = np.array(ious)
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    return {iou: float(precision[index, :, 0, 0, -1].mean()) for index, iou in enumerate(ious)}


def _entry(photo: int, box: BBox) -> dict[str, Any]:
    return {"image_id": photo, "category_id": 1, "bbox": [box.x0, box.y0, box.width, box.height]}

"""How well faces are found: recall by size, unmatched boxes per photo, average precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.runtime import Tensor
from edge.values import BBox, Face, Image
from edge.vision.detectors import NMS_IOU
from edge.vision.detectors.maskgate import Layout, decode
from edge.vision.preprocess import letterbox, normalise
from train.common.average_precision import Annotated, average_precision
from train.common.matching import SAME_FACE, match
from train.face.data import Photo
from train.face.model import STRIDES

SIZES = {"8_20": (8.0, 20.0), "20_40": (20.0, 40.0), "40_up": (40.0, float("inf"))}
"""Classes of a face's short side, in pixels of the stored photo: from the first, below the second."""

THRESHOLDS = (0.4, 0.5)
LEAST_SCORE = 0.02
MAX_FACES = 200
BATCH = 32

Predict = Callable[[NDArray[np.float32]], Mapping[str, NDArray[np.float32]]]
"""(N, H, W, 3) float32 RGB in [-1, 1] to the six output maps, each with N first."""


def detect(images: Iterable[Image], predict: Predict, width: int, height: int) -> list[list[Face]]:
    """Find the faces of each picture, in its pixels, best first, down to a score of ``LEAST_SCORE``.

    Args:
        images: (H, W, 3) uint8 BGR each.
        predict: Runs the model.
        width: Of the model's input, in pixels.
        height: Of the model's input, in pixels.
    """
    layout = Layout(width, height, STRIDES)
    found: list[list[Face]] = []
    remaining = iter(images)
    while fitted := [letterbox(image, width, height) for image in islice(remaining, BATCH)]:
        outputs = predict(normalise(np.stack([image for image, _ in fitted])))
        for index, (_, placed) in enumerate(fitted):
            maps = [Tensor(value[index : index + 1]) for value in outputs.values()]
            boxes, scores = decode(maps, layout, LEAST_SCORE, NMS_IOU, MAX_FACES)
            corners = placed.to_frame(boxes).tolist()
            found.append([Face(BBox(*c), s) for c, s in zip(corners, scores.tolist(), strict=True)])
    return found


def score(photos: Sequence[Photo], found: Sequence[Sequence[Face]]) -> dict[str, Any]:
    """Figures of one detector on annotated photos.

    Returns:
        ``ap`` (IoU 0.5 to 0.95) and ``ap50`` by pycocotools; for each threshold of ``THRESHOLDS`` a ``recall`` by
        face size at IoU 0.3, and ``unmatched`` boxes per photo; ``faces`` by size.
    """
    figures: dict[str, Any] = {"photos": len(photos), **precision(photos, found)}
    sides = np.array([side for photo in photos for side in _short_sides(photo)])
    figures["faces"] = {name: int(np.sum(_within(sides, name))) for name in SIZES}
    for threshold in THRESHOLDS:
        hits, unmatched = [], 0
        for photo, faces in zip(photos, found, strict=True):
            matched = which_found(photo, faces, threshold)
            hits.extend(matched)
            unmatched += unmatched_boxes(photo, faces, threshold)
        hit = np.array(hits, bool)
        figures[f"at_{threshold}"] = {
            "recall": {name: _mean(hit[_within(sides, name)]) for name in SIZES},
            "unmatched": round(unmatched / len(photos), 4),
        }
    return figures


def which_found(photo: Photo, faces: Sequence[Face], threshold: float) -> list[bool]:
    """Of each annotated face of a photo, whether one of ``faces`` with at least that score is it."""
    bboxes = _boxes(photo.boxes)
    sure = [face for face in faces if face.score >= threshold]
    return [index is not None for index in match(bboxes, sure, SAME_FACE)]


def _ignored(photo: Photo, face: Face) -> bool:
    """Whether a found face lies on a region that counts neither way, and on no annotated face."""
    return any(face.bbox.iou(box) >= SAME_FACE for box in _boxes(photo.ignore)) and not any(
        face.bbox.iou(box) >= SAME_FACE for box in _boxes(photo.boxes)
    )


def unmatched_boxes(photo: Photo, faces: Sequence[Face], threshold: float) -> int:
    """How many of the faces with at least that score are on no annotated face and on no ignore region."""
    sure = [face for face in faces if face.score >= threshold and not _ignored(photo, face)]
    return len(sure) - sum(which_found(photo, faces, threshold))


def describe(figures: dict[str, Any]) -> str:
    """One line of the main figures."""
    parts = [f"AP {figures['ap']:.3f}, AP50 {figures['ap50']:.3f}"]
    for threshold in THRESHOLDS:
        at = figures[f"at_{threshold}"]
        recall = ", ".join(f"{name} {'-' if rate is None else f'{rate:.3f}'}" for name, rate in at["recall"].items())
        parts.append(f"at {threshold} recall {recall}, unmatched per photo {at['unmatched']:.2f}")
    return "; ".join(parts)


def precision(photos: Sequence[Photo], found: Sequence[Sequence[Face]]) -> dict[str, float]:
    """``ap`` over IoU 0.5 to 0.95, and ``ap50``."""
    annotated = [Annotated(_boxes(photo.boxes), _boxes(photo.ignore)) for photo in photos]
    at = average_precision(annotated, found)
    return {"ap": round(mean(at.values()), 4), "ap50": round(at[0.5], 4)}


def _boxes(corners: NDArray[np.float32]) -> list[BBox]:
    return [BBox(*box) for box in corners.tolist()]


def _short_sides(photo: Photo) -> NDArray[np.float32]:
    return np.min(photo.boxes[:, 2:] - photo.boxes[:, :2], axis=1)  # type: ignore[no-any-return]


def _within(sides: NDArray[np.float32], name: str) -> NDArray[np.bool_]:
    low, high = SIZES[name]
    return (sides >= low) & (sides < high)


def _mean(hits: NDArray[np.bool_]) -> float | None:
    return round(float(hits.mean()), 4) if len(hits) else None

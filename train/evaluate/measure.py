"""What a pipeline makes of photos with annotated faces: who matches whom, and the figures that follow from it."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import numpy as np

from edge.values import LABELS, BBox, Face, Frame, Image, Label, Reading
from edge.vision.pipeline import Pipeline
from train.evaluate.hard_cases import Case, HardFace
from train.evaluate.photos import CATEGORIES, UNKNOWN, Photo, Truth
from train.mask.calibration import Calibration, Judged, calibration

JUDGED_SIDE = 40.0
"""Pixels of the shorter side from which labels are measured, as the product's bars do."""

SIZES = {"40 px and more": (JUDGED_SIDE, float("inf")), "20 to 40 px": (20.0, JUDGED_SIDE), "8 to 20 px": (8.0, 20.0)}

SAME_FACE = 0.3
"""IoU from which on a box and an annotated one are of one face."""

SWEEP_THRESHOLD = 0.05
"""Least score that average precision sees."""

SWEEP_IOUS = (SAME_FACE, 0.5)

AT_MOST = frozenset(
    {"masked_flagged", "unmatched_per_photo", "ece_label", "ece_alarm", "ece_face", "ms_detect", "ms_classify"}
)
"""Figures that are good when small; of all others a bar is the least value."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the pipeline made of one photo.

    Attributes:
        photo: The photo.
        swept: Every face down to ``SWEEP_THRESHOLD``.
        found: For each of the photo's truths the reading that matches it, or None where the face was missed.
        unmatched: Readings where nobody annotated a face.
        detect: Seconds.
        classify: Seconds, all faces together.
    """

    photo: Photo
    swept: Sequence[Face]
    found: Sequence[Reading | None]
    unmatched: Sequence[Reading]
    detect: float
    classify: float

    def pairs(self) -> Iterable[tuple[Truth, Reading | None]]:
        """Each annotated face with its reading."""
        return zip(self.photo.truths, self.found, strict=True)


class Share(NamedTuple):
    """So many of so many."""

    hits: int
    total: int

    @property
    def value(self) -> float | None:
        """In [0, 1], or None of nothing."""
        return self.hits / self.total if self.total else None


class Figures(NamedTuple):
    """What ``--require`` can hold to a bar; None where there was nothing to measure.

    Attributes:
        face_recall: Of faces of at least ``JUDGED_SIDE`` pixels, the share found.
        bare_flagged: Of those found bare, the share labelled other than with_mask.
        masked_flagged: Of those found masked, the share labelled other than with_mask: false alarms.
        incorrect_flagged: Of those found with a badly worn mask, the share labelled other than with_mask.
        unmatched_per_photo: Boxes where no face is annotated.
        ap_30: Average precision of boxes of all sizes at IoU 0.3, where pycocotools is installed.
        ap_50: The same at IoU 0.5.
        ece_label: Expected calibration error of the label's probability, of faces of a known state found.
        ece_alarm: The same of the probability of an alarm: of any label but with_mask.
        ece_face: The same of the detector's scores down to ``SWEEP_THRESHOLD``; a face that nobody annotated is wrong.
        ms_detect: Milliseconds to find the faces of a photo, median.
        ms_classify: Milliseconds to judge one face, mean.
    """

    face_recall: float | None
    bare_flagged: float | None
    masked_flagged: float | None
    incorrect_flagged: float | None
    unmatched_per_photo: float
    ap_30: float | None
    ap_50: float | None
    ece_label: float | None
    ece_alarm: float | None
    ece_face: float | None
    ms_detect: float
    ms_classify: float | None


def match(bboxes: Sequence[BBox], faces: Sequence[Face], iou: float) -> list[int | None]:
    """Pair faces with annotated ones one to one: the surest first, each with the free one that it overlaps most.

    Args:
        bboxes: Of the annotated faces.
        faces: Detected faces, in any order.
        iou: Least overlap of a pair, in (0, 1].

    Returns:
        For each annotated face the index of its found one, or None.
    """
    pairs: list[int | None] = [None] * len(bboxes)
    for index in sorted(range(len(faces)), key=lambda index: -faces[index].score):
        overlaps = [
            faces[index].bbox.iou(bbox) if pair is None else 0.0 for bbox, pair in zip(bboxes, pairs, strict=True)
        ]
        best = max(range(len(bboxes)), key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] >= iou:
            pairs[best] = index
    return pairs


def assess(photo: Photo, image: Image, pipeline: Pipeline, threshold: float, iou: float) -> Outcome:
    """Run the pipeline over one photo and compare.

    Args:
        photo: With its truths.
        image: Of the photo, as ``open_photo`` gives it.
        pipeline: Whose own threshold is at most ``threshold``.
        threshold: Least score of a face that is judged.
        iou: Least overlap of a face with its truth.
    """
    swept = pipeline.detect(Frame.still(image))
    readings = pipeline.judge(image, [face for face in swept if face.score >= threshold])
    pairs = match(photo.bboxes, [reading.face for reading in readings], iou)
    unmatched = [
        reading
        for index, reading in enumerate(readings)
        if index not in pairs and all(reading.face.bbox.iou(region) < iou for region in photo.ignored)
    ]
    found = [None if index is None else readings[index] for index in pairs]
    return Outcome(photo, swept, found, unmatched, pipeline.times.detect, pipeline.times.classify)


def recall(outcomes: Iterable[Outcome], low: float = JUDGED_SIDE, high: float = float("inf")) -> Share:
    """How many of the annotated faces of a size were found; ``low`` <= shorter side < ``high``, in pixels."""
    hits = [
        reading is not None
        for outcome in outcomes
        for truth, reading in outcome.pairs()
        if low <= truth.bbox.short_side < high
    ]
    return Share(sum(hits), len(hits))


def confusion(outcomes: Iterable[Outcome], low: float = JUDGED_SIDE) -> dict[str, Counter[str]]:
    """For each category, how often its faces got which label, or ``missed``; of faces from ``low`` pixels on."""
    table: dict[str, Counter[str]] = {category: Counter() for category in CATEGORIES}
    for outcome in outcomes:
        for truth, reading in outcome.pairs():
            if truth.bbox.short_side >= low:
                table[truth.category]["missed" if reading is None else str(reading.label)] += 1
    return table


def flagged(row: Mapping[str, int]) -> Share:
    """Of the faces found in a row of ``confusion``, those labelled other than ``with_mask``."""
    found = sum(row.get(str(label), 0) for label in LABELS)
    return Share(found - row.get(str(Label.WITH_MASK), 0), found)


def sweep(outcomes: Iterable[Outcome], iou: float) -> tuple[list[float], list[bool]]:
    """The score of every face down to ``SWEEP_THRESHOLD``, and whether it is annotated; ignored regions left out."""
    scores, right = [], []
    for outcome in outcomes:
        pairs = match(outcome.photo.bboxes, outcome.swept, iou)
        for index, face in enumerate(outcome.swept):
            if index in pairs or all(face.bbox.iou(region) < iou for region in outcome.photo.ignored):
                scores.append(face.score)
                right.append(index in pairs)
    return scores, right


def judged(outcomes: Iterable[Outcome], low: float = JUDGED_SIDE) -> Judged:
    """The probabilities of the faces found whose mask state is annotated, from ``low`` pixels on, and their truth."""
    known = [
        (reading.probabilities, LABELS.index(Label(truth.category)))
        for outcome in outcomes
        for truth, reading in outcome.pairs()
        if reading is not None and truth.category != UNKNOWN and truth.bbox.short_side >= low
    ]
    probabilities = np.array([probability for probability, _ in known], np.float64).reshape(-1, len(LABELS))
    return Judged(probabilities, np.array([index for _, index in known], np.intp))


def label_calibration(faces: Judged) -> Calibration | None:
    """How far the probability of the most probable label can be believed."""
    return calibration(faces.probabilities.max(axis=1), faces.probabilities.argmax(axis=1) == faces.truth)


def alarm_calibration(faces: Judged) -> Calibration | None:
    """How far the probability of anything but ``with_mask`` can be believed."""
    masked = LABELS.index(Label.WITH_MASK)
    return calibration(1 - faces.probabilities[:, masked], faces.truth != masked)


class CaseCount(NamedTuple):
    """Of a case's faces: in the photos measured, found, and among these judged right as to an alarm.

    Of a case without faces: its boxes in the photos measured, those taken for faces, and the others.
    """

    name: str
    faces: int
    found: int
    right: int


def count_cases(cases: Iterable[Case], outcomes: Iterable[Outcome], folders: Sequence[Path]) -> list[CaseCount]:
    """Go through the hard cases; faces of photos that were not measured, or that are not annotated, are left out.

    Args:
        cases: By name.
        outcomes: Of the photos.
        folders: To one of which each case's photo is relative.
    """
    by_photo = {outcome.photo.path: outcome for outcome in outcomes}
    counts = []
    for case in cases:
        if case.no_face:
            counts.append(_count_false(case, by_photo, folders))
            continue
        known = [
            (face.alarm, reading)
            for face in case.faces
            for folder in folders
            if (outcome := by_photo.get(folder / face.photo)) is not None
            for truth, reading in outcome.pairs()
            if face.is_at(truth.bbox)
        ]
        found = [(alarm, reading.label != Label.WITH_MASK) for alarm, reading in known if reading is not None]
        counts.append(CaseCount(case.name, len(known), len(found), sum(due == said for due, said in found)))
    return counts


def _count_false(case: Case, by_photo: Mapping[Path, Outcome], folders: Sequence[Path]) -> CaseCount:
    taken = [
        any(reading.face.bbox.iou(_box(face)) >= SAME_FACE for reading in outcome.unmatched)
        for face in case.faces
        for folder in folders
        if (outcome := by_photo.get(folder / face.photo)) is not None
    ]
    return CaseCount(case.name, len(taken), sum(taken), len(taken) - sum(taken))


def _box(face: HardFace) -> BBox:
    left, top, width, height = face.bbox
    return BBox(left, top, left + width, top + height)


def average_precision(outcomes: Sequence[Outcome]) -> dict[float, float] | None:
    """Average precision of the detector over all face sizes, by pycocotools.

    Returns:
        AP in [0, 1] at each IoU of ``SWEEP_IOUS``, or None where pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        return None
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = _coco_truth(outcomes)
        truth.createIndex()
        detections = _coco_detections(outcomes)
        if not detections or not truth.dataset["annotations"]:
            return dict.fromkeys(SWEEP_IOUS, 0.0)
        evaluation = COCOeval(truth, truth.loadRes(detections), "bbox")
        evaluation.params.iouThrs = list(SWEEP_IOUS)
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    return {iou: float(precision[index, :, 0, 0, -1].mean()) for index, iou in enumerate(SWEEP_IOUS)}


def figures(outcomes: Sequence[Outcome], iou: float = SAME_FACE) -> Figures:
    """Sum up the outcomes of at least one photo; ``iou`` is the least overlap of a face with its truth."""
    table = confusion(outcomes)
    faces = judged(outcomes)
    precision = average_precision(outcomes) or {}
    return Figures(
        face_recall=recall(outcomes).value,
        bare_flagged=flagged(table[Label.WITHOUT_MASK]).value,
        masked_flagged=flagged(table[Label.WITH_MASK]).value,
        incorrect_flagged=flagged(table[Label.MASK_WORN_INCORRECTLY]).value,
        unmatched_per_photo=mean(len(outcome.unmatched) for outcome in outcomes),
        ap_30=precision.get(0.3),
        ap_50=precision.get(0.5),
        ece_label=_error(label_calibration(faces)),
        ece_alarm=_error(alarm_calibration(faces)),
        ece_face=_error(calibration(*sweep(outcomes, iou))),
        ms_detect=median(outcome.detect for outcome in outcomes) * 1e3,
        ms_classify=_milliseconds_a_face(outcomes),
    )


def _milliseconds_a_face(outcomes: Sequence[Outcome]) -> float | None:
    judged = sum(len(outcome.unmatched) + sum(one is not None for one in outcome.found) for outcome in outcomes)
    return sum(outcome.classify for outcome in outcomes) * 1e3 / judged if judged else None


def _coco_truth(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    annotations = []
    for image_id, outcome in enumerate(outcomes, 1):
        boxes = [(truth.bbox, 0) for truth in outcome.photo.truths] + [(bbox, 1) for bbox in outcome.photo.ignored]
        annotations += [
            {
                "id": 0,
                "image_id": image_id,
                "category_id": 1,
                "bbox": _left_top_size(bbox),
                "area": bbox.area,
                "iscrowd": crowd,
            }
            for bbox, crowd in boxes
        ]
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    return {
        "info": {},
        "images": [{"id": image_id} for image_id in range(1, len(outcomes) + 1)],
        "categories": [{"id": 1, "name": "face"}],
        "annotations": annotations,
    }


def _coco_detections(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [
        {"image_id": image_id, "category_id": 1, "bbox": _left_top_size(face.bbox), "score": face.score}
        for image_id, outcome in enumerate(outcomes, 1)
        for face in outcome.swept
    ]


def _left_top_size(bbox: BBox) -> list[float]:
    return [bbox.x0, bbox.y0, bbox.width, bbox.height]


def _error(measured: Calibration | None) -> float | None:
    return None if measured is None else measured.error

"""What a pipeline makes of photos with annotated faces: who matches whom, and the figures that follow from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import NamedTuple

import numpy as np

from edge.values import LABELS, Face, Frame, Image, Label, Reading
from edge.vision.pipeline import Pipeline
from train.common.average_precision import Annotated, average_precision
from train.common.matching import SAME_FACE, match
from train.evaluate.photos import CATEGORIES, UNKNOWN, Photo, Truth
from train.mask.calibration import Calibration, Judged, calibration

JUDGED_SIDE = 40.0
"""Pixels of the shorter side from which labels are measured, as the product's bars do."""

SIZES = {"40 px and more": (JUDGED_SIDE, float("inf")), "20 to 40 px": (20.0, JUDGED_SIDE), "8 to 20 px": (8.0, 20.0)}

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


def figures(outcomes: Sequence[Outcome], iou: float = SAME_FACE) -> Figures:
    """Sum up the outcomes of at least one photo; ``iou`` is the least overlap of a face with its truth."""
    table = confusion(outcomes)
    faces = judged(outcomes)
    precision = _precision(outcomes)
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


def _precision(outcomes: Sequence[Outcome]) -> dict[float, float]:
    photos = [Annotated(outcome.photo.bboxes, outcome.photo.ignored) for outcome in outcomes]
    try:
        return average_precision(photos, [outcome.swept for outcome in outcomes], SWEEP_IOUS)
    except ImportError:
        return {}


def _milliseconds_a_face(outcomes: Sequence[Outcome]) -> float | None:
    judged = sum(len(outcome.unmatched) + sum(one is not None for one in outcome.found) for outcome in outcomes)
    return sum(outcome.classify for outcome in outcomes) * 1e3 / judged if judged else None


def _error(measured: Calibration | None) -> float | None:
    return None if measured is None else measured.error

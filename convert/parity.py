"""Float against int8 on the same validation pictures, both run by the device's own code."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.values import LABELS, BBox, Face, Frame, Label
from edge.vision.face_detector import Detector
from edge.vision.mask_classifier import Classifier
from train.evaluate.hard_cases import HardFace, read_cases
from train.face import figures as face_eval
from train.face.data import Photo, read_image
from train.mask.data import Sample, face_box, load
from train.mask.figures import answers, figures, indices

SAME_FACE_IOU = 0.5
"""Two detections with at least this overlap (IoU) count as the same."""

Found = list[list[Face]]
"""The faces of each photo, best first, in pixels of the photo."""

ListedCases = Mapping[str, Sequence[tuple[Path, HardFace]]]
"""For each hard case its faces, each with where its photo may be."""

Said = Mapping[Path, Sequence[tuple[BBox, Mapping[str, bool]]]]
"""For each photo its annotated boxes, each with the answer of every model, by the model's name."""


def find_faces(photos: Sequence[Photo], detectors: Sequence[Detector]) -> list[Found]:
    """Run several detectors over the same photos, down to a score of ``face_eval.LEAST_SCORE``.

    Returns:
        One list for each detector, as long as ``photos``.
    """
    found: list[Found] = [[] for _ in detectors]
    for photo in photos:
        image = read_image(photo.path)
        for faces, detector in zip(found, detectors, strict=True):
            faces.append(detector.detect(Frame.still(image), face_eval.LEAST_SCORE))
    return found


def face_parity(photos: Sequence[Photo], float_found: Found, int8_found: Found) -> dict[str, Any]:
    """Compare two detectors.

    Returns:
        JSON-ready: ``float`` and ``int8`` as in ``train.face.figures.score``; ``difference`` with the loss of ``ap``
        and, for each threshold, over the float model's detections above it: ``kept``, the share that the int8 model
        also has above it, ``mean_score_change`` and ``largest_score_change`` (0 to 1; a face that the int8 model does
        not have at all changed by its whole score) and ``mean_iou`` of the boxes.
    """
    scored = {"float": face_eval.score(photos, float_found), "int8": face_eval.score(photos, int8_found)}
    difference: dict[str, Any] = {"ap": round(scored["int8"]["ap"] - scored["float"]["ap"], 4)}
    for threshold in face_eval.THRESHOLDS:
        pairs = [
            pair
            for before, after in zip(float_found, int8_found, strict=True)
            for pair in _counterparts([face for face in before if face.score >= threshold], after)
        ]
        difference[f"at_{threshold}"] = _score_changes(pairs, threshold)
    return {"photos": len(photos), **scored, "difference": difference}


def read_masks(samples: Sequence[Sample], classifiers: Sequence[Classifier]) -> list[NDArray[np.float64]]:
    """Run several classifiers over the same faces.

    Returns:
        (N, 3) probabilities in the order of ``LABELS`` for each classifier.
    """
    read: list[list[tuple[float, ...]]] = [[] for _ in classifiers]
    for sample in samples:
        image = load(sample.path)
        face = Face(face_box(sample, image), 1.0)
        for probabilities, classifier in zip(read, classifiers, strict=True):
            (reading,) = classifier.classify(image, [face])
            probabilities.append(reading.probabilities)
    return [np.array(probabilities) for probabilities in read]


def mask_parity(
    samples: Sequence[Sample], float_read: NDArray[np.float64], int8_read: NDArray[np.float64], alarm_below: float
) -> dict[str, Any]:
    """Compare two classifiers.

    Args:
        samples: N faces.
        float_read: (N, 3) probabilities in the order of ``LABELS``.
        int8_read: (N, 3), of the same faces.
        alarm_below: As of a `edge.values.Reading`.

    Returns:
        JSON-ready: for ``all`` faces and by size, as in ``train.face.figures.SIZES`` (left out where there are none),
        ``float`` and ``int8`` as in ``train.mask.figures.figures``, and ``difference``: ``agreement``, the share of
        faces with the same label, ``mean_change`` and ``largest_change`` of a probability (0 to 1). And ``sources``,
        see ``_by_source``.
    """
    sides = np.array([sample.short_side for sample in samples])
    chosen: dict[str, NDArray[np.bool_]] = {"all": np.ones(len(samples), bool)}
    chosen |= {name: (sides >= low) & (sides < high) for name, (low, high) in reversed(face_eval.SIZES.items())}
    found = {
        name: _compare(
            indices([sample for sample, kept in zip(samples, mask, strict=True) if kept], LABELS),
            float_read[mask],
            int8_read[mask],
            alarm_below,
        )
        for name, mask in chosen.items()
        if mask.any()
    }
    return {**found, "sources": _by_source(samples, {"float": float_read, "int8": int8_read}, alarm_below)}


def _by_source(
    samples: Sequence[Sample], reads: Mapping[str, NDArray[np.float64]], alarm_below: float
) -> dict[str, dict[str, dict[str, int]]]:
    """Of each source and label, how many ``faces`` of the largest size, and how many each classifier alarms on."""
    least, _ = face_eval.SIZES["40_up"]
    rows: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row, sample in enumerate(samples):
        if sample.short_side >= least:
            rows[sample.source, str(sample.label)].append(row)
    masked = LABELS.index(Label.WITH_MASK)
    counts: defaultdict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for (source, label), chosen in sorted(rows.items()):
        alarms = {kind: int((read[chosen, masked] < alarm_below).sum()) for kind, read in reads.items()}
        counts[source][label] = {"faces": len(chosen), **alarms}
    return dict(counts)


def listed_cases(args: argparse.Namespace) -> ListedCases:
    """The hard cases of ``--cases``, with photos next to each ``--validation``; none without the option.

    Raises:
        ConfigError: The list is absent or has another form.
    """
    folders = [path.parent for path in args.validation]
    cases = read_cases(args.cases) if args.cases else []
    return {
        case.name: [(folder / face.photo, face) for face in case.faces for folder in folders]
        for case in cases
        if not case.no_face
    }


def faces_found(photos: Sequence[Photo], found: Mapping[str, Found]) -> Said:
    """Of each annotated face, whether each detector finds it with the least score of ``face_eval.THRESHOLDS``."""
    least = min(face_eval.THRESHOLDS)
    said: dict[Path, list[tuple[BBox, dict[str, bool]]]] = {}
    for number, photo in enumerate(photos):
        hits = {kind: face_eval.which_found(photo, faces[number], least) for kind, faces in found.items()}
        said[photo.path] = [
            (BBox(*box.tolist()), {kind: hit[row] for kind, hit in hits.items()}) for row, box in enumerate(photo.boxes)
        ]
    return said


def masks_alarmed(samples: Sequence[Sample], reads: Mapping[str, NDArray[np.float64]], alarm_below: float) -> Said:
    """Of each annotated face, whether each classifier calls for an alarm; ``reads`` as ``read_masks`` gives them."""
    alarms = {kind: read[:, LABELS.index(Label.WITH_MASK)] < alarm_below for kind, read in reads.items()}
    said: defaultdict[Path, list[tuple[BBox, dict[str, bool]]]] = defaultdict(list)
    for row, sample in enumerate(samples):
        if sample.bbox is not None:
            said[sample.path].append((sample.bbox, {kind: bool(alarm[row]) for kind, alarm in alarms.items()}))
    return said


def case_parity(cases: ListedCases, said: Said, due: Callable[[HardFace], bool]) -> dict[str, dict[str, int]]:
    """How many faces of each hard case several models answer rightly.

    Args:
        cases: As ``listed_cases`` gives them.
        said: What the models answer.
        due: The right answer.

    Returns:
        For each case of which a face was shown, how many ``faces`` were, and the right answers of each model.
    """
    counts = {}
    for name, listed in cases.items():
        right = [
            {kind: answer == due(face) for kind, answer in answers.items()}
            for photo, face in listed
            for bbox, answers in said.get(photo, [])
            if face.is_at(bbox)
        ]
        if right:
            counts[name] = {"faces": len(right), **{kind: sum(one[kind] for one in right) for kind in right[0]}}
    return counts


def _compare(
    truth: NDArray[np.intp], float_read: NDArray[Any], int8_read: NDArray[Any], alarm_below: float
) -> dict[str, Any]:
    change = np.abs(int8_read - float_read)
    return {
        "float": figures(truth, float_read, alarm_below=alarm_below),
        "int8": figures(truth, int8_read, alarm_below=alarm_below),
        "difference": {
            "agreement": round(
                float(np.mean(answers(float_read, LABELS, alarm_below) == answers(int8_read, LABELS, alarm_below))), 4
            ),
            "mean_change": round(float(change.mean()), 4),
            "largest_change": round(float(change.max()), 4),
        },
    }


def _counterparts(faces: Sequence[Face], others: Sequence[Face]) -> list[tuple[Face, Face | None]]:
    """Each face with the one of ``others`` that overlaps it most, if enough; nobody is paired twice."""
    free = list(others)
    pairs: list[tuple[Face, Face | None]] = []
    for face in faces:
        best = max(free, key=lambda other: face.bbox.iou(other.bbox), default=None)
        if best is not None and face.bbox.iou(best.bbox) >= SAME_FACE_IOU:
            free.remove(best)
            pairs.append((face, best))
        else:
            pairs.append((face, None))
    return pairs


def _score_changes(pairs: Sequence[tuple[Face, Face | None]], threshold: float) -> dict[str, float | None]:
    if not pairs:
        return {"kept": None, "mean_score_change": None, "largest_score_change": None, "mean_iou": None}
    changes = np.array([abs(face.score - (other.score if other else 0.0)) for face, other in pairs])
    overlaps = [face.bbox.iou(other.bbox) for face, other in pairs if other]
    return {
        "kept": round(float(np.mean([other is not None and other.score >= threshold for _, other in pairs])), 4),
        "mean_score_change": round(float(changes.mean()), 4),
        "largest_score_change": round(float(changes.max()), 4),
        "mean_iou": round(float(np.mean(overlaps)), 4) if overlaps else None,
    }

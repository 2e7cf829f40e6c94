"""Measures the models as the device runs them, on photos with annotated faces. Needs neither keras nor tensorflow.

python -m train.evaluate --data DIR/val.json
python -m train.evaluate --data DIR --require face_recall=0.9,bare_flagged=0.93,masked_flagged=0.05
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

from edge import config
from edge.check import STILL_MAX_FACES, PictureError, read_picture
from edge.errors import ConfigError, MaskgateError
from edge.pipeline import Pipeline, load_pipeline
from edge.values import LABELS, BBox, Face, Label, Reading

UNKNOWN = "face"
"""The category of a face whose mask state nobody annotated."""

CATEGORIES = (*(label.value for label in LABELS), UNKNOWN)

JUDGED_SIDE = 40.0
"""Pixels of the shorter side from which labels are measured, as the product's bars do."""

SIZES = {"40 px and more": (JUDGED_SIDE, float("inf")), "20 to 40 px": (20.0, JUDGED_SIDE), "8 to 20 px": (8.0, 20.0)}

SWEEP_THRESHOLD = 0.05
"""Least score that average precision sees."""

SWEEP_IOUS = (0.3, 0.5)

AT_MOST = frozenset({"masked_flagged", "unmatched_per_photo", "ms_detect", "ms_classify"})
"""Figures that are good when small; of all others a bar is the least value."""


class Truth(NamedTuple):
    """An annotated face: its box in pixels, and one of ``CATEGORIES``."""

    bbox: BBox
    category: str


@dataclass(frozen=True, slots=True)
class Photo:
    """An annotated photo; ``ignored`` regions count neither way."""

    path: Path
    source: str
    truths: tuple[Truth, ...]
    ignored: tuple[BBox, ...] = ()


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
    ms_detect: float
    ms_classify: float | None


def read_photos(data: Path) -> list[Photo]:
    """Read a COCO file.

    Args:
        data: The JSON file, or a folder with a ``val.json``. Picture names are relative to the file's folder.

    Raises:
        ConfigError: It is absent or not COCO.
    """
    path = data / "val.json" if data.is_dir() else data
    try:
        coco = json.loads(path.read_text(encoding="utf-8"))
        names = {category["id"]: category["name"] for category in coco["categories"]}
        truths: dict[int, list[Truth]] = {image["id"]: [] for image in coco["images"]}
        ignored: dict[int, list[BBox]] = {image["id"]: [] for image in coco["images"]}
        for annotation in coco["annotations"]:
            x, y, width, height = annotation["bbox"]
            bbox, name = BBox(x, y, x + width, y + height), names[annotation["category_id"]]
            if annotation.get("iscrowd") or annotation.get("ignore"):
                ignored[annotation["image_id"]].append(bbox)
            else:
                truths[annotation["image_id"]].append(Truth(bbox, name if name in CATEGORIES else UNKNOWN))
        return [
            Photo(
                path.parent / image["file_name"],
                image.get("source", ""),
                tuple(truths[image["id"]]),
                tuple(ignored[image["id"]]),
            )
            for image in coco["images"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a readable COCO file ({error}); name a JSON file with faces.") from error


def match(truths: Sequence[Truth], faces: Sequence[Face], iou: float) -> list[int | None]:
    """Pair faces with truths one to one: the surest face first, each with the free truth that it overlaps most.

    Args:
        truths: Annotated faces.
        faces: Detected faces, in any order.
        iou: Least overlap of a pair, in (0, 1].

    Returns:
        For each truth the index of its face, or None.
    """
    pairs: list[int | None] = [None] * len(truths)
    for index in sorted(range(len(faces)), key=lambda index: -faces[index].score):
        overlaps = [
            faces[index].bbox.iou(truth.bbox) if pair is None else 0.0
            for truth, pair in zip(truths, pairs, strict=True)
        ]
        best = max(range(len(truths)), key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] >= iou:
            pairs[best] = index
    return pairs


def assess(photo: Photo, pipeline: Pipeline, threshold: float, iou: float) -> Outcome:
    """Run the pipeline over one photo and compare.

    Args:
        photo: With its truths.
        pipeline: Whose own threshold is at most ``threshold``.
        threshold: Least score of a face that is judged.
        iou: Least overlap of a face with its truth.

    Raises:
        ConfigError: The picture cannot be read.
    """
    try:
        image = read_picture(photo.path)
    except PictureError as error:
        raise ConfigError(f"{photo.path}: {error}; restore it, or take it out of the COCO file.") from error
    swept = pipeline.detect(image)
    readings = pipeline.judge(image, [face for face in swept if face.score >= threshold])
    pairs = match(photo.truths, [reading.face for reading in readings], iou)
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


def average_precision(outcomes: Sequence[Outcome]) -> dict[float, float] | None:
    """Average precision of the detector over all face sizes, by pycocotools.

    Returns:
        AP in [0, 1] at each IoU of ``SWEEP_IOUS``, or None where pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO  # noqa: PLC0415
        from pycocotools.cocoeval import COCOeval  # noqa: PLC0415
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


def figures(outcomes: Sequence[Outcome]) -> Figures:
    """Sum up the outcomes of at least one photo."""
    table = confusion(outcomes)
    precision = average_precision(outcomes) or {}
    return Figures(
        face_recall=recall(outcomes).value,
        bare_flagged=flagged(table[Label.WITHOUT_MASK]).value,
        masked_flagged=flagged(table[Label.WITH_MASK]).value,
        incorrect_flagged=flagged(table[Label.MASK_WORN_INCORRECTLY]).value,
        unmatched_per_photo=mean(len(outcome.unmatched) for outcome in outcomes),
        ap_30=precision.get(0.3),
        ap_50=precision.get(0.5),
        ms_detect=median(outcome.detect for outcome in outcomes) * 1e3,
        ms_classify=_milliseconds_a_face(outcomes),
    )


def markdown(outcomes: Sequence[Outcome], values: Figures) -> str:
    """The report, as tables that can go into a page."""
    table = confusion(outcomes)
    return "\n\n".join([_figure_table(outcomes, values, table), _confusion_table(table), _source_table(outcomes)])


def unmet(values: Figures, bars: Mapping[str, float]) -> list[str]:
    """The bars that are missed, each as a sentence; a figure that could not be measured misses its bar."""
    said = []
    for name, bar in bars.items():
        value = values._asdict()[name]
        if value is None:
            said.append(f"{name} could not be measured")
        elif name in AT_MOST and value > bar:
            said.append(f"{name} is {value:.4f}, more than {bar}")
        elif name not in AT_MOST and value < bar:
            said.append(f"{name} is {value:.4f}, less than {bar}")
    return said


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code: 1 where a bar is missed."""
    args = _parser().parse_args(arguments)
    try:
        return _run(args)
    except MaskgateError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _run(args: argparse.Namespace) -> int:
    settings = _settings(args)
    threshold = args.face_threshold or settings.face.still_threshold
    photos = [photo for photo in read_photos(args.data) if args.source in (None, photo.source)][: args.limit]
    if not photos:
        raise ConfigError(f"{args.data} has no photo of that kind; name another file or --source.")
    pipeline = load_pipeline(settings, min(SWEEP_THRESHOLD, threshold), STILL_MAX_FACES)
    outcomes = [assess(photo, pipeline, threshold, args.iou) for photo in photos]
    values = figures(outcomes)
    print(f"{len(outcomes)} photos, face threshold {threshold}, IoU {args.iou}\n\n{markdown(outcomes, values)}")
    if args.json:
        _write_json(args.json, _machine_readable(outcomes, values, args, threshold))
    misses = unmet(values, args.require)
    for miss in misses:
        print(f"Bar missed: {miss}.", file=sys.stderr)
    return 1 if misses else 0


def _figure_table(outcomes: Sequence[Outcome], values: Figures, table: Mapping[str, Mapping[str, int]]) -> str:
    unmatched = sum(len(outcome.unmatched) for outcome in outcomes)
    rows = [(f"Faces found, short side {name}", _share(recall(outcomes, *bounds))) for name, bounds in SIZES.items()]
    rows += [
        ("Bare faces labelled other than with_mask", _share(flagged(table[Label.WITHOUT_MASK]))),
        ("Masked faces labelled other than with_mask", _share(flagged(table[Label.WITH_MASK]))),
        ("Badly worn masks labelled other than with_mask", _share(flagged(table[Label.MASK_WORN_INCORRECTLY]))),
        ("Faces of unknown state labelled other than with_mask", _share(flagged(table[UNKNOWN]))),
        ("Boxes where no face is annotated, a photo", f"{values.unmatched_per_photo:.3f} ({unmatched})"),
    ]
    if values.ap_30 is not None:
        rows.append(("Average precision of boxes at IoU 0.3 / 0.5", f"{values.ap_30:.3f} / {values.ap_50:.3f}"))
    rows.append(("Finding the faces of a photo, median", f"{values.ms_detect:.1f} ms"))
    if values.ms_classify is not None:
        rows.append(("Judging one face, mean", f"{values.ms_classify:.1f} ms"))
    return _table(("Figure", "Value"), rows)


def _confusion_table(table: Mapping[str, Mapping[str, int]]) -> str:
    columns = (*(str(label) for label in LABELS), "missed")
    rows = [(category, *(str(row.get(column, 0)) for column in columns)) for category, row in table.items()]
    return f"Faces of {JUDGED_SIDE:.0f} px and more, annotated as (row), labelled as (column):\n\n" + _table(
        ("", *columns), rows
    )


def _source_table(outcomes: Sequence[Outcome]) -> str:
    rows = []
    for source in sorted({outcome.photo.source for outcome in outcomes}):
        part = [outcome for outcome in outcomes if outcome.photo.source == source]
        table = confusion(part)
        rows.append(
            (
                source or "all",
                str(len(part)),
                _share(recall(part)),
                *(_share(flagged(table[label])) for label in (Label.WITHOUT_MASK, Label.WITH_MASK)),
                _share(flagged(table[Label.MASK_WORN_INCORRECTLY])),
                f"{mean(len(outcome.unmatched) for outcome in part):.2f}",
            )
        )
    return _table(
        ("Source", "photos", "faces found", "bare flagged", "masked flagged", "badly worn flagged", "unmatched"), rows
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _share(share: Share) -> str:
    return "none" if share.value is None else f"{share.value:.1%} ({share.hits} of {share.total})"


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


def _machine_readable(
    outcomes: Sequence[Outcome], values: Figures, args: argparse.Namespace, threshold: float
) -> dict[str, Any]:
    return {
        "data": args.data.name,
        "photos": len(outcomes),
        "face_threshold": threshold,
        "iou": args.iou,
        "figures": values._asdict(),
        "recall": {name: recall(outcomes, *bounds)._asdict() for name, bounds in SIZES.items()},
        "confusion": confusion(outcomes),
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    try:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"Cannot write {path}: {error.strerror}; give --json another file.") from error


def _settings(args: argparse.Namespace) -> config.Config:
    chosen = {
        "face.model": args.face_model,
        "mask.model": args.mask_model,
        "runtime.backend": args.runtime,
        "runtime.threads": args.threads,
    }
    return config.load(overrides={key: value for key, value in chosen.items() if value is not None}).config


def _bars(text: str) -> dict[str, float]:
    bars = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name not in Figures._fields:
            raise argparse.ArgumentTypeError(f"there is no figure {name!r}; there are {', '.join(Figures._fields)}")
        try:
            bars[name] = float(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{part!r} is not NAME=NUMBER") from error
    return bars


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train.evaluate", description=__doc__.splitlines()[0])
    add: Callable[..., Any] = parser.add_argument
    add("--data", type=Path, required=True, help="a COCO file with face boxes, or a folder with a val.json")
    add("--source", help="only the photos of this source")
    add("--limit", type=int, help="only the first so many photos")
    add("--face-model", help="instead of the configured one; PATH/manifest.json#name for your own")
    add("--mask-model", help="instead of the configured one; PATH/manifest.json#name for your own")
    add("--face-threshold", type=float, help="least score of a face (default: face.still_threshold)")
    add("--iou", type=float, default=0.3, help="least overlap of a found face with the annotated one (default: 0.3)")
    add("--runtime", help="instead of runtime.backend")
    add("--threads", type=int, help="instead of runtime.threads")
    add("--json", type=Path, metavar="FILE", help="also write the figures there")
    add(
        "--require",
        type=_bars,
        default={},
        metavar="NAME=BAR,...",
        help=f"exit with 1 where a figure misses its bar: at least that, or at most for {', '.join(sorted(AT_MOST))}; "
        f"figures: {', '.join(Figures._fields)}",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

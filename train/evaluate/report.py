"""Measures the models as the device runs them, on photos with annotated faces. Needs neither keras nor tensorflow.

python -m train.evaluate --data DIR/val.json --cases tests/hard_cases.json
python -m train.evaluate --data DIR --require face_recall=0.9,bare_flagged=0.93,masked_flagged=0.05
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge import config
from edge.commands.check import STILL_MAX_FACES
from edge.errors import ConfigError
from edge.values import LABELS, Label
from edge.vision.pipeline import Pipeline, load_pipeline
from train.common.matching import SAME_FACE
from train.common.terminal import run_program
from train.evaluate.gallery import write_gallery
from train.evaluate.hard_cases import CaseCount, count_cases, read_cases
from train.evaluate.measure import (
    AT_MOST,
    JUDGED_SIDE,
    SIZES,
    SWEEP_THRESHOLD,
    Figures,
    Outcome,
    Share,
    alarm_calibration,
    assess,
    confusion,
    figures,
    flagged,
    judged,
    label_calibration,
    recall,
)
from train.evaluate.photos import UNKNOWN, data_folder, open_photo, read_photos
from train.evaluate.sources import HEAD, source_rows
from train.mask.calibration import Calibration, Judged, fit_temperature, judge_held_out, log_loss, tempered


def markdown(outcomes: Sequence[Outcome], values: Figures) -> str:
    """The report, as tables that can go into a page."""
    table = confusion(outcomes)
    by_source = markdown_table(HEAD, source_rows(outcomes))
    return "\n\n".join([_figure_table(outcomes, values, table), _confusion_table(table), by_source])


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
    return run_program("train.evaluate", _run, _parser().parse_args(arguments))


def _run(args: argparse.Namespace) -> int:
    settings = _settings(args)
    threshold = args.face_threshold or settings.face.still_threshold
    known = [photo for data in args.data for photo in read_photos(data)]
    photos = [photo for photo in known if args.source in (None, photo.source)][: args.limit]
    if not photos:
        raise ConfigError(f"{_names(args.data)} has no photo of that kind; name another file or --source.")
    pipeline = load_pipeline(settings, min(SWEEP_THRESHOLD, threshold), STILL_MAX_FACES, closely=args.closely)
    outcomes = [assess(photo, open_photo(photo), pipeline, threshold, args.iou) for photo in photos]
    values = figures(outcomes, args.iou)
    folders = [data_folder(data) for data in args.data]
    cases = count_cases(read_cases(args.cases), outcomes, folders) if args.cases else []
    looks = "looked at closely" if args.closely else "one look at each"
    print(f"{len(outcomes)} photos, {looks}, face threshold {threshold}, IoU {args.iou}\n")
    print(markdown(outcomes, values))
    if cases:
        print(f"\n{case_table(cases)}")
    if args.temperature_on:
        print(f"\n{_temperature(args.temperature_on, pipeline, judged(outcomes))}")
    if args.json:
        write_json(args.json, _machine_readable(outcomes, values, cases, args, threshold))
    if args.gallery:
        print(f"\nWrote {', '.join(map(str, write_gallery(args.gallery, outcomes)))}")
    misses = unmet(values, args.require)
    for miss in misses:
        print(f"Bar missed: {miss}.", file=sys.stderr)
    return 1 if misses else 0


def _names(paths: Iterable[Path]) -> str:
    return " and ".join(map(str, paths))


def case_table(counts: Sequence[CaseCount]) -> str:
    """One line per hard case, in counts."""
    if not any(count.faces for count in counts):
        return "None of the hard cases is among these photos."
    rows = [(count.name, *(str(number) for number in count[1:])) for count in counts]
    return markdown_table(("Hard case", "faces", "found", "right"), rows)


def _temperature(path: Path, pipeline: Pipeline, faces: Judged) -> str:
    """What one temperature, fitted on held-out faces elsewhere, would do to the probabilities measured here."""
    held = judge_held_out(path, pipeline.judge)
    fitted = fit_temperature(held)
    after = Judged(tempered(faces.probabilities, fitted), faces.truth)
    rows = [
        (name, f"{log_loss(part):.3f}" if len(part.truth) else "none", *(_ece(one) for one in _calibrations(part)))
        for name, part in (("as shipped", faces), (f"temperature {fitted:.2f}", after))
    ]
    return (
        f"Temperature of least log loss on {len(held.truth)} faces held out in {path.name}: {fitted:.2f}\n\n"
        + markdown_table(("Probabilities of faces found here", "log loss", "ECE of the label", "ECE of an alarm"), rows)
    )


def _calibrations(faces: Judged) -> tuple[Calibration | None, Calibration | None]:
    return label_calibration(faces), alarm_calibration(faces)


def _ece(measured: Calibration | None) -> str:
    return "none" if measured is None else f"{measured.error:.3f} ({measured.faces} faces)"


def _figure_table(outcomes: Sequence[Outcome], values: Figures, table: Mapping[str, Mapping[str, int]]) -> str:
    unmatched = sum(len(outcome.unmatched) for outcome in outcomes)
    rows = [
        (f"Faces found, short side {name}", share_text(recall(outcomes, *bounds))) for name, bounds in SIZES.items()
    ]
    rows += [
        ("Bare faces labelled other than with_mask", share_text(flagged(table[Label.WITHOUT_MASK]))),
        ("Masked faces labelled other than with_mask", share_text(flagged(table[Label.WITH_MASK]))),
        ("Badly worn masks labelled other than with_mask", share_text(flagged(table[Label.MASK_WORN_INCORRECTLY]))),
        ("Faces of unknown state labelled other than with_mask", share_text(flagged(table[UNKNOWN]))),
        ("Boxes per photo where no face is annotated", f"{values.unmatched_per_photo:.3f} ({unmatched})"),
    ]
    if values.ap_30 is not None:
        rows.append(("Average precision of boxes at IoU 0.3 / 0.5", f"{values.ap_30:.3f} / {values.ap_50:.3f}"))
    faces = judged(outcomes)
    rows += [
        ("Calibration error (ECE) of the label's probability", _ece(label_calibration(faces))),
        ("Calibration error (ECE) of an alarm's probability", _ece(alarm_calibration(faces))),
        (
            "Calibration error (ECE) of the faces' scores",
            "none" if values.ece_face is None else f"{values.ece_face:.3f}",
        ),
    ]
    rows.append(("Finding the faces of a photo, median", f"{values.ms_detect:.1f} ms"))
    if values.ms_classify is not None:
        rows.append(("Judging one face, mean", f"{values.ms_classify:.1f} ms"))
    return markdown_table(("Figure", "Value"), rows)


def _confusion_table(table: Mapping[str, Mapping[str, int]]) -> str:
    columns = (*(str(label) for label in LABELS), "missed")
    rows = [(category, *(str(row.get(column, 0)) for column in columns)) for category, row in table.items()]
    return f"Faces of {JUDGED_SIDE:.0f} px and more, annotated as (row), labelled as (column):\n\n" + markdown_table(
        ("", *columns), rows
    )


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def share_text(share: Share) -> str:
    """A share as a percentage with its counts."""
    return "none" if share.value is None else f"{share.value:.1%} ({share.hits} of {share.total})"


def _machine_readable(
    outcomes: Sequence[Outcome], values: Figures, cases: Sequence[CaseCount], args: argparse.Namespace, threshold: float
) -> dict[str, Any]:
    return {
        "data": [path.parent.name for path in args.data],
        "photos": len(outcomes),
        "face_threshold": threshold,
        "iou": args.iou,
        "figures": values._asdict(),
        "recall": {name: recall(outcomes, *bounds)._asdict() for name, bounds in SIZES.items()},
        "confusion": confusion(outcomes),
        "cases": [count._asdict() for count in cases],
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a report.

    Raises:
        ConfigError: It cannot be written.
    """
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
    _add_inputs(parser)
    _add_outputs(parser)
    return parser


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    add: Callable[..., Any] = parser.add_argument
    add(
        "--data",
        type=Path,
        action="append",
        required=True,
        help="a COCO file with face boxes, or a folder with a val.json; may be repeated",
    )
    add("--source", help="only the photos of this source")
    add("--limit", type=int, help="only the first LIMIT photos")
    add("--face-model", help="overrides the setting; PATH/manifest.json#name for your own")
    add("--mask-model", help="overrides the setting; PATH/manifest.json#name for your own")
    add("--face-threshold", type=float, help="minimum face score (default: face.still_threshold)")
    add(
        "--iou",
        type=float,
        default=SAME_FACE,
        help="minimum overlap of a found face with the annotated one (default: %(default)s)",
    )
    add("--closely", action="store_true", help="also search in tiles, like maskgate check without --fast")
    add("--runtime", help="overrides runtime.backend")
    add("--threads", type=int, help="overrides runtime.threads")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    add: Callable[..., Any] = parser.add_argument
    add("--gallery", type=Path, metavar="DIR", help="also write contact sheets of missed faces and wrong labels")
    add("--cases", type=Path, metavar="FILE", help="also count the hard cases in this list")
    add(
        "--temperature-on",
        type=Path,
        metavar="PATH",
        help="also fit a temperature on the held-out faces of a labels.csv, and report its effect",
    )
    add("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    add(
        "--require",
        type=_bars,
        default={},
        metavar="NAME=BAR,...",
        help=f"exit with code 1 if a figure misses its limit: minimum, or maximum for {', '.join(sorted(AT_MOST))}; "
        f"figures: {', '.join(Figures._fields)}",
    )


if __name__ == "__main__":
    sys.exit(main())

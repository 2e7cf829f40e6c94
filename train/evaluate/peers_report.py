"""What is told of systems measured side by side: tables, a plot, JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from edge.runtime.processor import instruction_sets
from train.common import plots
from train.common.matching import SAME_FACE, match
from train.evaluate.measure import SIZES, Outcome, figures, recall
from train.evaluate.peers import System
from train.evaluate.report import markdown_table

OURS = "maskgate"


YARDSTICK = "YuNet 320 + EscVM"
"""Times are told in multiples of its detector's."""


ALL_SIZES = "all sizes"


PANELS = {**SIZES, ALL_SIZES: (0.0, float("inf"))}


class Point(NamedTuple):
    """Of a detector at one threshold: the share of faces found, and boxes per photo where no face is annotated."""

    recall: float
    unmatched: float


class Times(NamedTuple):
    """Milliseconds of CPU time per photo, median: to find its faces, and to find and judge them."""

    find: float
    both: float


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one system."""

    system: System
    outcomes: Sequence[Outcome]
    times: Times


def curve(outcomes: Sequence[Outcome], low: float, high: float) -> list[Point]:
    """Recall of the faces of a size against unmatched boxes of any size, at every threshold from high to low.

    Args:
        outcomes: Of one detector, swept down to ``SWEEP_THRESHOLD``.
        low: Least shorter side of a face, in pixels.
        high: The shorter side is below this.
    """
    scores, found, unmatched, faces = [], [], [], 0
    for outcome in outcomes:
        pairs = match(outcome.photo.bboxes, outcome.swept, SAME_FACE)
        owner = {index: truth for truth, index in zip(outcome.photo.truths, pairs, strict=True)}
        faces += sum(low <= truth.bbox.short_side < high for truth in outcome.photo.truths)
        for index, face in enumerate(outcome.swept):
            truth = owner.get(index)
            ignored = truth is None and any(face.bbox.iou(region) >= SAME_FACE for region in outcome.photo.ignored)
            scores.append(face.score)
            found.append(truth is not None and low <= truth.bbox.short_side < high)
            unmatched.append(truth is None and not ignored)
    order = np.argsort(-np.array(scores))
    shares = np.cumsum(np.array(found, float)[order]) / max(1, faces)
    boxes = np.cumsum(np.array(unmatched, float)[order]) / len(outcomes)
    return [Point(share, box) for share, box in zip(shares.tolist(), boxes.tolist(), strict=True)]


def unmatched_at(points: Sequence[Point], least: float) -> float | None:
    """Unmatched boxes per photo where a curve first reaches a recall; None where it never does."""
    return next((point.unmatched for point in points if point.recall >= least), None)


def report(rows: Sequence[Row], photos: int) -> str:
    """The tables, for people."""
    settings = "\n".join(f"* {row.system.name}: {row.system.settings}." for row in rows)
    return "\n\n".join(
        [
            f"{photos} photos; a face is found at IoU {SAME_FACE}; masks are judged on faces found of 40 px and more; "
            f"AP by pycocotools, all sizes. Times: CPU time, one thread, interleaved, median, on {machine()}.",
            _main_table(rows),
            "Unmatched boxes per photo at which a detector reaches that recall:\n\n"
            + _equal_recall_table(_detectors(rows)),
            "Settings:\n\n" + settings,
        ]
    )


def draw(rows: Sequence[Row], path: Path) -> None:
    """Plot recall against unmatched boxes per photo: one panel per face size, one line per detector."""
    panels = {
        f"faces of {name}" if name != ALL_SIZES else name: {
            _detector_name(row): curve(row.outcomes, *bounds) for row in _detectors(rows)
        }
        for name, bounds in PANELS.items()
    }
    plots.trade_off(path, panels, "unmatched boxes per photo", "recall at IoU 0.3")


def machine_readable(rows: Sequence[Row], data: str) -> dict[str, Any]:
    """Every figure of the tables, JSON-ready."""
    return {
        "data": data,
        "photos": len(rows[0].outcomes),
        "iou": SAME_FACE,
        "machine": machine(),
        "versions": {"opencv": cv2.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "systems": [_row_json(row, _yardstick(rows)) for row in rows],
    }


def machine() -> str:
    """What ran this: processor, cores, instruction sets that matter to models, system."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    can = ", ".join((platform.machine(), f"{os.cpu_count()} cores", *instruction_sets()))
    return f"{named[0] if named else model} ({can}), {platform.system()}"


def _main_table(rows: Sequence[Row]) -> str:
    head = (
        "System",
        "bare alarmed",
        "masked wrongly alarmed",
        "badly worn flagged",
        *(f"recall {name}" for name in SIZES),
        "unmatched / photo",
        "AP at IoU 0.3",
        "AP at IoU 0.5",
        "find, ms",
        f"of {YARDSTICK.partition(' +')[0]}'s",
        "find and judge, ms",
    )
    yardstick = _yardstick(rows)
    return markdown_table(head, [_cells(_row_json(row, yardstick)) for row in rows])


def _cells(row: Mapping[str, Any]) -> list[str]:
    shares = [row["bare_flagged"], row["masked_flagged"], row["incorrect_flagged"], *row["recall"].values()]
    return [
        row["system"],
        *(_three(share) for share in shares),
        f"{row['unmatched_per_photo']:.2f}",
        _three(row["ap_30"]),
        _three(row["ap_50"]),
        f"{row['ms_find']:.1f}",
        f"{row['find_ratio']:.2f}",
        "" if row["ms_find_and_judge"] is None else f"{row['ms_find_and_judge']:.1f}",
    ]


def _row_json(row: Row, yardstick: float) -> dict[str, Any]:
    found = figures(row.outcomes, SAME_FACE)._asdict()
    judged = ("bare_flagged", "masked_flagged", "incorrect_flagged")
    return {
        "system": row.system.name,
        "settings": row.system.settings,
        "threshold": row.system.threshold,
        **{name: found[name] if row.system.judges else None for name in judged},
        "recall": {name: recall(row.outcomes, *bounds).value for name, bounds in SIZES.items()},
        **{name: found[name] for name in ("unmatched_per_photo", "ap_30", "ap_50")},
        "ms_find": row.times.find,
        "find_ratio": row.times.find / yardstick,
        "ms_find_and_judge": row.times.both if row.system.judges else None,
    }


def _equal_recall_table(rows: Sequence[Row]) -> str:
    """At the recalls that maskgate reaches at its own threshold, size by size."""
    ours = next(row for row in rows if row.system.name == OURS)
    levels = {name: recall(ours.outcomes, *bounds).value for name, bounds in PANELS.items()}
    measured = {name: level for name, level in levels.items() if level is not None}
    head = ("Detector", *(f"{name}: recall {level:.3f}" for name, level in measured.items()))
    lines = [
        (
            _detector_name(row),
            *(_two(unmatched_at(curve(row.outcomes, *PANELS[name]), level)) for name, level in measured.items()),
        )
        for row in rows
    ]
    return markdown_table(head, lines)


def _detectors(rows: Sequence[Row]) -> list[Row]:
    """The first row of each detector."""
    return list({id(row.system.detector): row for row in reversed(rows)}.values())[::-1]


def _detector_name(row: Row) -> str:
    return row.system.name.partition(" +")[0]


def _yardstick(rows: Sequence[Row]) -> float:
    return next(row.times.find for row in rows if row.system.name == YARDSTICK)


def _three(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _two(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f}"

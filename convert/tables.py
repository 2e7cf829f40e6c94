"""Figures as Markdown tables, for the parity reports and the model cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge.values import Label

MASK_RATES = {
    "accuracy": "accuracy over the three labels",
    "bare_alarmed": "bare faces labelled other than with_mask",
    "masked_wrongly_alarmed": "masked faces labelled other than with_mask",
    "badly_worn_flagged": "badly worn masks labelled other than with_mask",
}


NO_SIZES = ("data", "sources", "cases")
"""What a parity of masks contains in addition to the figures of faces by size."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns but the first are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def percent(share: float | None) -> str:
    """``97.3 %``, or a dash where nothing was there to be measured."""
    return "-" if share is None else f"{100 * share:.1f} %"


def number(value: float | None) -> str:
    """``0.973``, or a dash."""
    return "-" if value is None else f"{value:.3f}"


def parity_tables(parity: Mapping[str, Any]) -> str:
    """What was found of a model of any task."""
    if "candidates" in parity:
        return confirm_tables(parity)
    return face_tables(parity) if "photos" in parity else mask_tables(parity)


def confirm_tables(parity: Mapping[str, Any]) -> str:
    """What ``convert.confirm.compare`` found, in words and tables."""
    kinds = ("before", "float", "int8")
    rows = []
    for threshold in (key for key in parity if key.startswith("at_")):
        score = threshold.removeprefix("at_")
        figures = parity[threshold]
        rows.append([f"faces with a score of {score} or more", *(percent(figures[kind]["faces"]) for kind in kinds)])
        rows.append([f"other boxes per photo at {score}", *(number(figures[kind]["others"]) for kind in kinds)])
    quality = [
        [words, *(number(parity[kind][key]) for kind in ("float", "int8"))]
        for key, words in (("auc", "area under the ROC curve"), ("loss", "cross-entropy, both kinds alike"))
    ]
    rule, difference = parity["rule"], parity["difference"]
    return "\n\n".join(
        [
            f"{parity['candidates']} boxes of {parity['held_out_photos']} held-out photos, {parity['faces']} of them "
            f"faces; {parity['doubtful']} are doubtful.",
            table(["all boxes", "float", "int8"], quality),
            f"A probability changes by {number(difference['mean_change'])} on average and "
            f"{number(difference['largest_change'])} at most.",
            f"Scores from {rule['doubtful_from']} to {rule['doubtful_to']} are doubtful; then logit(score) = "
            f"{rule['face']} logit(score) {rule['confirm']:+} logit(probability) {rule['bias']:+}. What that changes:",
            table(["", "without the second look", "with it, float", "with it, int8"], rows),
        ]
    )


def face_tables(parity: Mapping[str, Any]) -> str:
    """What ``convert.parity.face_parity`` found, in words and tables."""
    before, after, difference = parity["float"], parity["int8"], parity["difference"]
    thresholds = [key for key in before if key.startswith("at_")]
    rows = [
        ["AP, IoU 0.5 to 0.95", number(before["ap"]), number(after["ap"])],
        ["AP, IoU 0.5", number(before["ap50"]), number(after["ap50"])],
    ]
    for key in thresholds:
        threshold = key.removeprefix("at_")
        for size, faces in before["faces"].items():
            recalls = [percent(figures[key]["recall"][size]) for figures in (before, after)]
            rows.append([f"recall at {threshold}, faces of {_pixels(size)} ({faces})", *recalls])
        unmatched = [number(figures[key]["unmatched"]) for figures in (before, after)]
        rows.append([f"unmatched boxes per photo at {threshold}", *unmatched])
    changes = [
        [
            f"at {key.removeprefix('at_')}",
            percent(difference[key]["kept"]),
            number(difference[key]["mean_score_change"]),
            number(difference[key]["largest_score_change"]),
            number(difference[key]["mean_iou"]),
        ]
        for key in thresholds
    ]
    return "\n\n".join(
        [
            f"{parity['photos']} validation photos; recall at IoU 0.3; face sizes are the short side in the photo.",
            table(["", "float", "int8"], rows),
            "What becomes of the float model's detections in int8:",
            table(["score", "still found", "mean score change", "largest score change", "mean IoU"], changes),
            *_case_table(parity, f"found at {thresholds[0].removeprefix('at_')}"),
        ]
    )


def mask_tables(parity: Mapping[str, Any]) -> str:
    """What ``convert.parity.mask_parity`` found, in words and tables."""
    sizes = [_mask_table(name, compared) for name, compared in parity.items() if name not in NO_SIZES]
    return "\n\n".join([*sizes, *_source_table(parity), *_case_table(parity, "alarmed, or not, as the list says")])


def training_tables(stages: Sequence[Mapping[str, Any]]) -> str:
    """Each stage of a training: its command, its seed, time and versions, the figures of the epoch kept."""
    return "\n\n".join(f"```\n{stage['command']}\n```\n\n{_training_table(stage)}" for stage in stages)


def _training_table(stage: Mapping[str, Any]) -> str:
    rows = [[_words(key), _plain(stage[key])] for key in stage if key not in ("best", "versions", "command")]
    rows += [[package, version] for package, version in stage["versions"].items()]
    rows += [
        [f"epoch kept: {_words(key)}", _plain(value)] for key, value in _flat(stage["best"] or {}) if key != "epoch"
    ]
    return table(["", "value"], rows)


def _mask_table(name: str, compared: Mapping[str, Any]) -> str:
    before, after, difference = compared["float"], compared["int8"], compared["difference"]
    kinds = ", ".join(f"{before['per_class'][label]['faces']} {label}" for label in before["per_class"])
    rows = [[words, percent(before[key]), percent(after[key])] for key, words in MASK_RATES.items()]
    for label in (str(label) for label in Label):
        if label in before["per_class"]:
            shares = [percent(figures["per_class"][label]["recall"]) for figures in (before, after)]
            rows.append([f"{label} named so", *shares])
    where = "All validation faces" if name == "all" else f"Validation faces of {_pixels(name)} (short side)"
    return "\n\n".join(
        [
            f"{where}: {before['faces']} ({kinds}).",
            table(["", "float", "int8"], rows),
            f"Same label in float and int8: {percent(difference['agreement'])}; a probability changes by "
            f"{number(difference['mean_change'])} on average and {number(difference['largest_change'])} at most.",
        ]
    )


def _source_table(parity: Mapping[str, Any]) -> list[str]:
    """Alarms by source; nothing where they were not counted."""
    rows = [
        [
            source,
            label,
            str(counts["faces"]),
            *(f"{counts[kind]} ({percent(counts[kind] / counts['faces'])})" for kind in ("float", "int8")),
        ]
        for source, labels in parity.get("sources", {}).items()
        for label, counts in labels.items()
    ]
    if not rows:
        return []
    head = ["source", "annotated as", "faces", "alarms, float", "alarms, int8"]
    return ["Alarms on faces of 40 pixels and more, by source.", table(head, rows)]


def _case_table(parity: Mapping[str, Any], counted: str) -> list[str]:
    """Nothing where no hard cases were given."""
    cases: Mapping[str, Mapping[str, int]] = parity.get("cases", {})
    if not cases:
        return []
    rows = [[name, *(str(counts[key]) for key in ("faces", "float", "int8"))] for name, counts in cases.items()]
    return [f"Hard cases by name, faces of any size: {counted}.", table(["", "faces", "float", "int8"], rows)]


def _pixels(size: str) -> str:
    """``20_40`` as ``20 to 40 pixels``, ``40_up`` as ``40 pixels and more``."""
    low, high = size.split("_")
    return f"{low} pixels and more" if high == "up" else f"{low} to {high} pixels"


def _words(key: str) -> str:
    return key.replace("_", " ")


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) and abs(value) < 1000 else f"{value}"


def _flat(figures: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested figures as (dotted key, number); what is not a number is left out."""
    found: list[tuple[str, Any]] = []
    for key, value in figures.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{key} ")
        elif isinstance(value, int | float):
            found.append((f"{prefix}{key}", value))
    return found

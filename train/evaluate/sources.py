"""The figures of each source of photos by itself, in one table: a source that fails does not hide behind another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean

from edge.values import Label
from train.common.matching import SAME_FACE
from train.evaluate.measure import SIZES, Outcome, Share, confusion, flagged, recall

FALSE_AT = 0.5
"""Minimum score of a box that counts in a photo without a face: that of live video."""

HEAD = (
    "Source", "photos", *(f"found, {name}" for name in SIZES), "unmatched per photo",
    f"photos without a face with a box at {FALSE_AT}", "bare flagged", "masked flagged", "badly worn flagged",
)  # fmt: skip


def source_rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """A row per source, in the order of ``HEAD``; masks are judged on faces of 40 pixels and more."""
    rows = []
    for source in sorted({outcome.photo.source for outcome in outcomes}):
        part = [outcome for outcome in outcomes if outcome.photo.source == source]
        table = confusion(part)
        rows.append(
            (
                source or "all",
                str(len(part)),
                *(_short(recall(part, *bounds)) for bounds in SIZES.values()),
                f"{mean(len(outcome.unmatched) for outcome in part):.2f}",
                _short(false_photos(part)),
                *(_short(flagged(table[label])) for label in (Label.WITHOUT_MASK, Label.WITH_MASK)),
                _short(flagged(table[Label.MASK_WORN_INCORRECTLY])),
            )
        )
    return rows


def false_photos(outcomes: Iterable[Outcome]) -> Share:
    """Of the photos without a face, those in which a box is drawn at ``FALSE_AT``, ignored regions left out."""
    empty = [outcome for outcome in outcomes if not outcome.photo.truths]
    return Share(sum(_drawn(outcome) for outcome in empty), len(empty))


def _drawn(outcome: Outcome) -> bool:
    return any(
        face.score >= FALSE_AT and all(face.bbox.iou(region) < SAME_FACE for region in outcome.photo.ignored)
        for face in outcome.swept
    )


def _short(share: Share) -> str:
    return "-" if share.value is None else f"{share.value:.1%} of {share.total}"

"""What the card of your own model contains in addition to its figures: start, split, recipe, and the gaps they show."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from convert.tables import percent
from edge.values import LABELS

PLENTY = 100
"""Faces of a class from which on its figures are not called uncertain."""

SHORT_OF = 0.95
"""A recall below this is named as a gap."""


def described(metrics: Mapping[str, Any], learned: int, measured: int, unit: str) -> dict[str, Any]:
    """What a manifest entry keeps of a model's origin.

    Args:
        metrics: Of the training.
        learned: How many faces or photos were learned from.
        measured: How many the figures are over.
        unit: "faces" or "photos".
    """
    return {
        "preset": metrics.get("preset", "default"),
        "start": dict(metrics.get("start") or {}),
        "split": {"learned": learned, "measured": measured, "unit": unit},
        "classes": dict(metrics.get("training_faces") or {}),
    }


def start(origin: Mapping[str, Any]) -> str:
    """Where the weights come from, as a sentence or two."""
    told = origin.get("start") or {}
    if not told:
        return "What the weights started from was not recorded."
    digest = f" (sha256 `{told['sha256'][:16]}`...)" if told.get("sha256") else ""
    licence = f" Licence of the start: {told['licence']}." if told.get("licence") else ""
    return f"The weights start from {told['model']}{digest}.{licence}"


def split(origin: Mapping[str, Any]) -> str:
    """How many were learned from and measured on."""
    counts = origin.get("split")
    if not counts:
        return ""
    unit = counts["unit"]
    return (
        f"{counts['learned']} {unit} were learned from and {counts['measured']} measured on. "
        "Near duplicates are on one side; the run's folder lists every one."
    )


def again(name: str, commands: Sequence[str]) -> str:
    """The command that runs all of ``commands``, with a ``--folder`` for each placeholder in them."""
    words = [word.partition("=")[2] or word for command in commands for word in shlex.split(command)]
    folders = dict.fromkeys(
        word.partition("/")[0] for word in words if "/" in word and word.partition("/")[0].isupper()
    )
    last = shlex.split(commands[-1])
    output = last[last.index("--output") + 1] if "--output" in last else "runs/convert"
    return " ".join(
        [f"python -m convert again {name} --models {shlex.quote(output)}", *(f"--folder {one}=PATH" for one in folders)]
    )


def mask_gaps(parity: Mapping[str, Any], origin: Mapping[str, Any]) -> str:
    """A list, from the figures of ``convert.parity.mask_parity``."""
    return _bullets([*_class_gaps(parity), *_unlearned(origin), *_mask_reach(parity)])


def face_gaps(parity: Mapping[str, Any]) -> str:
    """A list, from the figures of ``convert.parity.face_parity``."""
    return _bullets(list(_face_reach(parity)))


def _class_gaps(parity: Mapping[str, Any]) -> Iterator[str]:
    for label, figures in parity["all"]["int8"]["per_class"].items():
        faces, recall = figures["faces"], figures["recall"]
        if not faces:
            yield f"`{label}` was not measured: none of the photos compared on has it."
            continue
        if recall < SHORT_OF:
            yield f"`{label}` is named so in {percent(recall)} of {faces} faces."
        if faces < PLENTY:
            yield (
                f"`{label}` was measured on {faces} faces only: on many, the share named so may be as low as "
                f"{percent(_lowest(recall, faces))}."
            )


def _unlearned(origin: Mapping[str, Any]) -> Iterator[str]:
    counts = origin.get("classes") or {}
    for label in LABELS if counts else ():
        if not counts.get(label):
            yield f"`{label}` had no photo to learn from; what is known of it comes from the start."


def _mask_reach(parity: Mapping[str, Any]) -> Iterator[str]:
    small = [name for name in ("8_20", "20_40") if name not in parity]
    if small:
        yield f"Faces of {' and '.join(_pixels(name) for name in small)} were not measured."
    if len(parity.get("sources", {})) == 1:
        yield "All photos compared on are from one source: expect less elsewhere, in other light and on other people."


def _face_reach(parity: Mapping[str, Any]) -> Iterator[str]:
    figures = parity["int8"]
    threshold = next(key for key in figures if key.startswith("at_"))
    for size, recall in figures[threshold]["recall"].items():
        faces = figures["faces"][size]
        where = f"faces of {_pixels(size)}"
        if not faces:
            yield f"Nothing was measured on {where}."
        elif recall < SHORT_OF:
            yield f"Of {faces} {where}, {percent(recall)} are found at {threshold.removeprefix('at_')}."


def _lowest(share: float, count: int) -> float:
    """The lower end of a 95 % interval of a share, by Wilson (https://doi.org/10.1080/01621459.1927.10502953)."""
    z = 1.96
    middle = share + z**2 / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return (middle - spread) / (1 + z**2 / count)


def _pixels(size: str) -> str:
    low, high = size.split("_")
    return f"{low} pixels and more" if high == "up" else f"{low} to {high} pixels"


def _bullets(lines: Sequence[str]) -> str:
    return (
        "\n".join(f"- {line}" for line in lines) or "None that the figures show. That is no promise for other places."
    )

"""Whether a model is worth shipping at all: one that only guesses, or finds nothing, is not converted unnoticed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.errors import ModelError

ABOVE_CHANCE = 0.1
"""By how much the mean recall of a useful classifier exceeds that of guessing."""


def of_masks(parity: Mapping[str, Any], anyway: bool) -> None:
    """Refuse a mask classifier that is right about as often as guessing is.

    Args:
        parity: See ``convert.parity.mask_parity``.
        anyway: Say so, and go on.

    Raises:
        ModelError: It is, as int8, on all faces compared.
    """
    recalls = [one["recall"] for one in parity["all"]["int8"]["per_class"].values() if one["recall"] is not None]
    if len(recalls) < 2:
        print("Only one class was compared on: whether the model tells the classes apart was not measured.", flush=True)
        return
    mean, chance = sum(recalls) / len(recalls), 1 / len(recalls)
    if mean < chance + ABOVE_CHANCE:
        _refuse(
            f"The model names {100 * mean:.0f} % of the faces of a class correctly, and guessing would "
            f"{100 * chance:.0f} %: check the labels in dataset.jpg, and train on more photos or longer",
            anyway,
        )


def of_faces(parity: Mapping[str, Any], anyway: bool) -> None:
    """Refuse a face detector that finds no face.

    Args:
        parity: See ``convert.parity.face_parity``.
        anyway: Say so, and go on.

    Raises:
        ModelError: It finds none, as int8, at any threshold and of any size.
    """
    figures = parity["int8"]
    recalls = [one for key in figures if key.startswith("at_") for one in figures[key]["recall"].values()]
    if not any(recalls):
        _refuse(
            "The model finds none of the faces compared on: check the boxes in dataset.jpg, and train longer", anyway
        )


def _refuse(fault: str, anyway: bool) -> None:
    if not anyway:
        raise ModelError(f"{fault}; --anyway converts it as it is.")
    print(f"{fault}. Converted all the same.", flush=True)

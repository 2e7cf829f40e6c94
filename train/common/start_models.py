"""The float models that come with the project, so that a training needs neither many photos nor a download."""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "models"

SHIPPED = "shipped"
"""Names the float form of the shipped model, as a model to start from."""

MASK, FACE = FOLDER / "mask" / "mask.keras", FOLDER / "face" / "face.keras"

YUNET = FOLDER / "yunet" / "yunet_n_320.onnx"
"""Finds faces in crops and their landmarks. MIT licence, see the LICENSE.txt next to it."""

LICENCES = {MASK: "Apache-2.0", FACE: "Apache-2.0, from YuNet's weights (MIT)"}


def start_record(path: Path, name: str) -> dict[str, str]:
    """What a run's metrics say of its start: ``model``, ``sha256`` of the file, and ``licence`` where it is known."""
    digest = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()} if path.is_file() else {}
    return {"model": name, **digest, **({"licence": LICENCES[path]} if path in LICENCES else {})}

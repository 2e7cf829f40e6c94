"""Which maskgate this is, for those who look after many doors."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edge.config import Config
from edge.vision.models import (
    FaceEntry,
    MaskEntry,
    ModelFile,
    load_confirmation,
    load_first_look,
    load_model,
)


def about(config: Config) -> dict[str, str]:
    """Version and the SHA-256 of each model in use, hexadecimal, by what it is of.

    Always maskgate, face and mask. Where the manifest names them: confirm, which looks again at doubtful faces, and
    first_look, which judges before the mask model.

    Raises:
        ModelError: A model is missing or altered.
    """
    return {"maskgate": installed_version()} | {
        task: model.entry.sha256 for task, model in models_in_use(config).items()
    }


def installed_version() -> str:
    """Of maskgate."""
    try:
        return version("maskgate")
    except PackageNotFoundError:
        return "not installed"


def models_in_use(config: Config) -> dict[str, ModelFile[Any]]:
    """The models of a configuration by what they are for: face, confirm, mask, first_look.

    Raises:
        ModelError: A model is missing or altered.
    """
    models: dict[str, ModelFile[Any] | None] = {
        "face": load_model(config.face.model, FaceEntry),
        "confirm": load_confirmation(config.face.model),
        "mask": load_model(config.mask.model, MaskEntry),
        "first_look": load_first_look(config.mask.model),
    }
    return {task: model for task, model in models.items() if model}

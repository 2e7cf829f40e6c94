"""Which maskgate this is, for those who look after many doors."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edge.config import Config
from edge.vision.models import (
    FaceEntry,
    KnownModel,
    MaskEntry,
    find_confirmation,
    find_first_look,
    find_model,
)


def about(config: Config) -> dict[str, str]:
    """Version and the SHA-256 of each model in use, hexadecimal, by what it is of.

    Always maskgate, face and mask. Where the manifest names them: confirm, which looks again at doubtful faces, and
    first_look, which judges before the mask model.

    Raises:
        ModelError: A model is in no manifest.
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


def models_in_use(config: Config) -> dict[str, KnownModel[Any]]:
    """The models of a configuration by what they are for: face, confirm, mask, first_look. Reads manifests only.

    Raises:
        ModelError: A model is in no manifest.
    """
    models: dict[str, KnownModel[Any] | None] = {
        "face": find_model(config.face.model, FaceEntry),
        "confirm": find_confirmation(config.face.model),
        "mask": find_model(config.mask.model, MaskEntry),
        "first_look": find_first_look(config.mask.model),
    }
    return {task: model for task, model in models.items() if model}

"""Which maskgate this is, for those who look after many doors."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from edge.config import Config
from edge.vision.models import FaceEntry, MaskEntry, load_model


def about(config: Config) -> dict[str, str]:
    """Version and the SHA-256 of each model, hexadecimal, by what it is of: maskgate, face, mask.

    Raises:
        ModelError: A model is missing or altered.
    """
    try:
        number = version("maskgate")
    except PackageNotFoundError:
        number = "not installed"
    face = load_model(config.face.model, FaceEntry).entry.sha256
    mask = load_model(config.mask.model, MaskEntry).entry.sha256
    return {"maskgate": number, "face": face, "mask": mask}

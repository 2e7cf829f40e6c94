"""The model of one's own that a release may carry: it judges wherever the settings name no other."""

from __future__ import annotations

import json
from pathlib import Path

OWN_MANIFEST = Path(__file__).parents[1] / "vision/models/own/manifest.json"
"""Put into a release by ``make deploy MODEL=...``; absent from the project itself."""

USUAL = ("mask", "face")
"""Of several models for a task, the one with such a name judges; the others may be asked before it."""


def own_model(task: str, manifest: Path = OWN_MANIFEST) -> str | None:
    """What ``mask.model`` or ``face.model`` would say for the model that this release carries; None where it has none.

    A manifest that cannot be read is named, too: loading the model then says what is wrong with it.
    """
    if not manifest.is_file():
        return None
    try:
        models = json.loads(manifest.read_bytes())["models"]
        names = [name for name, entry in models.items() if entry["task"] == task]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{manifest}#model"
    usual = [name for name in names if name in USUAL]
    return f"{manifest}#{(usual or names)[0]}" if names else None


def is_carried(value: object, manifest: Path = OWN_MANIFEST) -> bool:
    """Whether a setting's value names the model that this release carries."""
    return isinstance(value, str) and value.startswith(f"{manifest}#")

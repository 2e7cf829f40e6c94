"""A folder as ``make convert`` writes it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from edge.vision.models import SHIPPED_MANIFEST


def converted_model(folder: Path) -> Path:
    """Write ``folder`` with the small shipped classifier as the mask model of its own manifest, and return it."""
    folder.mkdir()
    entry = json.loads(SHIPPED_MANIFEST.read_text("utf-8"))["models"]["mask-small"]
    (folder / "manifest.json").write_text(json.dumps({"version": 1, "models": {"mask": entry}}))
    for name in (entry["file"], entry["card"]):
        shutil.copy(SHIPPED_MANIFEST.with_name(name), folder)
    return folder

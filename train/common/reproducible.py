"""What makes a run repeatable and accountable: seeds, versions, the command, atomic files."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "torch", "jax", "numpy", "opencv-python-headless", "scikit-learn")

METRICS_FILE = "metrics.json"
"""What a training writes next to its model: command, seed, versions and figures."""


def versions() -> dict[str, str]:
    """Python's version and those of the installed packages that shape a result."""
    installed = {package: _version(package) for package in PACKAGES}
    return {"python": platform.python_version(), **{name: version for name, version in installed.items() if version}}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def command(module: str = "train") -> str:
    """What makes this run from its start, ready to paste: ``python -m train ...`` without ``--resume``."""
    return shlex.join(["python", "-m", module, *(word for word in sys.argv[1:] if word != "--resume")])


def write_json(path: Path, data: Any) -> None:
    """Write JSON so that a crash leaves the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(path.suffix + ".part")
    temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)  # noqa: PTH105 - the atomic one, named as such

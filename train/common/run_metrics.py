"""The metrics of a run that Keras's own backup resumes: what they begin with, and what a resumed run takes over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from edge.errors import ConfigError
from train.common.out_folder import nothing_to_resume
from train.common.reproducible import METRICS_FILE, command, versions

BACKUP_FOLDER = "backup"
"""In the folder of a run: what ``keras.callbacks.BackupAndRestore`` goes on from."""

Metrics = dict[str, Any]


def begun(task: str, settings: Mapping[str, Any], start: Mapping[str, str]) -> Metrics:
    """Of a run that has not trained yet.

    Args:
        task: Its name.
        settings: What shapes the result, with a ``seed``.
        start: What the weights start from.
    """
    return {
        "task": task,
        "command": command(),
        "seed": settings["seed"],
        "settings": json.loads(json.dumps(settings)),
        "backend": keras.backend.backend(),
        "versions": versions(),
        "seconds": 0.0,
        "start": dict(start),
        "best_epoch": None,
        "history": [],
    }


def recall(metrics: Metrics, out: Path) -> None:
    """Take over what the run in ``out`` has done, in place.

    Raises:
        ConfigError: There is nothing to resume, or it was made with other settings.
    """
    path = out / METRICS_FILE
    if not (path.exists() and (out / BACKUP_FOLDER).is_dir()):
        raise ConfigError(nothing_to_resume(out))
    earlier = json.loads(path.read_text(encoding="utf-8"))
    mine = metrics["settings"]
    if changed := [name for name in mine if earlier["settings"].get(name) != mine[name]]:
        raise ConfigError(f"--resume with another {', '.join(changed)} than {path} has: repeat its options.")
    for name in ("seconds", "best_epoch", "history"):
        metrics[name] = earlier[name]


def add_seconds(metrics: Metrics, seconds: float) -> None:
    """Count time spent, over all resumptions."""
    metrics["seconds"] = round(metrics["seconds"] + seconds, 1)

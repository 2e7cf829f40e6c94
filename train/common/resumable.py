"""Training that Keras's own backup resumes after the last finished epoch, and the metrics that such a run writes.

metrics = RunMetrics("face", settings, start, out, resume=False)
fit(model, batches, metrics, epochs=6, measure=measure)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras

from edge.errors import ConfigError
from train.common.out_folder import nothing_to_resume
from train.common.reproducible import METRICS_FILE, command, versions, write_json

BACKUP_FOLDER = "backup"
"""In the folder of a run: what ``keras.callbacks.BackupAndRestore`` goes on from."""

Row = dict[str, Any]
"""The figures of one epoch; ``epoch`` counts from 1."""

Measure = Callable[[int, Mapping[str, float]], None]
"""Called after each epoch with its number, from 0, and the losses that Keras reports."""


class RunMetrics:
    """What ``metrics.json`` says of a run.

    Args:
        task: Name of the model that is trained.
        settings: What shapes the result, with a ``seed``. A resumed run must have the same.
        start: What the weights start from.
        out: Folder of the run.
        resume: Go on from the metrics in ``out``.

    Attributes:
        values: The content of the file.

    Raises:
        ConfigError: There is nothing to resume, or it was made with other settings.
    """

    def __init__(
        self, task: str, settings: Mapping[str, Any], start: Mapping[str, str], out: Path, *, resume: bool
    ) -> None:
        self.out, self.path = out, out / METRICS_FILE
        self.values: dict[str, Any] = {
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
        if resume:
            self._recall()

    @property
    def history(self) -> list[Row]:
        """The finished epochs."""
        return self.values["history"]  # type: ignore[no-any-return]

    def add_epoch(self, row: Row, merit: Callable[[Row], float]) -> bool:
        """Take in a finished epoch, and tell whether its merit is the highest so far."""
        history = self.values["history"] = [*self.history[: row["epoch"] - 1], row]
        is_best = max(history, key=merit) is row
        if is_best:
            self.values["best_epoch"] = row["epoch"]
        return is_best

    def add_seconds(self, seconds: float) -> None:
        """Count time spent, over all resumptions."""
        self.values["seconds"] = round(self.values["seconds"] + seconds, 1)

    def write(self) -> None:
        """Write the file."""
        write_json(self.path, self.values)

    def progress(self, epochs: int) -> str:
        """How far the run is: ``epoch 3 of 12, 4.5 min``."""
        return f"epoch {self.history[-1]['epoch']} of {epochs}, {self.values['seconds'] / 60:.1f} min"

    def _recall(self) -> None:
        if not (self.path.exists() and (self.out / BACKUP_FOLDER).is_dir()):
            raise ConfigError(nothing_to_resume(self.out))
        earlier = json.loads(self.path.read_text(encoding="utf-8"))
        mine = self.values["settings"]
        if changed := [name for name in mine if earlier["settings"].get(name) != mine[name]]:
            raise ConfigError(f"--resume with another {', '.join(changed)} than {self.path} has: repeat its options.")
        self.values |= {name: earlier[name] for name in ("seconds", "best_epoch", "history")}


class Batches(Protocol):
    """What a model is fitted to: a ``keras.utils.PyDataset`` whose batches depend on the epoch."""

    epoch: int


def fit(
    model: Any,
    batches: Batches,
    metrics: RunMetrics,
    *,
    epochs: int,
    measure: Measure,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Fit a model, from the epoch after the last one that the run's folder has. An epoch that was finished is not lost.

    Args:
        model: A compiled keras.Model.
        batches: To fit it to.
        metrics: Of the run.
        epochs: In all.
        measure: Called after each epoch.
        callbacks: Called before ``measure``.
    """
    backup = keras.callbacks.BackupAndRestore(
        metrics.out / BACKUP_FOLDER, double_checkpoint=True, delete_checkpoint=False
    )
    ends = [_EpochEnds(batches, metrics, measure), keras.callbacks.TerminateOnNaN()]
    model.fit(batches, epochs=epochs, verbose=2, shuffle=False, callbacks=[backup, *callbacks, *ends])


class _EpochEnds(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells the batches their epoch, counts the time, and has each finished epoch measured."""

    def __init__(self, batches: Batches, metrics: RunMetrics, measure: Measure) -> None:
        super().__init__()
        self._batches, self._metrics, self._measure = batches, metrics, measure
        self._counted = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's own
        self._batches.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        now = time.monotonic()
        self._metrics.add_seconds(now - self._counted)
        self._counted = now
        self._measure(epoch, logs or {})

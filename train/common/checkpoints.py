"""A training run's folder: the last epoch with its optimiser, and the state from which a run is resumed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from edge.errors import ConfigError
from train.common.faults import in_words
from train.common.out_folder import nothing_to_resume
from train.common.reproducible import METRICS_FILE, write_json

LAST_FILE = "last.keras"
"""The last epoch's model with its optimiser, as it trains: not calibrated for a door."""


class RunFolder:
    """Where a run keeps its checkpoints and results.

    Args:
        path: Made when first written to.
        settings: What a resumed run must share with the run it continues; JSON values.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self.settings = settings
        self.model = path / "mask.keras"
        self.metrics = path / METRICS_FILE
        self.average = path / "average.npz"
        self.soup = path / "soup.npz"
        self._last = path / LAST_FILE
        self._state = path / "state.json"

    def save(
        self, model: Any, state: dict[str, Any], others: Mapping[Path, Callable[[Path], None]] | None = None
    ) -> None:
        """Keep the model with its optimiser, other files, then the state.

        All are written before the first takes its place, so that an interrupted run continues from files of one epoch.

        Args:
            model: A compiled keras.Model.
            state: JSON values.
            others: What writes a file, by the file's path.
        """
        writers = {self._last: model.save, **(others or {})}
        with _no_parts_left(writers):
            for path, write in writers.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                write(_part(path))
        for path in writers:
            _part(path).replace(path)
        write_json(self._state, {**state, "settings": self.settings})

    @property
    def begun(self) -> bool:
        """Whether an epoch was finished. Before that there may be a model, from a run that ended while saving."""
        return self._state.exists() or self.metrics.exists()

    def resume(self) -> tuple[Any, dict[str, Any]]:
        """The last epoch's compiled model and the state saved with it.

        Raises:
            ConfigError: There is nothing to go on with, or the settings differ.
        """
        import keras

        if not (self._state.exists() and self._last.exists()):
            raise ConfigError(nothing_to_resume(self.path))
        state = json.loads(self._state.read_text(encoding="utf-8"))
        then = state.pop("settings")
        changed = [name for name in then.keys() | self.settings.keys() if then.get(name) != self.settings.get(name)]
        if changed:
            raise ConfigError(f"{self._state} was made with another {', '.join(sorted(changed))}: repeat its options.")
        return keras.models.load_model(self._last), state


def save_model(model: Any, path: Path) -> None:
    """Save a Keras model so that a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _no_parts_left([path]):
        model.save(_part(path))
    _part(path).replace(path)


@contextmanager
def _no_parts_left(paths: Iterable[Path]) -> Iterator[None]:
    """If a file cannot be written, for example because the disk is full, remove what was written halfway."""
    try:
        yield
    except OSError:
        for path in paths:
            _part(path).unlink(missing_ok=True)
        raise


def must_exist(path: Path, option: str) -> None:
    """Refuse an option that names no file.

    Raises:
        ConfigError: The file is absent.
    """
    if not path.is_file():
        raise ConfigError(f"No model at {path}: give {option} the path of a model file.")


def read_model(path: Path, option: str) -> Any:
    """The Keras model of an earlier run, without its optimiser.

    Args:
        path: A .keras file.
        option: That named it, for the message.

    Raises:
        ConfigError: The file is absent or broken.
    """
    must_exist(path, option)
    import keras

    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} cannot be read: give {option} a .keras file of an earlier run.") from error


def _part(path: Path) -> Path:
    """Where a file is written before it takes its place; its suffix tells Keras and NumPy the format."""
    return path.with_name(f"part.{path.name}")


@contextmanager
def saved_arrays(path: Path) -> Iterator[Any]:
    """The arrays in a .npz of a run, by their names.

    Raises:
        ConfigError: The file is absent or broken, or lacks what is read from it.
    """
    try:
        with np.load(path) as saved:
            yield saved
    except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
        raise ConfigError(f"{path} cannot be read ({in_words(error)}): start again without --resume.") from error


def epoch_verbosity() -> int:
    """Keras's ``verbose``: a moving bar on a terminal, one line per epoch in a log."""
    return 1 if sys.stdout.isatty() else 2
